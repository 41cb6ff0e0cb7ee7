/*
 * config.c: one table of options, three sources.
 *
 * Here: reading, precedence, --help.  Not here: what an option does.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "key_files.h"
#include "log.h"
#include "network.h"
#include "tls.h"

typedef enum OptionKind
{
	OPTION_TEXT,
	OPTION_SWITCH,
	OPTION_COUNT,
	OPTION_BYTES /* a count that may end in K, M or G (powers of 1024) */
} OptionKind;

typedef struct Option
{
	const char *name;
	OptionKind kind;
	size_t field;
	const char *standard; /* default, NULL: none */
	int64_t least, most; /* of a number */
	const char *help;
} Option;

Config config;

static char *config_file;

#define TEXT(name, field, standard, help)                                \
	{                                                                    \
		name, OPTION_TEXT, offsetof(Config, field), standard, 0, 0, help \
	}
#define SWITCH(name, field, standard, help)                                \
	{                                                                      \
		name, OPTION_SWITCH, offsetof(Config, field), standard, 0, 1, help \
	}
#define COUNT(name, field, standard, least, most, help)                          \
	{                                                                            \
		name, OPTION_COUNT, offsetof(Config, field), standard, least, most, help \
	}
#define BYTES(name, field, standard, least, most, help)                          \
	{                                                                            \
		name, OPTION_BYTES, offsetof(Config, field), standard, least, most, help \
	}

