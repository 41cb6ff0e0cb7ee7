/*
 * A token: a JWT as RFC 7519 has it, signed (JWS, compact form), checked as RFC 8725 asks.
 *
 *     TokenPolicy policy = {&keys, .audience = "notes", .leeway_seconds = 30, .requires_expiry = true};
 *     TokenClaims claims;
 *     TokenVerdict verdict = token_check(bytes, &policy, time(NULL), &claims);
 *     if (verdict != TOKEN_VALID)
 *         log(token_reason(verdict));
 *     ... claims.json ...
 *     token_claims_free(&claims);
 *
 *     token := base64url header "." base64url payload "." base64url signature
 *
 * The key decides the algorithm, never the token: its header is only compared.  Nothing a header
 * brings along (jwk, jku, x5u, x5c) is looked at, whatever it asks for that we do not do (crit, zip,
 * cty, b64, enc, another typ) refuses it, and no claim counts before the signature does.  A function
 * of its parameters alone: no clock, no file, nothing kept.
 */
#ifndef TOKEN_TOKEN_H
#define TOKEN_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "keys.h"

enum
{
	TOKEN_MAX = 8192 /* bytes */
};

#define TOKEN_LATEST INT64_C(253402300799) /* the last second of the year 9999: no claim is later */

typedef struct TokenPolicy
{
	const Keys *keys;
	const char *
		audience; /* one of aud must be this; NULL: there must be no aud, for then it is not for us */
	const char *issuer; /* iss must be this; NULL: any */
	int64_t leeway_seconds; /* that clocks may differ */
	bool requires_expiry; /* exp must be there */
} TokenPolicy;

typedef struct TokenClaims
{
	char *json; /* the payload, written anew: valid JSON in UTF-8, each member once, no U+0000 */
	char *subject; /* sub; NULL: it has none */
	int64_t expires_at; /* from this second on it would be refused; INT64_MAX: never */
	uint8_t key[KEY_FINGERPRINT_SIZE]; /* that it was signed with */
} TokenClaims;

typedef enum TokenVerdict
{
	TOKEN_VALID,
	TOKEN_TOO_LONG,
	TOKEN_MALFORMED, /* not three parts of base64url, or not JSON objects with what must be in them */
	TOKEN_UNSUPPORTED, /* an extension, an encrypted or nested token, another kind of token */
	TOKEN_ALGORITHM_REFUSED, /* none, or one that is not ours */
	TOKEN_KEY_UNKNOWN, /* no key has this kid and algorithm */
	TOKEN_KEY_AMBIGUOUS, /* it names none, and several could be meant */
	TOKEN_SIGNATURE_WRONG,
	TOKEN_TIME_WRONG, /* exp, nbf or iat is no number of seconds: a text, milliseconds, beyond 9999 */
	TOKEN_EXPIRED,
	TOKEN_NOT_YET_VALID,
	TOKEN_EXPIRY_MISSING,
	TOKEN_AUDIENCE_WRONG,
	TOKEN_ISSUER_WRONG,
	TOKEN_OUT_OF_MEMORY,
	TOKEN_VERDICTS
} TokenVerdict;

/* now in seconds since 1970.  claims are the caller's to free if the token is valid, else empty. */
TokenVerdict token_check(Bytes token, const TokenPolicy *policy, int64_t now, TokenClaims *claims);

/* For people, and to count by; says nothing of the token's content. */
const char *token_reason(TokenVerdict verdict);

void token_claims_free(TokenClaims *claims);

#endif
