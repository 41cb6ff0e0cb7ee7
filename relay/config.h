/*
 * The relay's options: flags, then environment, then a JSON file, then defaults.
 *
 *     int status = config_read(argc, argv);      (prints help, version or what is wrong itself)
 *     if (status >= 0)
 *         return status;
 *     ... config.max_message_bytes ...
 *
 * One table in config.c names every option once; --help is written from it.  The option
 * "max-message" is the flag --max-message, the variable YDOC_RELAY_MAX_MESSAGE and the file's
 * member "max-message".
 */
#ifndef RELAY_CONFIG_H
#define RELAY_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#ifndef RELAY_VERSION
#define RELAY_VERSION "1.0"
#endif

typedef struct Config
{
	char *listen; /* "host:port"; an empty host means every address */
	char *port_file; /* gets the real port once we listen; NULL: none */
	char *database; /* libpq conninfo or URI */
	char *listen_database; /* NULL: database */
	char *static_dir; /* served to plain GET; NULL: nothing is */
	char *log_level;
	char *tls_certificate, *tls_key; /* files: PEM; NULL: plain text */
	char *jwt_keys; /* file: JWKS or PEM; NULL: none */
	char *jwt_secret_file; /* NULL: none; neither: whoever comes is let in */
	char *jwt_audience, *jwt_issuer; /* NULL: not asked for */
	int64_t jwt_leeway; /* seconds that clocks may differ */
	bool jwt_require_exp;
	bool pass_tokens; /* the database gets tokens instead of claims */
	bool sessions; /* takes access tokens of sessions, and serves the endpoints of session.c */
	bool secure_cookies; /* theirs are for TLS and our own host alone */
	char *stamp_user; /* field of awareness states; NULL: they are as clients send them */
	char *cookie; /* that may hold a token; empty: none may */
	char *origins; /* whose pages may use it, beside our own; NULL: none */
	bool token_in_url;
	char *hocuspocus_path; /* where that protocol is spoken; empty: nowhere */
	bool init; /* create extension and store first */
	bool check; /* only judge the configuration */
	char *user; /* to go on as, once we listen; NULL: whoever started us */
	bool sandbox; /* system calls are filtered */
	bool log_addresses; /* stored with updates: from where they came */
	bool core_dumps; /* may be written, with all secrets in them */
	int64_t workers; /* processes that serve; 0: this one does, without a supervisor */
	int64_t writers; /* database connections that commit batches */
	int64_t batch_interval; /* milliseconds between the batches of a writer */
	int64_t readers; /* database connections that fetch */
	int64_t check_seconds; /* between two looks for what nobody announced */
	int64_t max_connections; /* sockets, HTTP included */
	int64_t max_connections_per_address; /* 0: any */
	int64_t max_connections_per_user; /* of a checked relay; 0: any */
	int64_t max_handshake_rate; /* new sockets a second of an address; 0: any */
	int64_t max_failure_rate; /* refused tokens a minute of an address; 0: any */
	char *unlimited_networks; /* whose addresses have none of these limits */
	char *metrics_networks; /* whose addresses may read /metrics */
	char *trusted_proxy; /* networks of proxies that say whom they speak for; NULL: none */
	char *proxy_header; /* in which */
	int64_t max_handshakes; /* in libwebsockets' hands before their answer */
	int64_t max_message_bytes; /* one WebSocket message */
	int64_t max_message_rate; /* messages a second of a connection; 0: any */
	int64_t max_byte_rate; /* bytes a second of a connection; 0: any */
	int64_t max_presence_message_bytes; /* one awareness message */
	int64_t max_presence_rate; /* awareness messages a second; 0: any */
	int64_t max_stateless_bytes; /* one stateless message */
	int64_t documents_per_connection; /* of Hocuspocus */
	int64_t max_reassembly_bytes; /* all incomplete messages together */
	int64_t max_pending_bytes; /* all updates not committed together */
	int64_t max_presence_bytes; /* all awareness states together */
	int64_t max_presence_state_bytes; /* one awareness state */
	int64_t relay_timeout; /* seconds of silence after which another relay is dead */
	int64_t notify_alarm; /* percent of the notification queue in use that the log warns of */
	int64_t notify_off; /* percent at which commits of ours stop notifying */
	int64_t drain; /* seconds over which connections are sent away; 0: by their number */
	int64_t max_wait_seconds; /* of an update for the database */
	int64_t max_room_log_bytes; /* frames a room keeps for members that are slow */
	int64_t slice_bytes; /* a larger update goes out in slices of this size */
	int64_t load_window; /* bytes of slices fetched at a time */
	int64_t max_load_memory; /* bytes of slices for all who load, from which on less is fetched */
	int64_t max_loads; /* questions of a reader at once */
} Config;

/* Set by config_read(), constant from then on. */
extern Config config;

/* Returns -1 to go on, or the exit status (sysexits) to end with. */
int config_read(int argc, char **argv);

void config_free(void);

#endif