static const Option options[] = {
	TEXT("listen", listen, "127.0.0.1:1234",
		 "address and port, HOST:PORT; port 0 takes a free one"),
	TEXT("port-file", port_file, NULL, "file that gets the port once the relay listens"),
	TEXT("database", database, "", "libpq connection string or URI; empty: libpq's own defaults"),
	TEXT("listen-database", listen_database, NULL,
		 "the same for the one connection that listens, if --database leads to a pooler such as"
		 " pgbouncer: straight to the server"),
	TEXT("tls-certificate", tls_certificate, NULL,
		 "PEM file with the certificate and its chain: the port then speaks TLS; read again when it"
		 " changes"),
	TEXT("tls-key", tls_key, NULL, "PEM file with its private key"),
	TEXT("static", static_dir, NULL, "directory served to plain GET requests"),
	SWITCH("init", init, NULL, "create the extension and its store first, if they are missing"),
	TEXT("jwt-keys", jwt_keys, NULL,
		 "file with the keys that users' tokens are checked with: a JWKS, or public keys as PEM"),
	TEXT("jwt-secret-file", jwt_secret_file, NULL, "file with a secret that signs them (HS256)"),
	TEXT("jwt-audience", jwt_audience, NULL, "what their aud must name; none: they have no aud"),
	TEXT("jwt-issuer", jwt_issuer, NULL, "what their iss must be"),
	COUNT("jwt-leeway", jwt_leeway, "30", 0, 3600, "seconds that the issuer's clock may differ"),
	SWITCH("jwt-require-exp", jwt_require_exp, "true", "refuse tokens that never expire"),
	SWITCH("pass-tokens", pass_tokens, NULL,
		   "show the database the token itself, which it checks once more, not what it says"),
	SWITCH("sessions", sessions, NULL,
		   "serve /api/session: who shows a token gets cookies that refresh themselves"),
	SWITCH("secure-cookies", secure_cookies, "true",
		   "their cookies are for TLS alone (__Host-, Secure)"),
	TEXT("stamp-user", stamp_user, NULL,
		 "field of awareness states, such as user.name, that the relay sets to the name of the "
		 "user whose"
		 " token it is: nobody shows another's"),
	TEXT("cookie", cookie, "ydoc_access", "cookie that may hold a token; empty: none"),
	TEXT("origins", origins, NULL,
		 "pages that may use it beside our own: https://HOST[:PORT], separated by commas; without "
		 "keys"
		 " * means any"),
	SWITCH("token-in-url", token_in_url, NULL,
		   "take tokens from ?token= as well, although proxies log what is there"),
	TEXT("hocuspocus-path", hocuspocus_path, "/",
		 "path at which the protocol of Hocuspocus is spoken, every other one names a document for"
		 " y-websocket; empty: none"),
	COUNT("documents-per-connection", documents_per_connection, "64", 1, 1000,
		  "documents that a provider of Hocuspocus may have on one connection"),
	TEXT("log-level", log_level, "info", "debug, info, warning or error"),
	COUNT("workers", workers, "0", 0, 64,
		  "processes that share the port under a supervisor; 0: this one serves alone"),
	COUNT("writers", writers, "2", 1, 64, "database connections that commit"),
	COUNT("batch-interval", batch_interval, "3", 0, 1000,
		  "milliseconds from one batch of a writer to its next, while updates keep coming"),
	COUNT("readers", readers, "2", 1, 64, "database connections that read"),
	COUNT("check-interval", check_seconds, "30", 1, 86400,
		  "seconds between two looks for commits that nobody announced"),
	COUNT("max-connections", max_connections, "10000", 1, 1000000, "open sockets"),
	COUNT("max-connections-per-address", max_connections_per_address, "1000", 0, 1000000,
		  "open sockets of one address (of an IPv6 network of 64 bits); 0: any"),
	COUNT("max-connections-per-user", max_connections_per_user, "200", 0, 1000000,
		  "connections of one user, whom his token names; 0: any"),
	COUNT("max-handshake-rate", max_handshake_rate, "100", 0, 1000000,
		  "new sockets a second of one address, ten times that at once; 0: any"),
	COUNT("max-failure-rate", max_failure_rate, "60", 0, 1000000,
		  "refused tokens a minute of one address, beyond which it is turned away; 0: any"),
	TEXT("unlimited-networks", unlimited_networks, "127.0.0.0/8,::1",
		 "networks, separated by commas, whose addresses have none of these limits"),
	TEXT("metrics-networks", metrics_networks,
		 "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7,fe80::/10",
		 "networks, separated by commas, whose addresses may read /metrics"),
	TEXT(
		"trusted-proxy", trusted_proxy, NULL,
		"networks of proxies that say truly for whom they ask: addresses or ADDRESS/BITS, separated"
		" by commas"),
	TEXT("proxy-header", proxy_header, "x-forwarded-for",
		 "where they say so: x-forwarded-for or forwarded"),
	COUNT("max-handshakes", max_handshakes, "256", 1, 100000,
		  "requests libwebsockets works on at once, more wait before it"),
	BYTES("max-message", max_message_bytes, "16M", 1024, 1 << 30, "one message of a client"),
	COUNT("max-message-rate", max_message_rate, "1000", 0, 1000000000,
		  "messages a second of one client, beyond which it is read more slowly; 0: any"),
	BYTES("max-byte-rate", max_byte_rate, "4M", 0, INT64_MAX >> 8,
		  "bytes a second of one client, beyond which it is read more slowly; 0: any"),
	BYTES("max-presence-message", max_presence_message_bytes, "256K", 1024, 1 << 30,
		  "one awareness message of a client"),
	COUNT("max-presence-rate", max_presence_rate, "60", 0, 1000000000,
		  "awareness messages a second of one client, beyond which only the newest counts; 0: any"),
	BYTES("max-stateless", max_stateless_bytes, "16K", 64, 32768,
		  "one stateless message of a provider of Hocuspocus"),
	BYTES("max-reassembly", max_reassembly_bytes, "256M", 1024, INT64_MAX,
		  "all incomplete messages together"),
	BYTES("max-pending", max_pending_bytes, "64M", 1024, INT64_MAX,
		  "all updates that wait for the database together"),
	BYTES("max-presence", max_presence_bytes, "64M", 1024, INT64_MAX,
		  "all awareness states together"),
	BYTES("max-presence-state", max_presence_state_bytes, "64K", 64, 1 << 20,
		  "one awareness state of a client"),
	COUNT("max-wait", max_wait_seconds, "10", 1, 3600,
		  "seconds that an update may wait for the database before no more are taken"),
	BYTES("max-room-log", max_room_log_bytes, "1M", 16384, 1 << 30,
		  "what a room keeps for slow members before it fetches for them"),
	COUNT("relay-timeout", relay_timeout, "4", 2, 60,
		  "seconds of silence after which another relay and its people are gone"),
	COUNT("notify-alarm", notify_alarm, "5", 1, 100,
		  "percent of the server's notification queue in use that the log warns of"),
	COUNT("notify-off", notify_off, "25", 1, 100,
		  "percent at which the relay stops notifying and asks for news every second"),
	COUNT("drain", drain, "0", 0, 3600,
		  "seconds over which a relay that stops sends connections away; 0: 500 a second"),
	BYTES("slice", slice_bytes, "64K", 1024, 1 << 24,
		  "a larger update is sent in slices of this size"),
	BYTES("load-window", load_window, "4M", 1024, 1 << 30,
		  "what is fetched at a time of a document that a client loads"),
	BYTES("max-load-memory", max_load_memory, "256M", 1024, INT64_MAX,
		  "slices kept for all slow clients, beyond which each gets one at a time"),
	COUNT("max-loads", max_loads, "4", 1, 1000, "documents asked of a reader at once"),
	TEXT("user", user, NULL, "go on as this user once the ports are open, if started as root"),
	SWITCH("sandbox", sandbox, "true", "allow the process no system calls but those of a relay"),
	SWITCH(
		"log-addresses", log_addresses, NULL,
		"store with each update the address that it came from (of IPv6, the network of 64 bits), "
		"for ydoc.audit"),
	SWITCH("core-dumps", core_dumps, NULL,
		   "let it be dumped and looked into: its memory holds keys"),
	SWITCH("check", check, NULL, "judge the configuration and end"),
};

