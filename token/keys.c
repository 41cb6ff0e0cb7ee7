/*
 * keys.c: reading JWKS, PEM and secrets; finding a key.
 *
 * Here: RFC 7517 and 7518 section 6 and RFC 8037 for public keys, what is too weak.  Not here: tokens
 * (token.c), where keys are kept.  The arithmetic is OpenSSL's.
 */
#include "keys.h"

#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64url.h"

#define P256_BYTES 32
#define ED25519_BYTES 32
#define RSA_MOST_BYTES 2048 /* 16384 bits: more OpenSSL does not compute with */

typedef enum JwkUse
{
	JWK_TAKEN,
	JWK_LEFT_OUT, /* for something else than our tokens */
	JWK_BAD
} JwkUse;

static const char *const algorithm_names[ALGORITHM_COUNT] = {
	[ALGORITHM_HS256] = "HS256", [ALGORITHM_RS256] = "RS256", [ALGORITHM_PS256] = "PS256",
	[ALGORITHM_ES256] = "ES256", [ALGORITHM_EDDSA] = "EdDSA",
};

static const char no_private_keys[] =
	"is a private key, which nobody needs who checks tokens: give the public one";

static bool read_jwks(Keys *keys, Bytes file, char *problem);
static bool take_jwk(Keys *keys, const json_t *jwk, size_t number, char *problem);
static JwkUse read_jwk(const json_t *jwk, Key *key, char *problem);
static JwkUse read_purpose(const json_t *jwk, Key *key, char *problem);
static bool is_for_verifying(const json_t *jwk);
static bool read_id(const json_t *jwk, Key *key, char *problem);
static bool read_secret_member(const json_t *jwk, Key *key, char *problem);
static bool read_rsa(const json_t *jwk, Key *key, char *problem);
static bool read_p256(const json_t *jwk, Key *key, char *problem);
static bool read_ed25519(const json_t *jwk, Key *key, char *problem);
static uint8_t *read_member(const json_t *jwk, const char *name, size_t *size, char *problem);
static EVP_PKEY *make_key(const char *kind, OSSL_PARAM_BLD *build);
static bool read_pem(Keys *keys, Bytes file, char *problem);
static bool
read_pem_block(Key *key, const char *name, const uint8_t *der, long size, char *problem);
static bool judge_key(Key *key, char *problem);
static bool take_secret(Key *key, Bytes secret, char *problem);
static bool take_key(Keys *keys, Key *key, char *problem);
static bool make_fingerprint(Key *key);
static bool is_text(Bytes bytes);
static bool is_key_file(Bytes file);
static bool says(char *problem, const char *what);
static void key_free(Key *key);

bool
keys_read(Keys *keys, Bytes file, char problem[KEYS_PROBLEM_MAX])
{
	size_t before = keys->count;

	while (file.size > 0 && memchr(" \t\r\n", file.data[0], 4) != NULL)
		file = (Bytes){file.data + 1, file.size - 1};
	bool ok = file.size > 0 && file.data[0] == '{' ? read_jwks(keys, file, problem)
												   : read_pem(keys, file, problem);

	ERR_clear_error();
	return ok && (keys->count > before || says(problem, "holds no key that tokens can be checked "
														"with"));
}

/* A text file's last line end is not meant; bytes are taken as they are. */
bool
keys_read_secret(Keys *keys, Bytes file, char problem[KEYS_PROBLEM_MAX])
{
	Key key = {.algorithm = ALGORITHM_HS256};
	Bytes secret = file;

	if (secret.size > 0 && secret.data[secret.size - 1] == '\n')
		secret.size--;
	if (secret.size > 0 && secret.size < file.size && secret.data[secret.size - 1] == '\r')
		secret.size--;
	if (!is_text(secret))
		secret = file;
	if (is_key_file(file))
		return says(problem,
					"holds keys in PEM, DER or JSON, which are no secret: give public keys "
					"as --jwt-keys");
	bool ok = take_secret(&key, secret, problem) && take_key(keys, &key, problem);

	if (!ok)
		key_free(&key);
	return ok;
}

const Key *
keys_find(const Keys *keys, Algorithm algorithm, Bytes id, bool *is_ambiguous)
{
	const Key *found = NULL;
	bool is_known_id = false;

	*is_ambiguous = false;
	for (size_t i = 0; i < keys->count; i++)
	{
		const Key *key = &keys->keys[i];

		if (id.data == NULL || key->id == NULL || strlen(key->id) != id.size ||
			memcmp(key->id, id.data, id.size) != 0)
			continue;
		is_known_id = true;
		if (key->algorithm == algorithm)
			return key;
	}
	for (size_t i = 0; i < keys->count && !is_known_id; i++)
	{
		const Key *key = &keys->keys[i];

		if (key->algorithm != algorithm || (id.data != NULL && key->id != NULL))
			continue;
		*is_ambiguous = found != NULL;
		if (*is_ambiguous)
			return NULL;
		found = key;
	}
	return found;
}

