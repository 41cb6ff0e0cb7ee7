/*
 * identity.c: the relay's keys, and the token of a request.
 *
 * Here: where tokens are looked for, when a cookie counts, reading keys again.  Not here: whether a
 * token is good (token.c), what its claims allow (access.c: the database is asked).
 *
 * A token is never logged, nor anything that it says before its signature was checked.
 */
#include "identity.h"

#include <ctype.h>
#include <jansson.h>
#include <libwebsockets.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "config.h"
#include "key_files.h"
#include "log.h"
#include "metrics.h"
#include "tls.h"

#define ORIGIN_MAX 300
#define HEADER_MOST 16384 /* the listener lets no more through */

typedef enum Found
{
	FOUND_NOTHING,
	FOUND_TOKEN,
	FOUND_SEVERAL /* whose? */
} Found;

static Keys keys;
static char header[HEADER_MOST + 1]; /* one at a time */

static bool load(Keys *loaded);
static void log_keys(const Keys *loaded);
static void warn_unchecked(void);
static Identity *make_stranger(void);
static Found find_token(struct lws *wsi, Bytes *token);
static Found find_bearer(struct lws *wsi, Bytes *token);
static Found find_parameter(struct lws *wsi, Bytes *token);
static Found find_cookie(struct lws *wsi, Bytes *token);
static Found find_cookie_in(const char *at, const char *name, Bytes *value);
static bool is_secret(Bytes token, const char *prefix, size_t size);
static Identity *identity_of_secret(Bytes shown);
static bool may_use_cookie(struct lws *wsi);
static size_t host_size(const char *authority);
static bool is_loopback(const char *authority);
static const char *read_header(struct lws *wsi, enum lws_token_indexes index);

bool
identity_start(void)
{
	if (!identity_is_checked())
		warn_unchecked();
	else if (!load(&keys))
		return false;
	return true;
}

void
identity_stop(void)
{
	keys_free(&keys);
}

bool
identity_reload(void)
{
	Keys loaded;

	if (!identity_is_checked() || !load(&loaded))
		return false;
	keys_free(&keys);
	keys = loaded;
	return true;
}

bool
identity_is_checked(void)
{
	return config.jwt_keys != NULL || config.jwt_secret_file != NULL;
}

bool
identity_may_come(struct lws *wsi)
{
	char origin[ORIGIN_MAX], host[ORIGIN_MAX] = "";

	if (identity_is_checked() || lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) == 0)
		return true;
	if (lws_hdr_copy(wsi, origin, sizeof origin, WSI_TOKEN_ORIGIN) < 0)
		return false;
	const char *authority = strstr(origin, "://");
	bool is_here = authority != NULL && authority[3] != '\0' &&
				   lws_hdr_copy(wsi, host, sizeof host, WSI_TOKEN_HOST) > 0 &&
				   host_size(host) == host_size(authority + 3) &&
				   strncasecmp(host, authority + 3, host_size(host)) == 0 &&
				   (is_loopback(host) || !is_loopback(config.listen));

	if (is_here || identity_is_listed_origin(origin))
		return true;
	log_event(LEVEL_WARNING, "origin_refused", "{s:s, s:s}", "origin", origin, "hint",
			  "--origins names pages elsewhere that may use a relay without keys; *: any");
	return false;
}

bool
identity_may_be_called(const char *host)
{
	char origin[ORIGIN_MAX];

	if (identity_is_checked() || !is_loopback(config.listen) || is_loopback(host))
		return true;
	for (int i = 0; i < 2; i++)
	{
		int size = snprintf(origin, sizeof origin, "%s://%s", i == 0 ? "https" : "http", host);

		if (size < (int) sizeof origin && identity_is_listed_origin(origin))
			return true;
	}
	return false;
}

