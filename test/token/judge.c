/*
 * judge.c: token/token.c and token/keys.c as a filter, for tests in another language.
 *
 * One JSON object per line in, one out; bytes are hexadecimal.
 *
 *     {"keys": "7b…", "secret": "…"}                          of the two files, either may be missing
 *         -> {"keys": [{"kid": …, "alg": …}]}  or  {"problem": "…"}
 *     {…, "token": "65…", "now": 1700000000, "audience": "a", "issuer": "i", "leeway": 0, "expires": true}
 *         -> {"verdict": "valid", "claims": "{…}", "subject": …, "expires_at": …}
 *
 * Inputs end where their memory ends, so a sanitizer sees whoever reads on.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../token/token.h"

static void require(bool is_true, const char *message);
static json_t *judge(const json_t *question);
static const Keys *read_keys(const json_t *question, char *problem);
static int hex_digit(char digit);
static Bytes read_hex(const json_t *question, const char *name);
static json_t *list_keys(const Keys *keys);
static json_t *judge_token(Bytes token, const json_t *question, const Keys *keys);

int
main(void)
{
	char *line = NULL;
	size_t capacity = 0;

	setvbuf(stdout, NULL, _IOLBF, 0); /* whoever asks waits for the answer */
	while (getline(&line, &capacity, stdin) > 0)
	{
		json_t *question = json_loads(line, 0, NULL);

		require(json_is_object(question), "a line is no object");
		json_t *answer = judge(question);
		char *text = json_dumps(answer, JSON_COMPACT);

		puts(text);
		free(text);
		json_decref(answer);
		json_decref(question);
	}
	free(line);
	return 0;
}

static void
require(bool is_true, const char *message)
{
	if (is_true)
		return;
	fprintf(stderr, "judge: %s\n", message);
	exit(1);
}

static json_t *
judge(const json_t *question)
{
	char problem[KEYS_PROBLEM_MAX] = "";
	const Keys *keys = read_keys(question, problem);
	Bytes token = read_hex(question, "token");
	json_t *answer = keys == NULL         ? json_pack("{s:s}", "problem", problem)
					 : token.data == NULL ? list_keys(keys)
										  : judge_token(token, question, keys);

	free((void *) token.data);
	require(answer != NULL, "an answer is no JSON");
	return answer;
}

/* Reads them unless they are those of the question before, for thousands may follow about one set. */
static const Keys *
read_keys(const json_t *question, char *problem)
{
	static Keys keys;
	static json_t *known; /* the files of these keys; NULL: there are none */
	json_t *files = json_pack("[O?, O?]", json_object_get(question, "keys"),
							  json_object_get(question, "secret"));

	if (known != NULL && json_equal(files, known))
	{
		json_decref(files);
		return &keys;
	}
	Bytes file = read_hex(question, "keys"), secret = read_hex(question, "secret");

	keys_free(&keys);
	json_decref(known);
	bool ok = (file.data == NULL || keys_read(&keys, file, problem)) &&
			  (secret.data == NULL || keys_read_secret(&keys, secret, problem));

	known = ok ? files : NULL;
	if (!ok)
	{
		keys_free(&keys);
		json_decref(files);
	}
	free((void *) file.data);
	free((void *) secret.data);
	return ok ? &keys : NULL;
}

static int
hex_digit(char digit)
{
	require((digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f'),
			"bytes are not hexadecimal");
	return digit <= '9' ? digit - '0' : digit - 'a' + 10;
}

/* The caller's to free; no data if there is no such member. */
static Bytes
read_hex(const json_t *question, const char *name)
{
	const json_t *member = json_object_get(question, name);
	const char *text = json_string_value(member);
	size_t size = json_string_length(member) / 2;

	if (text == NULL)
		return (Bytes){0};
	uint8_t *bytes = malloc(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t) (hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
	return (Bytes){bytes, size};
}

static json_t *
list_keys(const Keys *keys)
{
	json_t *list = json_array();

	for (size_t i = 0; i < keys->count; i++)
		json_array_append_new(list, json_pack("{s:s?, s:s}", "kid", keys->keys[i].id, "alg",
											  algorithm_name(keys->keys[i].algorithm)));
	return json_pack("{s:o}", "keys", list);
}

static json_t *
judge_token(Bytes token, const json_t *question, const Keys *keys)
{
	TokenPolicy policy = {
		.keys = keys,
		.audience = json_string_value(json_object_get(question, "audience")),
		.issuer = json_string_value(json_object_get(question, "issuer")),
		.leeway_seconds = json_integer_value(json_object_get(question, "leeway")),
		.requires_expiry = json_is_true(json_object_get(question, "expires")),
	};
	TokenClaims claims;
	TokenVerdict verdict =
		token_check(token, &policy, json_integer_value(json_object_get(question, "now")), &claims);
	json_t *answer =
		json_pack("{s:s, s:s?, s:s?, s:I}", "verdict", token_reason(verdict), "claims", claims.json,
				  "subject", claims.subject, "expires_at", (json_int_t) claims.expires_at);

	require(verdict == TOKEN_VALID ? keys_have(keys, claims.key)
								   : claims.json == NULL && claims.subject == NULL,
			"claims do not go with the verdict");
	token_claims_free(&claims);
	return answer;
}
