/*
 * tokens.c: any bytes as a token, as what a token says, as a file of keys.
 *
 *     [what] 0: a token   1: header, a zero byte, payload, which get a good signature
 *            2: a file of keys   3: the file of a secret
 *
 * A token that is taken makes claims that PostgreSQL takes: JSON, each member once, no U+0000.
 */
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "../../../token/token.h"
#include "limits.h"

#define NOW 1700000000

static const char secret[] = "a secret of more than thirty-two bytes";
static Keys keys;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	/* public keys of nobody's, from RFC 7515 A.3 and RFC 8037 A.2 */
	static const char file[] = "{\"keys\": [{\"kty\": \"EC\", \"crv\": \"P-256\", \"kid\": \"es\","
							   " \"x\": \"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
							   " \"y\": \"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
							   " {\"kty\": \"OKP\", \"crv\": \"Ed25519\","
							   " \"x\": \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
	char problem[KEYS_PROBLEM_MAX] = "";

	(void) argc, (void) argv;
	fuzz_require(
		keys_read(&keys, (Bytes){(const uint8_t *) file, sizeof file - 1}, problem) &&
			keys_read_secret(&keys, (Bytes){(const uint8_t *) secret, sizeof secret - 1}, problem),
		problem);
	return 0;
}

static void
check(Bytes token)
{
	const TokenPolicy policy = {.keys = &keys, .audience = NULL, .leeway_seconds = 30};
	TokenClaims claims;
	TokenVerdict verdict = token_check(token, &policy, NOW, &claims);

	fuzz_require(verdict < TOKEN_VERDICTS && token_reason(verdict) != NULL, "no verdict");
	if (verdict == TOKEN_VALID)
	{
		json_t *again = json_loads(claims.json, JSON_REJECT_DUPLICATES, NULL);

		/* nor with U+0000, which is refused here as by jsonb */
		fuzz_require(json_is_object(again), "claims that are no JSON");
		fuzz_require(claims.expires_at > NOW, "an expired token");
		fuzz_require(claims.subject == NULL || strpbrk(claims.subject, "\n\r\t\x1b\x7f") == NULL,
					 "a subject with control characters");
		json_decref(again);
	}
	else
		fuzz_require(claims.json == NULL && claims.subject == NULL, "claims of a refused token");
	token_claims_free(&claims);
}

/* Appends to a text of base64 with padding, and makes base64url of it. */
static char *
append_base64url(char *at, const uint8_t *bytes, size_t size)
{
	char *end = at + EVP_EncodeBlock((unsigned char *) at, bytes, (int) size);

	for (char *letter = at; letter < end; letter++)
		*letter = *letter == '+' ? '-' : *letter == '/' ? '_' : *letter;
	while (end > at && end[-1] == '=')
		end--;
	return end;
}

static void
check_signed(Bytes header, Bytes payload)
{
	uint8_t signature[EVP_MAX_MD_SIZE];
	unsigned signature_size;
	char *token = malloc((header.size + payload.size) * 2 + 200);
	char *at = append_base64url(token, header.data, header.size);

	*at++ = '.';
	at = append_base64url(at, payload.data, payload.size);
	HMAC(EVP_sha256(), secret, sizeof secret - 1, (uint8_t *) token, (size_t) (at - token),
		 signature, &signature_size);
	*at++ = '.';
	at = append_base64url(at, signature, signature_size);
	check((Bytes){(uint8_t *) token, (size_t) (at - token)});
	free(token);
}

static void
read_file(Bytes file, bool is_secret)
{
	char problem[KEYS_PROBLEM_MAX] = "";
	Keys read = {0};
	bool ok = is_secret ? keys_read_secret(&read, file, problem) : keys_read(&read, file, problem);

	fuzz_require(ok ? read.count > 0 : problem[0] != '\0', "neither keys nor a problem");
	for (size_t i = 0; i < read.count; i++)
		fuzz_require(keys_have(&read, read.keys[i].fingerprint), "a key that is not there");
	keys_free(&read);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	Bytes rest = {data + 1, size - 1};
	const uint8_t *zero = size > 1 ? memchr(rest.data, 0, rest.size) : NULL;

	if (data[0] == 0)
		check(rest);
	else if (data[0] == 1 && zero != NULL)
		check_signed((Bytes){rest.data, (size_t) (zero - rest.data)},
					 (Bytes){zero + 1, (size_t) (data + size - zero - 1)});
	else if (data[0] == 2 || data[0] == 3)
		read_file(rest, data[0] == 3);
	return 0;
}
