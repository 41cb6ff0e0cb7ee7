/*
 * token.c: is this token good, here and now, and what does it claim?
 *
 * Here: RFC 7515, 7519, 8725: the three parts, the header, the signature, the claims.  Not here: keys
 * and their files (keys.c), where tokens come from (identity.c), what claims allow (the database).
 *
 * Why not a library: those in Debian 12 take a header member twice, an extension that must be
 * understood and is not, keys of any strength and a key's own algorithm for a proposal; and none of
 * them that stands on OpenSSL knows Ed25519.  What is left is the arithmetic, which is OpenSSL's, and
 * JSON, which is jansson's.
 */
#include "token.h"

#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base64url.h"

#define HS256_BYTES 32
#define P256_BYTES 32
#define P256_DER_MOST 72 /* of a signature */
#define SIGNATURE_MOST 2048 /* bytes: RSA of 16384 bits */

typedef struct Parts /* of a token; base64url */
{
	Bytes header, payload, signature;
	Bytes signed_text; /* header and payload with their dot */
} Parts;

static bool split(Bytes token, Parts *parts);
static json_t *decode_object(Bytes text);
static TokenVerdict check_header(const json_t *header, Algorithm *algorithm, Bytes *key_id);
static bool asks_for_more(const json_t *header);
static bool is_type_of_ours(const json_t *type);
static TokenVerdict check_signature(const Parts *parts, const Key *key);
static bool check_hmac(const Key *key, Bytes text, Bytes signature);
static bool check_public(const Key *key, Bytes text, Bytes signature);
static bool encode_ecdsa(Bytes signature, uint8_t *der, size_t *size);
static TokenVerdict
check_claims(const json_t *payload, const TokenPolicy *policy, int64_t now, int64_t *expires_at);
static bool read_time(const json_t *payload, const char *name, int64_t *seconds, bool *is_there);
static TokenVerdict check_audience(const json_t *audience, const char *wanted);
static bool is_subject(const json_t *subject);

TokenVerdict
token_check(Bytes token, const TokenPolicy *policy, int64_t now, TokenClaims *claims)
{
	Parts parts;
	Algorithm algorithm;
	Bytes key_id;
	bool is_ambiguous;

	*claims = (TokenClaims){0};
	if (token.size > TOKEN_MAX)
		return TOKEN_TOO_LONG;
	if (!split(token, &parts))
		return TOKEN_MALFORMED;
	json_t *header = decode_object(parts.header), *payload = NULL;
	TokenVerdict verdict =
		header != NULL ? check_header(header, &algorithm, &key_id) : TOKEN_MALFORMED;

	if (verdict == TOKEN_VALID)
	{
		const Key *key = keys_find(policy->keys, algorithm, key_id, &is_ambiguous);

		verdict = key != NULL    ? check_signature(&parts, key)
				  : is_ambiguous ? TOKEN_KEY_AMBIGUOUS
								 : TOKEN_KEY_UNKNOWN;
		if (verdict == TOKEN_VALID)
			memcpy(claims->key, key->fingerprint, sizeof claims->key);
	}
	if (verdict == TOKEN_VALID)
	{
		payload = decode_object(parts.payload);
		verdict = payload != NULL ? check_claims(payload, policy, now, &claims->expires_at)
								  : TOKEN_MALFORMED;
	}
	if (verdict == TOKEN_VALID)
	{
		const char *subject = json_string_value(json_object_get(payload, "sub"));

		claims->json = json_dumps(payload, JSON_COMPACT);
		claims->subject = subject != NULL ? strdup(subject) : NULL;
		if (claims->json == NULL || (subject != NULL && claims->subject == NULL))
			verdict = TOKEN_OUT_OF_MEMORY;
	}
	if (verdict != TOKEN_VALID)
		token_claims_free(claims);
	json_decref(header);
	json_decref(payload);
	ERR_clear_error(); /* a signature that is wrong is no error of whoever uses OpenSSL next */
	return verdict;
}

const char *
token_reason(TokenVerdict verdict)
{
	static const char *const reasons[TOKEN_VERDICTS] = {
		[TOKEN_VALID] = "valid",
		[TOKEN_TOO_LONG] = "too long",
		[TOKEN_MALFORMED] = "malformed",
		[TOKEN_UNSUPPORTED] = "asks for something that is not supported",
		[TOKEN_ALGORITHM_REFUSED] = "algorithm refused",
		[TOKEN_KEY_UNKNOWN] = "no such key",
		[TOKEN_KEY_AMBIGUOUS] = "names no key, and there are several",
		[TOKEN_SIGNATURE_WRONG] = "wrong signature",
		[TOKEN_TIME_WRONG] = "its times are not seconds since 1970",
		[TOKEN_EXPIRED] = "expired",
		[TOKEN_NOT_YET_VALID] = "not yet valid",
		[TOKEN_EXPIRY_MISSING] = "never expires",
		[TOKEN_AUDIENCE_WRONG] = "for another audience",
		[TOKEN_ISSUER_WRONG] = "from another issuer",
		[TOKEN_OUT_OF_MEMORY] = "out of memory",
	};

	return reasons[verdict];
}

