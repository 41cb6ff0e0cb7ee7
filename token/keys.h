/*
 * The keys that tokens are checked with: read once, then only looked up.
 *
 *     Keys keys = {0};
 *     char problem[KEYS_PROBLEM_MAX];
 *     if (!keys_read(&keys, jwks, problem)) ...                    problem says what is wrong
 *     const Key *key = keys_find(&keys, ALGORITHM_ES256, id, &is_known);
 *     keys_free(&keys);
 *
 * A key is used with one algorithm, the one that its file gives it, whatever a token says (RFC 8725
 * section 3.1).  The file's word, or its key's kind:
 *
 *     JWK   alg, else  oct HS256   RSA RS256   EC P-256 ES256   OKP Ed25519 EdDSA
 *     PEM              RSA RS256   RSA-PSS PS256   EC P-256 ES256   Ed25519 EdDSA
 *     raw secret       HS256
 *
 * PS256 is never guessed: a JWK says "alg": "PS256", or the PEM's key is one for RSA-PSS.  Keys of a
 * JWKS that serve something else (another algorithm, encryption) are left out (and said), since an
 * issuer publishes them beside ours; one that is weak, private or broken makes the file bad.
 */
#ifndef TOKEN_KEYS_H
#define TOKEN_KEYS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

enum
{
	KEYS_PROBLEM_MAX = 512,
	KEYS_MAX = 100,
	KEYS_FILE_MAX = 1 << 20, /* bytes */
	KEY_FINGERPRINT_SIZE = 32,
	KEY_SECRET_LEAST = 32, /* bytes: RFC 7518 section 3.2 */
	KEY_RSA_LEAST = 2048 /* bits: RFC 7518 section 3.3 */
};

typedef enum Algorithm
{
	ALGORITHM_HS256,
	ALGORITHM_RS256,
	ALGORITHM_PS256,
	ALGORITHM_ES256,
	ALGORITHM_EDDSA, /* with Ed25519 alone; RFC 9864 calls it Ed25519 */
	ALGORITHM_COUNT
} Algorithm;

typedef struct Key
{
	char *id; /* its kid; NULL: it has none, and takes tokens whatever kid they name */
	Algorithm algorithm;
	EVP_PKEY *public_key; /* NULL for HS256 */
	uint8_t *secret; /* for HS256 */
	size_t secret_size;
	uint8_t fingerprint
		[KEY_FINGERPRINT_SIZE]; /* of key and algorithm: the same key in another file has the same */
} Key;

typedef struct Keys /* {0} is an empty set */
{
	Key *keys;
	size_t count;
	void (*left_out)(const char *id,
					 const char *why); /* hears of keys for something else; may be NULL */
} Keys;

/* Reads a JWKS, a JWK, or public keys as PEM; or a secret.  Each adds to keys; after false, and saying why in
 * problem, it may hold some of them. */
bool keys_read(Keys *keys, Bytes file, char problem[KEYS_PROBLEM_MAX]);
bool keys_read_secret(Keys *keys, Bytes file, char problem[KEYS_PROBLEM_MAX]);

/*
 * The key for a token of that algorithm.  With an id (data not NULL): the one that has it, else the only
 * one that has none.  Without: the only one of that algorithm.  NULL otherwise; *is_ambiguous tells
 * whether there was more than one.
 */
const Key *keys_find(const Keys *keys, Algorithm algorithm, Bytes id, bool *is_ambiguous);

/* Is a key of that fingerprint among them? */
bool keys_have(const Keys *keys, const uint8_t fingerprint[KEY_FINGERPRINT_SIZE]);

void keys_free(Keys *keys);

/* False if it is none of ours, "none" included. */
bool algorithm_find(Bytes name, Algorithm *algorithm);
const char *algorithm_name(Algorithm algorithm);

#endif