bool
keys_have(const Keys *keys, const uint8_t fingerprint[KEY_FINGERPRINT_SIZE])
{
	for (size_t i = 0; i < keys->count; i++)
		if (memcmp(keys->keys[i].fingerprint, fingerprint, KEY_FINGERPRINT_SIZE) == 0)
			return true;
	return false;
}

void
keys_free(Keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		key_free(&keys->keys[i]);
	free(keys->keys);
	*keys = (Keys){0};
}

bool
algorithm_find(Bytes name, Algorithm *algorithm)
{
	static const char fully_specified[] = "Ed25519"; /* RFC 9864 */

	for (int i = 0; i < ALGORITHM_COUNT; i++)
		if (name.size == strlen(algorithm_names[i]) &&
			memcmp(name.data, algorithm_names[i], name.size) == 0)
		{
			*algorithm = (Algorithm) i;
			return true;
		}
	*algorithm = ALGORITHM_EDDSA;
	return name.size == sizeof fully_specified - 1 &&
		   memcmp(name.data, fully_specified, name.size) == 0;
}

const char *
algorithm_name(Algorithm algorithm)
{
	return algorithm_names[algorithm];
}

/* ---- JWK ---- */

static bool
read_jwks(Keys *keys, Bytes file, char *problem)
{
	json_error_t error;
	json_t *top = json_loadb((const char *) file.data, file.size, JSON_REJECT_DUPLICATES, &error);

	if (top == NULL)
	{
		snprintf(problem, KEYS_PROBLEM_MAX, "line %d: %.200s", error.line, error.text);
		return false;
	}
	json_t *single = json_object_get(top, "kty") != NULL ? json_pack("[O]", top) : NULL;
	json_t *list = single != NULL ? single : json_object_get(top, "keys");
	bool ok =
		json_is_array(list) ||
		says(problem, "is neither a set of keys (member \"keys\") nor a key (member \"kty\")");
	size_t index;
	json_t *jwk;

	json_array_foreach(list, index, jwk) ok = ok && take_jwk(keys, jwk, index + 1, problem);
	json_decref(single);
	json_decref(top);
	return ok;
}

/* False if it makes the file bad. */
static bool
take_jwk(Keys *keys, const json_t *jwk, size_t number, char *problem)
{
	Key key = {0};
	char why[KEYS_PROBLEM_MAX / 2] = "";
	const char *id = json_string_value(json_object_get(jwk, "kid"));
	JwkUse use = read_jwk(jwk, &key, why);

	if (use == JWK_TAKEN && take_key(keys, &key, why))
		return true;
	key_free(&key);
	if (use == JWK_LEFT_OUT)
	{
		if (keys->left_out != NULL)
			keys->left_out(id, why);
		return true;
	}
	snprintf(problem, KEYS_PROBLEM_MAX, "key %zu%s%.100s%s: %s", number, id != NULL ? " (" : "",
			 id != NULL ? id : "", id != NULL ? ")" : "", why);
	return false;
}

static JwkUse
read_jwk(const json_t *jwk, Key *key, char *problem)
{
	JwkUse use = read_purpose(jwk, key, problem);
	bool ok = false;

	if (use != JWK_TAKEN)
		return use;
	if (!read_id(jwk, key, problem))
		return JWK_BAD;
	if (key->algorithm != ALGORITHM_HS256 && json_object_get(jwk, "d") != NULL)
		return says(problem, no_private_keys), JWK_BAD;
	switch (key->algorithm)
	{
		case ALGORITHM_HS256: ok = read_secret_member(jwk, key, problem); break;
		case ALGORITHM_RS256:
		case ALGORITHM_PS256: ok = read_rsa(jwk, key, problem); break;
		case ALGORITHM_ES256: ok = read_p256(jwk, key, problem); break;
		case ALGORITHM_EDDSA: ok = read_ed25519(jwk, key, problem); break;
		case ALGORITHM_COUNT: break;
	}
	return ok && (key->public_key == NULL || judge_key(key, problem)) ? JWK_TAKEN : JWK_BAD;
}