Identity *
identity_of_request(struct lws *wsi, TokenVerdict *refusal)
{
	Bytes token;
	Found found = identity_is_checked() ? find_token(wsi, &token) : FOUND_NOTHING;
	Identity *identity = NULL;

	*refusal = TOKEN_MALFORMED;
	if (found == FOUND_NOTHING)
	{
		identity = make_stranger();
		*refusal = identity != NULL ? TOKEN_VALID : TOKEN_OUT_OF_MEMORY;
	}
	else if (found == FOUND_TOKEN)
		identity = identity_of_token(token, refusal);
	OPENSSL_cleanse(header, strlen(header));
	return identity;
}

Identity *
identity_of_token(Bytes token, TokenVerdict *refusal)
{
	const TokenPolicy policy = {
		.keys = &keys,
		.audience = config.jwt_audience,
		.issuer = config.jwt_issuer,
		.leeway_seconds = config.jwt_leeway,
		.requires_expiry = config.jwt_require_exp,
	};
	bool is_link = is_secret(token, "ydoc_link_", 64);

	if (is_link || (config.sessions && is_secret(token, "ydoc_access_", 43)))
	{
		Identity *identity = is_link ? identity_of_secret(token) : identity_of_session(token);

		if (identity != NULL)
			identity->is_link = is_link;
		*refusal = identity != NULL ? TOKEN_VALID : TOKEN_OUT_OF_MEMORY;
		return identity;
	}
	Identity *identity = calloc(1, sizeof *identity);

	*refusal = TOKEN_OUT_OF_MEMORY;
	if (identity == NULL)
		return NULL;
	*refusal = token_check(token, &policy, (int64_t) time(NULL), &identity->token);
	identity->references = 1;
	if (*refusal == TOKEN_VALID && config.pass_tokens)
	{
		identity->shown = strndup((const char *) token.data, token.size);
		*refusal = identity->shown != NULL ? TOKEN_VALID : TOKEN_OUT_OF_MEMORY;
	}
	if (*refusal == TOKEN_VALID)
		return identity;
	identity_release(identity);
	return NULL;
}

/* What the database has given somebody, and alone can tell whether it is good. */
static bool
is_secret(Bytes token, const char *prefix, size_t size)
{
	size_t prefix_size = strlen(prefix);

	if (token.size != prefix_size + size || memcmp(token.data, prefix, prefix_size) != 0)
		return false;
	for (size_t i = prefix_size; i < token.size; i++)
		if (token.data[i] != '-' && token.data[i] != '_' && !isalnum(token.data[i]))
			return false;
	return true;
}

Identity *
identity_of_session(Bytes shown)
{
	Identity *identity = identity_of_secret(shown);

	if (identity != NULL)
		identity->is_session = true;
	return identity;
}

static Identity *
identity_of_secret(Bytes shown)
{
	Identity *identity = make_stranger();

	if (identity == NULL)
		return NULL;
	identity->is_stranger = false;
	identity->shown = strndup((const char *) shown.data, shown.size);
	if (identity->shown != NULL)
		return identity;
	identity_release(identity);
	return NULL;
}

bool
identity_is_current(const Identity *identity)
{
	return identity->is_stranger || identity->is_session || identity->is_link ||
		   (identity->token.expires_at > (int64_t) time(NULL) &&
			keys_have(&keys, identity->token.key));
}

bool
identity_is_own_origin(const char *origin, const char *host)
{
	bool is_https = strncasecmp(origin, "https://", 8) == 0;
	bool is_http = strncasecmp(origin, "http://", 7) == 0;
	/* what came without TLS may be anybody's who stands in the network */
	bool needs_tls =
		tls_is_on() || (config.sessions && config.secure_cookies && !is_loopback(host));

	return (is_https || (is_http && !needs_tls)) &&
		   strcasecmp(origin + (is_https ? 8 : 7), host) == 0;
}

bool
identity_is_listed_origin(const char *origin)
{
	const char *at = config.origins != NULL ? config.origins : "";

	for (size_t size; *at != '\0'; at += size)
	{
		at += strspn(at, ", ");
		size = strcspn(at, ", ");
		if ((size == strlen(origin) && strncasecmp(at, origin, size) == 0) ||
			(size == 1 && *at == '*' && !identity_is_checked()))
			return true;
	}
	return false;
}