void
token_claims_free(TokenClaims *claims)
{
	free(claims->json);
	free(claims->subject);
	*claims = (TokenClaims){0};
}

/* ---- the three parts ---- */

static bool
split(Bytes token, Parts *parts)
{
	const uint8_t *end = token.data + token.size;
	const uint8_t *first = token.size > 0 ? memchr(token.data, '.', token.size) : NULL;
	const uint8_t *second =
		first != NULL ? memchr(first + 1, '.', (size_t) (end - first - 1)) : NULL;

	/* an encrypted token has five parts; no letter of base64url is a dot, so a third one is found there */
	if (second == NULL)
		return false;
	parts->header = (Bytes){token.data, (size_t) (first - token.data)};
	parts->payload = (Bytes){first + 1, (size_t) (second - first - 1)};
	parts->signature = (Bytes){second + 1, (size_t) (end - second - 1)};
	parts->signed_text = (Bytes){token.data, (size_t) (second - token.data)};
	return true;
}

/* Strictly: UTF-8, no member twice, at any depth, nothing behind it, no U+0000.  NULL otherwise. */
static json_t *
decode_object(Bytes text)
{
	uint8_t bytes[BASE64URL_BYTES(TOKEN_MAX)];
	size_t size;

	if (!base64url_decode(text, bytes, &size))
		return NULL;
	json_t *value = json_loadb((const char *) bytes, size, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(value))
		return value;
	json_decref(value);
	return NULL;
}

/* ---- the header ---- */

/* *key_id has no data if it names none. */
static TokenVerdict
check_header(const json_t *header, Algorithm *algorithm, Bytes *key_id)
{
	const json_t *name = json_object_get(header, "alg"), *id = json_object_get(header, "kid");

	if (!json_is_string(name) || (id != NULL && !json_is_string(id)))
		return TOKEN_MALFORMED;
	if (asks_for_more(header) || !is_type_of_ours(json_object_get(header, "typ")))
		return TOKEN_UNSUPPORTED;
	*key_id = (Bytes){(const uint8_t *) json_string_value(id), json_string_length(id)};
	return algorithm_find(
			   (Bytes){(const uint8_t *) json_string_value(name), json_string_length(name)},
			   algorithm)
			   ? TOKEN_VALID
			   : TOKEN_ALGORITHM_REFUSED;
}

static bool
asks_for_more(const json_t *header)
{
	static const char *const members[] = {
		"crit", /* extensions that must be understood: there is none */
		"b64", /* RFC 7797: the payload is not base64url */
		"zip",  "enc", /* of encrypted tokens */
		"cty", /* the payload is a token itself */
	};

	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
		if (json_object_get(header, members[i]) != NULL)
			return true;
	return false;
}

/* A token of another type (for logging out, of an event, …) must not pass for one that lets in. */
static bool
is_type_of_ours(const json_t *type)
{
	static const char prefix[] = "application/";
	const char *name = json_string_value(type);

	if (type == NULL)
		return true;
	if (name != NULL && strncasecmp(name, prefix, sizeof prefix - 1) == 0)
		name += sizeof prefix - 1;
	return name != NULL && (strcasecmp(name, "JWT") == 0 || strcasecmp(name, "at+jwt") == 0);
}

/* ---- the signature ---- */

static TokenVerdict
check_signature(const Parts *parts, const Key *key)
{
	uint8_t bytes[SIGNATURE_MOST];
	size_t size;

	if (BASE64URL_BYTES(parts->signature.size) > sizeof bytes ||
		!base64url_decode(parts->signature, bytes, &size))
		return TOKEN_MALFORMED;
	Bytes signature = {bytes, size};
	bool is_right = key->algorithm == ALGORITHM_HS256
						? check_hmac(key, parts->signed_text, signature)
						: check_public(key, parts->signed_text, signature);

	return is_right ? TOKEN_VALID : TOKEN_SIGNATURE_WRONG;
}

/* In a time that does not tell how much of it is right. */
static bool
check_hmac(const Key *key, Bytes text, Bytes signature)
{
	uint8_t expected[EVP_MAX_MD_SIZE];
	unsigned size;

	return signature.size == HS256_BYTES &&
		   HMAC(EVP_sha256(), key->secret, (int) key->secret_size, text.data, text.size, expected,
				&size) != NULL &&
		   size == HS256_BYTES && CRYPTO_memcmp(expected, signature.data, HS256_BYTES) == 0;
}