/* Whether it is one of ours, and its algorithm. */
static JwkUse
read_purpose(const json_t *jwk, Key *key, char *problem)
{
	static const struct
	{
		const char *kind, *curve;
		Algorithm standard, other;
	} kinds[] = {
		{"oct", NULL, ALGORITHM_HS256, ALGORITHM_HS256},
		{"RSA", NULL, ALGORITHM_RS256, ALGORITHM_PS256},
		{"EC", "P-256", ALGORITHM_ES256, ALGORITHM_ES256},
		{"OKP", "Ed25519", ALGORITHM_EDDSA, ALGORITHM_EDDSA},
	};
	const char *kind = json_string_value(json_object_get(jwk, "kty"));
	const char *curve = json_string_value(json_object_get(jwk, "crv"));
	const json_t *name = json_object_get(jwk, "alg");
	size_t i = 0;

	if (kind == NULL)
		return says(problem, "has no kty"), JWK_BAD;
	if (name != NULL && !json_is_string(name))
		return says(problem, "its alg is no text"), JWK_BAD;
	while (i < sizeof kinds / sizeof kinds[0] &&
		   (strcmp(kind, kinds[i].kind) != 0 ||
			(kinds[i].curve != NULL && (curve == NULL || strcmp(curve, kinds[i].curve) != 0))))
		i++;
	if (i == sizeof kinds / sizeof kinds[0])
		return says(problem, "keys of this kind or curve are not used here"), JWK_LEFT_OUT;
	if (!is_for_verifying(jwk))
		return says(problem, "it is not for signatures"), JWK_LEFT_OUT;
	key->algorithm = kinds[i].standard;
	if (name != NULL && !algorithm_find((Bytes){(const uint8_t *) json_string_value(name),
												json_string_length(name)},
										&key->algorithm))
		return says(problem, "its algorithm is not used here"), JWK_LEFT_OUT;
	if (key->algorithm != kinds[i].standard && key->algorithm != kinds[i].other)
	{
		snprintf(problem, KEYS_PROBLEM_MAX / 2, "%s is no algorithm for a key of kind %s",
				 algorithm_name(key->algorithm), kinds[i].kind);
		return JWK_BAD;
	}
	return JWK_TAKEN;
}

static bool
is_for_verifying(const json_t *jwk)
{
	const json_t *use = json_object_get(jwk, "use"), *operations = json_object_get(jwk, "key_ops");
	size_t index;
	const json_t *operation;
	bool verifies = operations == NULL;

	if (use != NULL && (!json_is_string(use) || strcmp(json_string_value(use), "sig") != 0))
		return false;
	json_array_foreach(operations, index, operation) verifies |=
		json_is_string(operation) && strcmp(json_string_value(operation), "verify") == 0;
	return verifies;
}

static bool
read_id(const json_t *jwk, Key *key, char *problem)
{
	const json_t *id = json_object_get(jwk, "kid");

	if (id == NULL)
		return true;
	if (!json_is_string(id))
		return says(problem, "its kid is no text");
	key->id = strdup(json_string_value(id));
	return key->id != NULL || says(problem, "out of memory");
}

static bool
read_secret_member(const json_t *jwk, Key *key, char *problem)
{
	size_t size = 0;
	uint8_t *secret = read_member(jwk, "k", &size, problem);
	bool ok = secret != NULL && take_secret(key, (Bytes){secret, size}, problem);

	OPENSSL_clear_free(secret, size);
	return ok;
}

static bool
read_rsa(const json_t *jwk, Key *key, char *problem)
{
	size_t modulus_size = 0, exponent_size = 0;
	uint8_t *modulus = read_member(jwk, "n", &modulus_size, problem);
	uint8_t *exponent = modulus != NULL ? read_member(jwk, "e", &exponent_size, problem) : NULL;
	BIGNUM *n = NULL, *e = NULL;
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();

	if (exponent != NULL && modulus_size <= RSA_MOST_BYTES && exponent_size <= RSA_MOST_BYTES)
	{
		n = BN_bin2bn(modulus, (int) modulus_size, NULL);
		e = BN_bin2bn(exponent, (int) exponent_size, NULL);
		if (n != NULL && e != NULL && build != NULL &&
			OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
			OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
			key->public_key = make_key("RSA", build);
	}
	if (exponent != NULL && key->public_key == NULL)
		says(problem, "its n and e are no RSA key");
	OSSL_PARAM_BLD_free(build);
	BN_free(n);
	BN_free(e);
	OPENSSL_free(modulus);
	OPENSSL_free(exponent);
	return key->public_key != NULL;
}

static bool
read_p256(const json_t *jwk, Key *key, char *problem)
{
	uint8_t point[1 + 2 * P256_BYTES] = {4}; /* uncompressed */
	size_t x_size = 0, y_size = 0;
	uint8_t *x = read_member(jwk, "x", &x_size, problem);
	uint8_t *y = x != NULL ? read_member(jwk, "y", &y_size, problem) : NULL;
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();

	if (y != NULL && x_size == P256_BYTES && y_size == P256_BYTES && build != NULL)
	{
		memcpy(point + 1, x, P256_BYTES);
		memcpy(point + 1 + P256_BYTES, y, P256_BYTES);
		if (OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) &&
			OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point))
			key->public_key = make_key("EC", build);
	}
	if (y != NULL && key->public_key == NULL)
		says(problem, "its x and y are no point of P-256");
	OSSL_PARAM_BLD_free(build);
	OPENSSL_free(x);
	OPENSSL_free(y);
	return key->public_key != NULL;
}