Bytes
identity_claims(const Identity *identity)
{
	const char *text = identity->shown != NULL ? identity->shown : identity->token.json;

	return (Bytes){(const uint8_t *) text, strlen(text)};
}

Identity *
identity_retain(Identity *identity)
{
	identity->references++;
	return identity;
}

void
identity_release(Identity *identity)
{
	if (identity == NULL || --identity->references > 0)
		return;
	token_claims_free(&identity->token);
	if (identity->shown != NULL)
		OPENSSL_cleanse(identity->shown, strlen(identity->shown));
	free(identity->shown);
	free(identity);
}

/* ---- keys ---- */

static bool
load(Keys *loaded)
{
	char problem[KEYS_PROBLEM_MAX];

	if (!key_files_load(loaded, config.jwt_keys, config.jwt_secret_file, problem))
	{
		log_event(LEVEL_ERROR, "keys_bad", "{s:s}", "reason", problem);
		return false;
	}
	log_keys(loaded);
	return true;
}

static void
log_keys(const Keys *loaded)
{
	for (size_t i = 0; i < loaded->count; i++)
		log_event(LEVEL_INFO, "key_loaded", "{s:s?, s:s}", "kid", loaded->keys[i].id, "algorithm",
				  algorithm_name(loaded->keys[i].algorithm));
}

/* Fine on a machine of one's own; anywhere else it should be said. */
static void
warn_unchecked(void)
{
	if (!is_loopback(config.listen))
		log_event(LEVEL_WARNING, "users_unchecked", "{s:s, s:s}", "listen", config.listen, "hint",
				  "whoever reaches this port reads and writes every document: see --jwt-keys");
}

static Identity *
make_stranger(void)
{
	Identity *identity = calloc(1, sizeof *identity);

	if (identity == NULL)
		return NULL;
	*identity = (Identity){.references = 1,
						   .token = {.json = strdup("{}"), .expires_at = INT64_MAX},
						   .is_stranger = true};
	if (identity->token.json != NULL)
		return identity;
	free(identity);
	return NULL;
}

/* ---- where a token may be ---- */

/* The token is in header[]. */
static Found
find_token(struct lws *wsi, Bytes *token)
{
	Found found = find_bearer(wsi, token);

	if (found == FOUND_NOTHING)
		found = find_parameter(wsi, token);
	if (found == FOUND_NOTHING)
		found = find_cookie(wsi, token);
	return found;
}

/* Another scheme (Basic) is meant for a proxy before us. */
static Found
find_bearer(struct lws *wsi, Bytes *token)
{
	static const char scheme[] = "Bearer ";
	const char *value = read_header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);

	if (strncasecmp(value, scheme, sizeof scheme - 1) != 0)
		return FOUND_NOTHING;
	value += sizeof scheme - 1;
	while (*value == ' ')
		value++;
	*token = (Bytes){(const uint8_t *) value, strlen(value)};
	return FOUND_TOKEN;
}