#define COOKIE_CHARACTERS \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"
#define VARIABLE_PREFIX "YDOC_RELAY_"
#define VARIABLE_MAX 64

#define OPTIONS ((int) (sizeof options / sizeof options[0]))

/* getopt's values of flags, beyond its own, which are characters: '?' is one that it does not know */
enum
{
	FLAG_HELP = 1000,
	FLAG_VERSION,
	FLAG_CONFIG,
	FLAG_OPTIONS /* those of the table, in their order */
};

static int read_flags(int argc, char **argv, const char **values);
static int read_file(const char *path, char **values);
static char *json_as_text(const json_t *value);
static const char *environment_value(const char *name);
static void write_variable(char variable[VARIABLE_MAX], const char *name);
static void warn_of_variables(void);
static bool set_option(const Option *option, const char *text, const char *source);
static bool set_number(const Option *option, const char *text, const char *source);
static bool judge_flag(const Option *option, const char *text);
static bool judge_conninfo(const char *name, const char *text, bool *has_password);
static bool judge(void);
static bool judge_listen(void);
static bool judge_origins(void);
static bool judge_tokens(void);
static bool judge_networks(void);
static bool judge_tls(void);
static void print_help(void);

int
config_read(int argc, char **argv)
{
	const char *flags[OPTIONS] = {NULL};
	char *members[OPTIONS] = {NULL};
	int status = read_flags(argc, argv, flags);

	if (status >= 0)
		return status;
	const char *path = config_file != NULL ? config_file : environment_value("config");
	bool ok = path == NULL || read_file(path, members) < 0;

	for (int i = 0; i < OPTIONS && ok; i++)
	{
		const char *variable = environment_value(options[i].name);

		if (flags[i] != NULL)
			ok = set_option(&options[i], flags[i], "flag") && judge_flag(&options[i], flags[i]);
		else if (variable != NULL)
			ok = set_option(&options[i], variable, "environment");
		else if (members[i] != NULL)
			ok = set_option(&options[i], members[i], "file");
		else if (options[i].standard != NULL)
			ok = set_option(&options[i], options[i].standard, "default");
	}
	for (int i = 0; i < OPTIONS; i++)
		free(members[i]);
	if (!ok || !judge())
		return EX_CONFIG;
	warn_of_variables();
	if (config.check)
	{
		puts("configuration is fine");
		return EX_OK;
	}
	return -1;
}

void
config_free(void)
{
	for (int i = 0; i < OPTIONS; i++)
		if (options[i].kind == OPTION_TEXT)
			free(*(char **) ((char *) &config + options[i].field));
}