static bool
check_public(const Key *key, Bytes text, Bytes signature)
{
	uint8_t der[P256_DER_MOST];
	size_t size = sizeof der;
	const EVP_MD *hash = key->algorithm == ALGORITHM_EDDSA ? NULL : EVP_sha256();
	EVP_PKEY_CTX *options; /* the context's */
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool ok = context != NULL;

	if (key->algorithm == ALGORITHM_ES256)
	{
		ok = ok && encode_ecdsa(signature, der, &size);
		signature = (Bytes){der, size};
	}
	ok = ok && EVP_DigestVerifyInit(context, &options, hash, NULL, key->public_key) == 1;
	if (key->algorithm == ALGORITHM_RS256)
		ok = ok && EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PADDING) == 1;
	if (key->algorithm == ALGORITHM_PS256)
		ok = ok && EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
			 EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1 &&
			 EVP_PKEY_CTX_set_rsa_mgf1_md(options, hash) == 1;
	ok = ok && EVP_DigestVerify(context, signature.data, signature.size, text.data, text.size) == 1;
	EVP_MD_CTX_free(context);
	return ok;
}

/* JOSE writes r and s in 32 bytes each, OpenSSL reads them in DER.  That both are from 1 to the order
 * of the curve is checked by OpenSSL, as by us for 0: with r = s = 0 anything would have been signed. */
static bool
encode_ecdsa(Bytes signature, uint8_t *der, size_t *size)
{
	if (signature.size != 2 * P256_BYTES)
		return false;
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(signature.data, P256_BYTES, NULL);
	BIGNUM *s = BN_bin2bn(signature.data + P256_BYTES, P256_BYTES, NULL);
	bool ok = pair != NULL && r != NULL && s != NULL && !BN_is_zero(r) && !BN_is_zero(s) &&
			  ECDSA_SIG_set0(pair, r, s) == 1;

	if (!ok) /* else they are the pair's */
	{
		BN_free(r);
		BN_free(s);
	}
	int length = ok ? i2d_ECDSA_SIG(pair, NULL) : 0;

	ok = ok && length > 0 && (size_t) length <= *size;
	if (ok)
		*size = (size_t) i2d_ECDSA_SIG(pair, &der);
	ECDSA_SIG_free(pair);
	return ok;
}

/* ---- the claims ---- */

static TokenVerdict
check_claims(const json_t *payload, const TokenPolicy *policy, int64_t now, int64_t *expires_at)
{
	const json_t *issuer = json_object_get(payload, "iss");
	int64_t expiry, begin, issued;
	bool expires, begins, is_dated;

	if ((issuer != NULL && !json_is_string(issuer)) || !is_subject(json_object_get(payload, "sub")))
		return TOKEN_MALFORMED;
	if (!read_time(payload, "exp", &expiry, &expires) ||
		!read_time(payload, "nbf", &begin, &begins) ||
		!read_time(payload, "iat", &issued, &is_dated))
		return TOKEN_TIME_WRONG;
	*expires_at = expires ? expiry + policy->leeway_seconds : INT64_MAX;
	if (!expires && policy->requires_expiry)
		return TOKEN_EXPIRY_MISSING;
	if (now >= *expires_at)
		return TOKEN_EXPIRED;
	if (begins && now + policy->leeway_seconds < begin)
		return TOKEN_NOT_YET_VALID;
	if (policy->issuer != NULL &&
		(issuer == NULL || strlen(policy->issuer) != json_string_length(issuer) ||
		 strcmp(policy->issuer, json_string_value(issuer)) != 0))
		return TOKEN_ISSUER_WRONG;
	return check_audience(json_object_get(payload, "aud"), policy->audience);
}

/* Seconds, whole ones after a fraction.  False if it is there and no time between 1970 and 9999. */
static bool
read_time(const json_t *payload, const char *name, int64_t *seconds, bool *is_there)
{
	const json_t *value = json_object_get(payload, name);

	*is_there = value != NULL;
	if (value == NULL)
		return true;
	if (!json_is_number(value))
		return false;
	double number = json_number_value(value);

	if (!(number >= 0 && number <= (double) TOKEN_LATEST))
		return false;
	*seconds = json_is_integer(value) ? json_integer_value(value) : (int64_t) number;
	return true;
}

static TokenVerdict
check_audience(const json_t *audience, const char *wanted)
{
	bool is_meant = false;
	size_t index;
	const json_t *one;

	if (audience == NULL)
		return wanted == NULL ? TOKEN_VALID : TOKEN_AUDIENCE_WRONG;
	if (json_is_string(audience))
		is_meant = wanted != NULL && strcmp(json_string_value(audience), wanted) == 0;
	else if (!json_is_array(audience))
		return TOKEN_MALFORMED;
	json_array_foreach(audience, index, one)
	{
		if (!json_is_string(one))
			return TOKEN_MALFORMED;
		is_meant |= wanted != NULL && strcmp(json_string_value(one), wanted) == 0;
	}
	return is_meant ? TOKEN_VALID : TOKEN_AUDIENCE_WRONG;
}

/* It is written beside updates and shown to people: text, without control characters. */
static bool
is_subject(const json_t *subject)
{
	const unsigned char *text = (const unsigned char *) json_string_value(subject);

	if (subject == NULL)
		return true;
	if (text == NULL)
		return false;
	for (; *text != '\0'; text++)
		if (*text < 0x20 || *text == 0x7f || (text[0] == 0xc2 && text[1] < 0xa0)) /* U+0080 to 9F */
			return false;
	return true;
}