static Found
find_parameter(struct lws *wsi, Bytes *token)
{
	static const char name[] = "token=";
	static char parameter[HEADER_MOST + 1];
	static bool has_said_so;
	Found found = FOUND_NOTHING;

	for (int i = 0, size; (size = lws_hdr_copy_fragment(wsi, parameter, sizeof parameter,
														WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0;
		 i++)
	{
		if (strncmp(parameter, name, sizeof name - 1) != 0 || size == sizeof name - 1)
			continue;
		if (!config.token_in_url)
		{
			if (!has_said_so)
				log_event(
					LEVEL_WARNING, "token_in_url_ignored", "{s:s}", "hint",
					"it ends up in the logs of proxies; --token-in-url takes it all the same");
			has_said_so = true;
			return FOUND_NOTHING;
		}
		if (found != FOUND_NOTHING)
			return FOUND_SEVERAL;
		found = FOUND_TOKEN;
		memcpy(header, parameter, (size_t) size + 1);
		*token =
			(Bytes){(const uint8_t *) header + sizeof name - 1, strlen(header + sizeof name - 1)};
	}
	OPENSSL_cleanse(parameter, sizeof parameter);
	return found;
}

bool
identity_find_cookie(const char *field, const char *name, Bytes *value)
{
	return find_cookie_in(field, name, value) == FOUND_TOKEN;
}

static Found
find_cookie_in(const char *at, const char *name, Bytes *value)
{
	size_t name_size = strlen(name);
	Found found = FOUND_NOTHING;

	for (const char *end; *at != '\0'; at = *end == ';' ? end + 1 : end)
	{
		at += strspn(at, " \t");
		end = at + strcspn(at, ";");
		if (strncmp(at, name, name_size) != 0 || at[name_size] != '=')
			continue;
		Bytes one = {(const uint8_t *) at + name_size + 1, (size_t) (end - at) - name_size - 1};

		while (one.size > 0 && strchr(" \t", one.data[one.size - 1]) != NULL)
			one.size--;
		if (one.size >= 2 && one.data[0] == '"' && one.data[one.size - 1] == '"')
			one = (Bytes){one.data + 1, one.size - 2};
		if (found != FOUND_NOTHING)
			return FOUND_SEVERAL;
		found = FOUND_TOKEN;
		*value = one;
	}
	return found;
}

/*
 * A cookie comes along from any page that a browser shows, so it counts for pages that we trust alone.
 * Two of one name come from two places (a neighbouring host may set one for the domain): nobody can
 * tell which is meant.
 */
static Found
find_cookie(struct lws *wsi, Bytes *token)
{
	char name[300];
	Found found;

	if (config.cookie[0] == '\0')
		return FOUND_NOTHING;
	snprintf(name, sizeof name, "%s%s", config.sessions && config.secure_cookies ? "__Host-" : "",
			 config.cookie);
	found = find_cookie_in(read_header(wsi, WSI_TOKEN_HTTP_COOKIE), name, token);
	if (found == FOUND_TOKEN && (token->size == 0 || !may_use_cookie(wsi)))
		return FOUND_NOTHING; /* signed out; or another's page */
	return found;
}

/* Programs send no Origin; a page of ours sends our own host. */
static bool
may_use_cookie(struct lws *wsi)
{
	char origin[ORIGIN_MAX] = "", host[ORIGIN_MAX] = "";
	int size = lws_hdr_copy(wsi, origin, sizeof origin, WSI_TOKEN_ORIGIN);

	if (lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) == 0)
		return true;
	if (size < 0)
		return false; /* absurd */
	bool is_ours = lws_hdr_copy(wsi, host, sizeof host, WSI_TOKEN_HOST) > 0 &&
				   identity_is_own_origin(origin, host);

	if (is_ours || identity_is_listed_origin(origin))
		return true;
	log_event(LEVEL_INFO, "cookie_ignored", "{s:s, s:s}", "origin", origin, "hint",
			  "a page from elsewhere: --origins names those that may use the cookie");
	return false;
}

/* Of HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT. */
static size_t
host_size(const char *authority)
{
	const char *bracket = authority[0] == '[' ? strchr(authority, ']') : NULL;

	return bracket != NULL ? (size_t) (bracket + 1 - authority) : strcspn(authority, ":/");
}

/* This machine, by a name that nobody else can give out. */
static bool
is_loopback(const char *authority)
{
	size_t size = host_size(authority);
	bool is_number = size > 4 && strspn(authority, "0123456789.") == size;

	return (is_number && strncmp(authority, "127.", 4) == 0) ||
		   (size == 5 && strncmp(authority, "[::1]", 5) == 0) ||
		   (size == 9 && strncasecmp(authority, "localhost", 9) == 0);
}

/* Into header[]; empty if there is none, or if it is larger than any we let in. */
static const char *
read_header(struct lws *wsi, enum lws_token_indexes index)
{
	if (lws_hdr_copy(wsi, header, sizeof header, index) < 0)
		header[0] = '\0';
	return header;
}