static int
read_flags(int argc, char **argv, const char **values)
{
	struct option flags[OPTIONS + 4];
	int count = 0;

	for (; count < OPTIONS; count++)
		flags[count] = (struct option){options[count].name,
									   options[count].kind == OPTION_SWITCH ? optional_argument
																			: required_argument,
									   NULL, FLAG_OPTIONS + count};
	flags[count++] = (struct option){"config", required_argument, NULL, FLAG_CONFIG};
	flags[count++] = (struct option){"help", no_argument, NULL, FLAG_HELP};
	flags[count++] = (struct option){"version", no_argument, NULL, FLAG_VERSION};
	flags[count] = (struct option){0};

	for (int flag; (flag = getopt_long(argc, argv, "hV", flags, NULL)) != -1;)
	{
		if (flag == FLAG_HELP || flag == 'h')
		{
			print_help();
			return EX_OK;
		}
		if (flag == FLAG_VERSION || flag == 'V')
		{
			puts("ydoc-relay " RELAY_VERSION);
			return EX_OK;
		}
		if (flag == FLAG_CONFIG)
			config_file = optarg;
		else if (flag >= FLAG_OPTIONS)
			values[flag - FLAG_OPTIONS] = optarg != NULL ? optarg : "true";
		else
		{
			fputs("ydoc-relay: see --help\n", stderr); /* getopt has said why */
			return EX_USAGE;
		}
	}
	if (optind < argc)
	{
		fprintf(stderr, "ydoc-relay: unexpected argument \"%s\"; see --help\n", argv[optind]);
		return EX_USAGE;
	}
	return -1;
}

/* Fills values, by option, with what the file says.  Returns -1, or EX_CONFIG after saying why. */
static int
read_file(const char *path, char **values)
{
	json_error_t error;
	json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	int status = -1;

	if (file == NULL || !json_is_object(file))
	{
		fprintf(stderr, "ydoc-relay: %s: %s\n", path, file == NULL ? error.text : "not an object");
		json_decref(file);
		return EX_CONFIG;
	}
	const char *name;
	json_t *value;

	json_object_foreach(file, name, value)
	{
		int i = 0;

		while (i < OPTIONS && strcmp(options[i].name, name) != 0)
			i++;
		if (i < OPTIONS)
			values[i] = json_as_text(value);
		if (i == OPTIONS || values[i] == NULL)
		{
			fprintf(stderr, "ydoc-relay: %s: %s \"%s\"%s\n", path,
					i == OPTIONS ? "unknown option" : "neither text, number nor boolean:", name,
					json_is_array(value) ? "; several are one text, with commas between" : "");
			status = EX_CONFIG;
		}
	}
	json_decref(file);
	return status;
}

static char *
json_as_text(const json_t *value)
{
	char number[32];

	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (json_is_boolean(value))
		return strdup(json_is_true(value) ? "true" : "false");
	if (!json_is_integer(value))
		return NULL;
	snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return strdup(number);
}

/* "max-message" is looked up as YDOC_RELAY_MAX_MESSAGE. */
static const char *
environment_value(const char *name)
{
	char variable[VARIABLE_MAX];

	write_variable(variable, name);
	return getenv(variable);
}

static void
write_variable(char variable[VARIABLE_MAX], const char *name)
{
	size_t length = strlen(VARIABLE_PREFIX);

	memcpy(variable, VARIABLE_PREFIX, length);
	for (; *name != '\0' && length < VARIABLE_MAX - 1; name++)
		variable[length++] = *name == '-' ? '_' : (char) toupper((unsigned char) *name);
	variable[length] = '\0';
}

/*
 * A misspelt YDOC_RELAY_JWT_KEY would leave the door open.  No error as for flags, for Kubernetes makes
 * variables of a service's name: YDOC_RELAY_SERVICE_HOST, YDOC_RELAY_PORT.
 */