static bool
read_ed25519(const json_t *jwk, Key *key, char *problem)
{
	size_t size = 0;
	uint8_t *x = read_member(jwk, "x", &size, problem);

	if (x != NULL && size == ED25519_BYTES)
		key->public_key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, size);
	if (x != NULL && key->public_key == NULL)
		says(problem, "its x is no Ed25519 key");
	OPENSSL_free(x);
	return key->public_key != NULL;
}

/* The bytes of a member of base64url, the caller's to OPENSSL_free(). */
static uint8_t *
read_member(const json_t *jwk, const char *name, size_t *size, char *problem)
{
	const json_t *member = json_object_get(jwk, name);
	Bytes text = {(const uint8_t *) json_string_value(member), json_string_length(member)};
	uint8_t *bytes = text.size > 0 ? OPENSSL_malloc(text.size) : NULL;

	if (bytes != NULL && base64url_decode(text, bytes, size) && *size > 0)
		return bytes;
	OPENSSL_free(bytes);
	snprintf(problem, KEYS_PROBLEM_MAX / 2, "its %s is no base64url", name);
	return NULL;
}

static EVP_PKEY *
make_key(const char *kind, OSSL_PARAM_BLD *build)
{
	OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	EVP_PKEY *made = NULL;

	if (parameters == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
		EVP_PKEY_fromdata(context, &made, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
		made = NULL;
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(parameters);
	return made;
}

/* ---- PEM ---- */

static bool
read_pem(Keys *keys, Bytes file, char *problem)
{
	ERR_clear_error();
	BIO *bio = BIO_new_mem_buf(file.data, (int) file.size);
	bool ok = bio != NULL || says(problem, "out of memory");
	char *name = NULL, *header = NULL;
	uint8_t *der = NULL;
	long size = 0;

	for (int block = 1; ok && PEM_read_bio(bio, &name, &header, &der, &size) == 1; block++)
	{
		Key key = {0};
		char why[KEYS_PROBLEM_MAX / 2] = "";

		ok = read_pem_block(&key, name, der, size, why) && judge_key(&key, why) &&
			 take_key(keys, &key, why);
		if (!ok)
		{
			key_free(&key);
			snprintf(problem, KEYS_PROBLEM_MAX, "block %d: %s", block, why);
		}
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t) size);
	}
	/* anything but the file's end is a block that begins and is broken */
	if (ok && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		ok = says(problem, "is no PEM: a block is broken");
	else if (ok && keys->count == 0)
		ok = says(problem, "is neither JSON (a JWKS) nor PEM (BEGIN PUBLIC KEY)");
	BIO_free(bio);
	return ok;
}

static bool
read_pem_block(Key *key, const char *name, const uint8_t *der, long size, char *problem)
{
	const uint8_t *at = der;

	if (strstr(name, "PRIVATE") != NULL)
		return says(problem, no_private_keys);
	if (strcmp(name, "PUBLIC KEY") == 0)
		key->public_key = d2i_PUBKEY(NULL, &at, size);
	else if (strcmp(name, "RSA PUBLIC KEY") == 0)
		key->public_key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, size);
	else
	{
		snprintf(problem, KEYS_PROBLEM_MAX / 2, "is a %.60s, not a PUBLIC KEY", name);
		return false;
	}
	if (key->public_key == NULL || at != der + size)
		return says(problem, "is no public key that OpenSSL can read");
	switch (EVP_PKEY_get_base_id(key->public_key))
	{
		case EVP_PKEY_RSA: key->algorithm = ALGORITHM_RS256; return true;
		case EVP_PKEY_RSA_PSS: key->algorithm = ALGORITHM_PS256; return true;
		case EVP_PKEY_EC: key->algorithm = ALGORITHM_ES256; return true;
		case EVP_PKEY_ED25519: key->algorithm = ALGORITHM_EDDSA; return true;
		default: return says(problem, "keys of this kind are not used here");
	}
}

