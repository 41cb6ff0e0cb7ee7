/*
 * seal.c: AES-256-GCM by OpenSSL.
 *
 * Here: bytes in, bytes out.  Not here: where the key is from (bus.c).
 */
#include "seal.h"

#include <endian.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define COUNTER_SIZE 8
#define TAG_SIZE 16
#define NONCE_SIZE 12

static void write_nonce(uint64_t counter, uint8_t nonce[NONCE_SIZE]);

bool
seal_derive(Bytes shared, uint64_t relay, SealKey *key)
{
	uint64_t number = htobe64(relay);
	unsigned size = 0;

	return HMAC(EVP_sha256(), shared.data, (int) shared.size, (const unsigned char *) &number,
				sizeof number, key->bytes, &size) != NULL &&
		   size == SEAL_KEY_SIZE;
}

bool
seal_write(const SealKey *key, uint64_t counter, Bytes message, Buffer *out)
{
	uint8_t nonce[NONCE_SIZE];
	uint64_t counter_bytes = htobe64(counter);
	uint8_t *place = buffer_reserve(out, message.size + SEAL_OVERHEAD);
	EVP_CIPHER_CTX *cipher = place != NULL ? EVP_CIPHER_CTX_new() : NULL;
	int size = 0, last = 0;

	if (cipher == NULL)
		return false;
	write_nonce(counter, nonce);
	memcpy(place, &counter_bytes, COUNTER_SIZE);
	place += COUNTER_SIZE;
	bool ok =
		EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
		EVP_EncryptUpdate(cipher, place, &size, message.data, (int) message.size) == 1 &&
		EVP_EncryptFinal_ex(cipher, place + size, &last) == 1 &&
		EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, place + message.size) == 1;

	EVP_CIPHER_CTX_free(cipher);
	return ok;
}

bool
seal_read(const SealKey *key, Bytes sealed, uint64_t *counter, Buffer *out)
{
	uint8_t nonce[NONCE_SIZE], tag[TAG_SIZE];

	if (sealed.size < SEAL_OVERHEAD)
		return false;
	size_t message_size = sealed.size - SEAL_OVERHEAD;
	uint8_t *place = buffer_reserve(out, message_size);
	EVP_CIPHER_CTX *cipher = place != NULL ? EVP_CIPHER_CTX_new() : NULL;
	int size = 0, last = 0;

	if (cipher == NULL)
		return false;
	memcpy(counter, sealed.data, COUNTER_SIZE);
	*counter = be64toh(*counter);
	write_nonce(*counter, nonce);
	memcpy(tag, sealed.data + COUNTER_SIZE + message_size, TAG_SIZE);
	bool ok = EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
			  EVP_DecryptUpdate(cipher, place, &size, sealed.data + COUNTER_SIZE,
								(int) message_size) == 1 &&
			  EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1 &&
			  EVP_DecryptFinal_ex(cipher, place + size, &last) == 1;

	EVP_CIPHER_CTX_free(cipher);
	return ok;
}

static void
write_nonce(uint64_t counter, uint8_t nonce[NONCE_SIZE])
{
	uint64_t bytes = htobe64(counter);

	memset(nonce, 0, NONCE_SIZE);
	memcpy(nonce + NONCE_SIZE - sizeof bytes, &bytes, sizeof bytes);
}