static void
warn_of_variables(void)
{
	char variable[VARIABLE_MAX];

	for (char **entry = environ; *entry != NULL; entry++)
	{
		size_t length = strcspn(*entry, "=");
		bool is_known = strncmp(*entry, VARIABLE_PREFIX, strlen(VARIABLE_PREFIX)) != 0 ||
						strncmp(*entry, VARIABLE_PREFIX "CONFIG=", length + 1) == 0;

		for (int i = 0; i < OPTIONS && !is_known; i++)
		{
			write_variable(variable, options[i].name);
			is_known = strlen(variable) == length && strncmp(variable, *entry, length) == 0;
		}
		if (!is_known)
			log_event(LEVEL_WARNING, "unknown_variable", "{s:s%, s:s}", "variable", *entry, length,
					  "hint", "no option has this name; see --help");
	}
}

static bool
set_option(const Option *option, const char *text, const char *source)
{
	void *field = (char *) &config + option->field;

	if (option->kind == OPTION_TEXT)
	{
		*(char **) field = strdup(text);
		return *(char **) field != NULL;
	}
	if (option->kind != OPTION_SWITCH)
		return set_number(option, text, source);

	bool on = strcmp(text, "true") == 0 || strcmp(text, "1") == 0 || strcmp(text, "yes") == 0;

	if (!on && strcmp(text, "false") != 0 && strcmp(text, "0") != 0 && strcmp(text, "no") != 0)
	{
		fprintf(stderr, "ydoc-relay: %s (%s) must be true or false, not \"%s\"\n", option->name,
				source, text);
		return false;
	}
	*(bool *) field = on;
	return true;
}

static bool
set_number(const Option *option, const char *text, const char *source)
{
	char *end;

	errno = 0;
	long long value = strtoll(text, &end, 10);
	int shift = 0;

	if (option->kind == OPTION_BYTES && end != text && *end != '\0' && end[1] == '\0')
		shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
	if (shift != 0)
		end++;
	bool fits = value <= INT64_MAX >> shift && value >= 0;
	int64_t number = fits ? (int64_t) value << shift : 0;

	if (errno != 0 || end == text || *end != '\0' || !fits || number < option->least ||
		number > option->most)
	{
		fprintf(stderr, "ydoc-relay: %s (%s) must be a number from %lld to %lld%s, not \"%s\"\n",
				option->name, source, (long long) option->least, (long long) option->most,
				option->kind == OPTION_BYTES ? ", K, M or G may follow" : "", text);
		return false;
	}
	*(int64_t *) ((char *) &config + option->field) = number;
	return true;
}

/* Whoever may list processes reads their flags. */
static bool
judge_flag(const Option *option, const char *text)
{
	bool has_password = false;

	if (option->field != offsetof(Config, database) &&
		option->field != offsetof(Config, listen_database))
		return true;
	if (judge_conninfo(option->name, text, &has_password) && !has_password)
		return true;
	if (has_password)
		fprintf(stderr,
				"ydoc-relay: %s: a password in a flag is seen by everybody on this machine: write "
				"it into a file and "
				"say passfile=FILE (lines of HOST:PORT:DATABASE:USER:PASSWORD)\n",
				option->name);
	return false;
}

/* What libpq says of a bad one may quote it, with its password. */
static bool
judge_conninfo(const char *name, const char *text, bool *has_password)
{
	PQconninfoOption *parts = PQconninfoParse(text, NULL);

	*has_password = false;
	if (parts == NULL)
	{
		fprintf(stderr,
				"ydoc-relay: %s is no connection string or URI of libpq; psql -d TEXT says why\n",
				name);
		return false;
	}
	for (const PQconninfoOption *part = parts; part->keyword != NULL; part++)
		if (part->val != NULL &&
			(strcmp(part->keyword, "password") == 0 || strcmp(part->keyword, "sslpassword") == 0))
			*has_password = true;
	PQconninfoFree(parts);
	return true;
}