/* ---- what a key must be ---- */

/* Strong enough, and what its algorithm works with. */
static bool
judge_key(Key *key, char *problem)
{
	bool is_rsa = key->algorithm == ALGORITHM_RS256 || key->algorithm == ALGORITHM_PS256;
	int bits = EVP_PKEY_get_bits(key->public_key);
	char curve[32] = "";
	BIGNUM *exponent = NULL;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->public_key, NULL);
	bool ok = context != NULL && EVP_PKEY_public_check(context) == 1;

	EVP_PKEY_CTX_free(context);
	if (is_rsa && bits < KEY_RSA_LEAST)
	{
		snprintf(problem, KEYS_PROBLEM_MAX / 2,
				 "is too weak: an RSA key has %d bits at least, this one has %d", KEY_RSA_LEAST,
				 bits);
		return false;
	}
	if (key->algorithm == ALGORITHM_ES256 &&
		(EVP_PKEY_get_group_name(key->public_key, curve, sizeof curve, NULL) != 1 ||
		 strcmp(curve, SN_X9_62_prime256v1) != 0))
		return says(problem, "its curve is not P-256");
	/* with an exponent of 1 a signature is the message itself */
	if (is_rsa)
		ok = ok && EVP_PKEY_get_bn_param(key->public_key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 &&
			 BN_is_odd(exponent) && !BN_is_one(exponent);
	BN_free(exponent);
	return ok || says(problem, "is no valid key");
}

static bool
take_secret(Key *key, Bytes secret, char *problem)
{
	if (secret.size < KEY_SECRET_LEAST)
	{
		snprintf(problem, KEYS_PROBLEM_MAX / 2,
				 "is too weak: a secret has %d bytes at least, this one has %zu", KEY_SECRET_LEAST,
				 secret.size);
		return false;
	}
	key->secret = OPENSSL_memdup(secret.data, secret.size);
	key->secret_size = secret.size;
	return key->secret != NULL || says(problem, "out of memory");
}

/* Into the set; after false the key is still the caller's. */
static bool
take_key(Keys *keys, Key *key, char *problem)
{
	for (size_t i = 0; i < keys->count; i++)
		if (key->id != NULL && keys->keys[i].id != NULL &&
			keys->keys[i].algorithm == key->algorithm && strcmp(keys->keys[i].id, key->id) == 0)
			return says(problem, "another key has the same kid");
	if (keys->count == KEYS_MAX)
		return says(problem, "there are too many keys");
	Key *larger = realloc(keys->keys, (keys->count + 1) * sizeof *larger);

	if (larger == NULL)
		return says(problem, "out of memory");
	keys->keys = larger;
	if (!make_fingerprint(key))
		return says(problem, "cannot be written down");
	keys->keys[keys->count++] = *key;
	return true;
}

static bool
make_fingerprint(Key *key)
{
	uint8_t algorithm = (uint8_t) key->algorithm;
	uint8_t *der = NULL;
	int size = key->public_key != NULL ? i2d_PUBKEY(key->public_key, &der) : 0;
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	bool ok = hash != NULL && size >= 0 && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
			  EVP_DigestUpdate(hash, &algorithm, 1) == 1 &&
			  EVP_DigestUpdate(hash, der != NULL ? der : key->secret,
							   der != NULL ? (size_t) size : key->secret_size) == 1 &&
			  EVP_DigestFinal_ex(hash, key->fingerprint, NULL) == 1;

	EVP_MD_CTX_free(hash);
	OPENSSL_free(der);
	return ok;
}

static bool
is_text(Bytes bytes)
{
	for (size_t i = 0; i < bytes.size; i++)
		if (bytes.data[i] < 0x20 || bytes.data[i] > 0x7e)
			return false;
	return true;
}

/* Whoever has a public key could sign with it, were its file taken for a secret. */
static bool
is_key_file(Bytes file)
{
	const uint8_t *at = file.data;
	json_t *json = json_loadb((const char *) file.data, file.size, 0, NULL);
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long) file.size);
	bool is_one = json != NULL || key != NULL ||
				  memmem(file.data, file.size, "-----BEGIN", strlen("-----BEGIN")) != NULL;

	json_decref(json);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return is_one;
}

/* Always false, to be returned. */
static bool
says(char *problem, const char *what)
{
	snprintf(problem, KEYS_PROBLEM_MAX / 2, "%s", what);
	return false;
}

static void
key_free(Key *key)
{
	free(key->id);
	EVP_PKEY_free(key->public_key);
	OPENSSL_clear_free(key->secret, key->secret_size);
	*key = (Key){0};
}