/* What no single option can know. */
static bool
judge(void)
{
	LogLevel level;

	if (!log_level_find(config.log_level, &level))
	{
		fprintf(stderr, "ydoc-relay: log-level must be debug, info, warning or error, not \"%s\"\n",
				config.log_level);
		return false;
	}
	log_set_level(config.check ? level
							   : LEVEL_ERROR); /* whoever uses the keys logs what he found */
	if (!judge_tokens() || !judge_networks() || !judge_tls())
		return false;
	log_set_level(level);
	struct stat status;

	if (config.static_dir != NULL &&
		(stat(config.static_dir, &status) != 0 || !S_ISDIR(status.st_mode)))
	{
		fprintf(stderr, "ydoc-relay: static: \"%s\" is not a directory\n", config.static_dir);
		return false;
	}
	if (!judge_listen() || !judge_origins())
		return false;
	if (config.user != NULL && getpwnam(config.user) == NULL)
	{
		fprintf(stderr, "ydoc-relay: user: there is no \"%s\"\n", config.user);
		return false;
	}
	if (config.cookie[strspn(config.cookie, COOKIE_CHARACTERS)] != '\0')
	{
		fprintf(stderr,
				"ydoc-relay: cookie must be a name without spaces, quotes and =, not \"%s\"\n",
				config.cookie);
		return false;
	}
	if (config.hocuspocus_path[0] != '\0' && config.hocuspocus_path[0] != '/')
	{
		fprintf(stderr, "ydoc-relay: hocuspocus-path must begin with /, unlike \"%s\"\n",
				config.hocuspocus_path);
		return false;
	}
	if (config.notify_off < config.notify_alarm)
	{
		fputs("ydoc-relay: notify-off must not be less than notify-alarm\n", stderr);
		return false;
	}
	bool has_password;

	if (!judge_conninfo("database", config.database, &has_password) ||
		(config.listen_database != NULL &&
		 !judge_conninfo("listen-database", config.listen_database, &has_password)))
		return false;
	if (config.load_window < config.slice_bytes)
	{
		fputs("ydoc-relay: load-window must not be less than slice\n", stderr);
		return false;
	}
	if (config.max_pending_bytes < config.max_message_bytes)
	{
		fputs("ydoc-relay: max-pending must not be less than max-message: such a message could "
			  "never be stored\n",
			  stderr);
		return false;
	}
	return true;
}

/* A port that getaddrinfo would take modulo 65536; an IPv6 address whose end is no port. */
static bool
judge_listen(void)
{
	const char *colon = strrchr(config.listen, ':');
	const char *port = colon != NULL ? colon + 1 : "";
	size_t digits = strspn(port, "0123456789");
	bool is_bare = colon != NULL && colon != config.listen && colon[-1] != ']' &&
				   memchr(config.listen, ':', (size_t) (colon - config.listen)) != NULL;

	if (digits > 0 && digits <= 5 && port[digits] == '\0' && atoi(port) <= UINT16_MAX && !is_bare)
		return true;
	fprintf(stderr,
			"ydoc-relay: listen must be HOST:PORT, a port from 0 to 65535, an IPv6 address in "
			"brackets, not \"%s\"\n",
			config.listen);
	return false;
}

/* As browsers send it: what has a path, or no scheme, would be no page's origin. */
static bool
judge_origins(void)
{
	const char *at = config.origins != NULL ? config.origins : "";
	bool has_keys = config.jwt_keys != NULL || config.jwt_secret_file != NULL;

	for (size_t size; *at != '\0'; at += size)
	{
		at += strspn(at, ", ");
		size = strcspn(at, ", ");
		const char *host = strstr(at, "://");
		size_t before = host != NULL && host < at + size ? (size_t) (host - at) + 3 : size;

		if (size == 0 || (size == 1 && *at == '*' && !has_keys) ||
			(before > 3 && before < size && memchr(at + before, '/', size - before) == NULL))
			continue;
		fprintf(stderr,
				"ydoc-relay: origins must be https://HOST[:PORT], nothing behind it, separated by "
				"commas%s, not \"%.*s\"\n",
				has_keys ? "; * would let any page use the cookies of users" : ", or *", (int) size,
				at);
		return false;
	}
	return true;
}

/* Half a configuration would let everybody in. */
static bool
judge_tokens(void)
{
	char problem[KEYS_PROBLEM_MAX];
	Keys keys;

	if (config.jwt_keys == NULL && config.jwt_secret_file == NULL)
	{
		if (config.jwt_audience == NULL && config.jwt_issuer == NULL && !config.token_in_url &&
			!config.pass_tokens && !config.sessions && config.stamp_user == NULL)
			return true;
		fputs("ydoc-relay: tokens are checked with jwt-keys or jwt-secret-file, and neither is "
			  "given\n",
			  stderr);
		return false;
	}
	if (config.sessions && config.cookie[0] == '\0')
	{
		fputs("ydoc-relay: sessions need a cookie\n", stderr);
		return false;
	}
	if (!key_files_load(&keys, config.jwt_keys, config.jwt_secret_file, problem))
	{
		fprintf(stderr, "ydoc-relay: %s\n", problem);
		return false;
	}
	keys_free(&keys);
	return true;
}

static bool
judge_tls(void)
{
	char problem[TLS_PROBLEM_MAX];

	if ((config.tls_certificate == NULL) != (config.tls_key == NULL))
	{
		fputs("ydoc-relay: tls-certificate and tls-key go together\n", stderr);
		return false;
	}
	if (config.tls_certificate == NULL || tls_check(problem, sizeof problem))
		return true;
	fprintf(stderr, "ydoc-relay: TLS: %s\n", problem);
	return false;
}

static bool
judge_networks(void)
{
	const char *const lists[] = {"trusted-proxy",      config.trusted_proxy,
								 "unlimited-networks", config.unlimited_networks,
								 "metrics-networks",   config.metrics_networks};
	NetworkList list;

	for (int i = 0; i < 6; i += 2)
		if (!networks_read(&list, lists[i + 1]))
		{
			fprintf(
				stderr,
				"ydoc-relay: %s must be up to %d addresses or ADDRESS/BITS, separated by commas,"
				" not \"%s\"\n",
				lists[i], NETWORKS_MAX, lists[i + 1]);
			return false;
		}
	if (strcasecmp(config.proxy_header, "x-forwarded-for") == 0 ||
		strcasecmp(config.proxy_header, "forwarded") == 0)
		return true;
	fprintf(stderr, "ydoc-relay: proxy-header must be x-forwarded-for or forwarded, not \"%s\"\n",
			config.proxy_header);
	return false;
}

static void
print_help(void)
{
	puts("Usage: ydoc-relay [OPTION]...\n"
		 "Lets unmodified Yjs editors work live on documents kept in PostgreSQL by pg_ydoc.\n");
	for (int i = 0; i < OPTIONS; i++)
	{
		static const char *const placeholders[] = {" TEXT", "", " NUMBER", " BYTES"};
		bool is_on = options[i].kind == OPTION_SWITCH && options[i].standard != NULL;
		char flag[64];

		snprintf(flag, sizeof flag, "--%s%s", options[i].name,
				 is_on ? "=false" : placeholders[options[i].kind]);
		printf("  %-26s %s", flag, options[i].help);
		if (options[i].standard != NULL && options[i].standard[0] != '\0')
			printf(" (%s)", options[i].standard);
		putchar('\n');
	}
	puts("  --config FILE              JSON object with any of the options above\n"
		 "  --help                     this text\n"
		 "  --version                  the version\n\n"
		 "Each option may also be a variable (YDOC_RELAY_MAX_MESSAGE for --max-message) or a "
		 "member\n"
		 "of the file; a flag wins over a variable, a variable over the file.  BYTES may end in K, "
		 "M\n"
		 "or G.  Providers of y-websocket connect to ws://HOST:PORT with the document as room, "
		 "those of\n"
		 "Hocuspocus to ws://HOST:PORT (--hocuspocus-path), with the document as name; plain GET\n"
		 "serves --static, /healthz, /readyz and /metrics.\n\n"
		 "SIGTERM and SIGINT send connections away one after the other, commit what is in flight "
		 "and\n"
		 "end with status 0; a second one does not wait.  With --workers, limits and database "
		 "connections\n"
		 "are each worker's own, and SIGHUP or SIGUSR2 replaces one worker after the other: with "
		 "the\n"
		 "program and the options as they are then.  Without, both read the files with keys and "
		 "the\n"
		 "certificate again.");
}
