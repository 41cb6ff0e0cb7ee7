/*
 * tls.c: OpenSSL between two sockets.
 *
 * Here: handshakes, bytes both ways, their ends; certificates.  Not here: accepting (listener.c).
 */
#include "tls.h"

#include <errno.h>
#include <ev.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "frame.h"
#include "log.h"
#include "loop.h"

#define RECORD_BYTES 16384
#define HEAD_BYTES 16384 /* as many as the listener looks at */
#define TURNS 16 /* records at a time, then others have their turn */
#define INNER_BYTES 65536 /* in the kernel, from us to the client */
#define GOODBYE_SECONDS 2.0 /* for the other side to close, too */
#define RELOAD_SECONDS 0.5 /* certificate and key change one after the other */

typedef struct Pipe Pipe;

struct Pipe
{
	SSL *ssl;
	int inner;
	ev_io outer_io, inner_io;
	ev_timer goodbye;
	Buffer in, out; /* plain text that the other side has not taken */
	bool has_head;
	bool client_ended, relay_ended; /* no more comes from there */
	bool is_deaf; /* the relay has closed: what the client still sends is dropped */
	Pipe *next, *previous;
};

typedef enum Progress
{
	PROGRESS_SOME,
	PROGRESS_WAITS, /* for a socket: wanted says for which */
	PROGRESS_OVER /* the pipe is to be freed */
} Progress;

static SSL_CTX *context;
static Pipe *pipes;
static ev_stat certificate_watch, key_watch;
static ev_timer reload_timer;
static int outer_wanted, inner_wanted; /* events, of the pipe whose turn it is */

static SSL_CTX *load(char *problem, size_t size);
static int no_pass_phrase(char *buffer, int size, int is_writing, void *is_asked);
static int choose_protocol(SSL *, const unsigned char **, unsigned char *, const unsigned char *,
						   unsigned, void *);
static void on_io(struct ev_loop *, ev_io *, int);
static void on_goodbye(struct ev_loop *, ev_timer *, int);
static void turn(Pipe *pipe);
static Progress shake_hands(Pipe *pipe);
static Progress inward(Pipe *pipe);
static Progress read_client(Pipe *pipe);
static Progress outward(Pipe *pipe);
static Progress judge(Pipe *pipe, int result);
static bool keep(Buffer *buffer, const uint8_t *data, size_t size);
static void consume(Buffer *buffer, size_t size);
static void end_goodbye(Pipe *pipe);
static void watch(ev_io *io, int events);
static void pipe_free(Pipe *pipe);
static void files_changed(struct ev_loop *, ev_stat *, int);
static void reload_now(struct ev_loop *, ev_timer *, int);

bool
tls_is_on(void)
{
	return config.tls_certificate != NULL;
}

bool
tls_check(char *problem, size_t size)
{
	SSL_CTX *loaded = load(problem, size);

	SSL_CTX_free(loaded);
	return loaded != NULL;
}

bool
tls_start(void)
{
	char problem[TLS_PROBLEM_MAX];

	if (!tls_is_on())
		return true;
	context = load(problem, sizeof problem);
	if (context == NULL)
	{
		log_event(LEVEL_ERROR, "certificate_bad", "{s:s}", "reason", problem);
		return false;
	}
	ev_timer_init(&reload_timer, reload_now, RELOAD_SECONDS, 0.0);
	ev_stat_init(&certificate_watch, files_changed, config.tls_certificate, 0.0);
	ev_stat_init(&key_watch, files_changed, config.tls_key, 0.0);
	ev_stat_start(loop_ev(), &certificate_watch);
	ev_stat_start(loop_ev(), &key_watch);
	return true;
}

void
tls_stop(void)
{
	while (pipes != NULL)
		pipe_free(pipes);
	if (context != NULL)
	{
		ev_stat_stop(loop_ev(), &certificate_watch);
		ev_stat_stop(loop_ev(), &key_watch);
		ev_timer_stop(loop_ev(), &reload_timer);
	}
	SSL_CTX_free(context);
	context = NULL;
}

void
tls_reload(void)
{
	char problem[TLS_PROBLEM_MAX];
	SSL_CTX *loaded = tls_is_on() ? load(problem, sizeof problem) : NULL;

	if (!tls_is_on())
		return;
	if (loaded == NULL)
	{
		log_event(LEVEL_ERROR, "certificate_bad", "{s:s}", "reason", problem);
		return;
	}
	SSL_CTX_free(context); /* connections hold it as long as they live */
	context = loaded;
	log_event(LEVEL_INFO, "certificate_loaded", NULL);
}

int
tls_wrap(int fd)
{
	static const int inner_bytes = INNER_BYTES;
	Pipe *pipe = calloc(1, sizeof *pipe);
	int pair[2] = {-1, -1};

	if (pipe == NULL || (pipe->ssl = SSL_new(context)) == NULL || SSL_set_fd(pipe->ssl, fd) != 1 ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
	{
		if (pipe != NULL)
			SSL_free(pipe->ssl);
		free(pipe);
		close(fd);
		return -1;
	}
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &inner_bytes, sizeof inner_bytes);
	SSL_set_accept_state(pipe->ssl);
	pipe->inner = pair[1];
	ev_io_init(&pipe->outer_io, on_io, fd, EV_READ);
	ev_io_init(&pipe->inner_io, on_io, pipe->inner, EV_READ);
	ev_timer_init(&pipe->goodbye, on_goodbye, GOODBYE_SECONDS, 0.0);
	pipe->outer_io.data = pipe->inner_io.data = pipe->goodbye.data = pipe;
	ev_io_start(loop_ev(), &pipe->outer_io);
	ev_io_start(loop_ev(), &pipe->inner_io);
	pipe->next = pipes;
	if (pipes != NULL)
		pipes->previous = pipe;
	pipes = pipe;
	return pair[0];
}

bool
tls_is_idle(void)
{
	return pipes == NULL;
}

/* ---- certificates ---- */

static SSL_CTX *
load(char *problem, size_t size)
{
	SSL_CTX *loaded = SSL_CTX_new(TLS_server_method());
	const char *what = config.tls_certificate;
	bool is_asked = false;

	ERR_clear_error();
	if (loaded != NULL)
	{
		SSL_CTX_set_default_passwd_cb(loaded, no_pass_phrase);
		SSL_CTX_set_default_passwd_cb_userdata(loaded, &is_asked);
	}
	if (loaded != NULL && SSL_CTX_set_min_proto_version(loaded, TLS1_2_VERSION) == 1 &&
		SSL_CTX_use_certificate_chain_file(loaded, config.tls_certificate) == 1)
	{
		what = config.tls_key;
		if (SSL_CTX_use_PrivateKey_file(loaded, config.tls_key, SSL_FILETYPE_PEM) == 1 &&
			SSL_CTX_check_private_key(loaded) == 1)
		{
			SSL_CTX_set_options(loaded, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
											SSL_OP_CIPHER_SERVER_PREFERENCE);
			SSL_CTX_set_mode(loaded, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
										 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
			SSL_CTX_set_alpn_select_cb(loaded, choose_protocol, NULL);
			return loaded;
		}
	}
	unsigned long error = ERR_get_error();
	const char *reason = is_asked ? "it has a pass phrase, and nobody to ask for it"
						 : ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error))
												   : ERR_reason_error_string(error);

	snprintf(problem, size, "\"%s\" cannot be used: %s", what,
			 reason != NULL ? reason : "not a PEM file that can be read");
	ERR_clear_error();
	SSL_CTX_free(loaded);
	return NULL;
}

/* OpenSSL would ask the terminal, and the relay with all its connections would wait for an answer. */
static int
no_pass_phrase(char *buffer, int size, int is_writing, void *is_asked)
{
	(void) buffer, (void) size, (void) is_writing;
	*(bool *) is_asked = true;
	return -1;
}

static int
choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_size,
				const unsigned char *offered, unsigned offered_size, void *argument)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *protocol;

	(void) ssl, (void) argument;
	if (SSL_select_next_proto(&protocol, chosen_size, ours, sizeof ours - 1, offered,
							  offered_size) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*chosen = protocol;
	return SSL_TLSEXT_ERR_OK;
}

static void
files_changed(struct ev_loop *loop, ev_stat *watcher, int events)
{
	(void) watcher, (void) events;
	ev_timer_stop(loop, &reload_timer);
	ev_timer_set(&reload_timer, RELOAD_SECONDS, 0.0);
	ev_timer_start(loop, &reload_timer);
}

static void
reload_now(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void) loop, (void) timer, (void) events;
	tls_reload();
}

/* ---- bytes ---- */

static void
on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void) loop, (void) events;
	turn(io->data);
}

static void
on_goodbye(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void) loop, (void) events;
	pipe_free(timer->data);
}

/* Whatever can be done without waiting, within bounds. */
static void
turn(Pipe *pipe)
{
	Progress in = PROGRESS_SOME, out = PROGRESS_SOME;

	outer_wanted = inner_wanted = 0;
	if (!SSL_is_init_finished(pipe->ssl))
		in = out = shake_hands(pipe);
	for (int i = 0; i < TURNS && (in == PROGRESS_SOME || out == PROGRESS_SOME); i++)
	{
		if (in == PROGRESS_SOME)
			in = inward(pipe);
		if (out == PROGRESS_SOME && in != PROGRESS_OVER)
			out = outward(pipe);
		if (in == PROGRESS_OVER || out == PROGRESS_OVER)
			break;
	}
	if (in == PROGRESS_OVER || out == PROGRESS_OVER || (pipe->client_ended && pipe->relay_ended))
	{
		pipe_free(pipe);
		return;
	}
	watch(&pipe->outer_io, outer_wanted);
	watch(&pipe->inner_io, inner_wanted);
	/* OpenSSL may hold what no socket tells of */
	if (in == PROGRESS_SOME || out == PROGRESS_SOME)
		ev_feed_event(loop_ev(), &pipe->outer_io, EV_CUSTOM);
}

/* Whatever the relay says meanwhile is that it waits no more. */
static Progress
shake_hands(Pipe *pipe)
{
	char byte;
	int result;

	inner_wanted = EV_READ;
	if (recv(pipe->inner, &byte, 1, MSG_PEEK) >= 0)
		return PROGRESS_OVER;
	ERR_clear_error();
	result = SSL_do_handshake(pipe->ssl);
	if (result == 1)
		return PROGRESS_SOME;
	Progress progress = judge(pipe, result);

	if (progress == PROGRESS_OVER)
	{
		const char *reason = ERR_reason_error_string(ERR_peek_error());

		log_event(LEVEL_DEBUG, "tls_handshake_failed", "{s:s}", "reason",
				  reason != NULL ? reason : "the client has gone");
	}
	return progress;
}

/* One step from the client to the relay. */
static Progress
inward(Pipe *pipe)
{
	if (!pipe->has_head || pipe->in.size == 0)
		return pipe->client_ended ? PROGRESS_WAITS : read_client(pipe);
	ssize_t sent = send(pipe->inner, pipe->in.data, pipe->in.size, MSG_NOSIGNAL);

	if (sent < 0 && errno == EAGAIN)
	{
		inner_wanted |= EV_WRITE;
		return PROGRESS_WAITS;
	}
	if (sent < 0 && errno != EINTR)
	{
		/* what it wrote last goes out all the same; unread bytes would have the kernel reset that */
		pipe->is_deaf = true;
		buffer_free(&pipe->in);
		return PROGRESS_SOME;
	}
	consume(&pipe->in, sent > 0 ? (size_t) sent : 0);
	if (pipe->in.size == 0 && pipe->client_ended)
		shutdown(pipe->inner, SHUT_WR);
	return PROGRESS_SOME;
}

static Progress
read_client(Pipe *pipe)
{
	static uint8_t record[RECORD_BYTES];
	int size;

	ERR_clear_error();
	size = SSL_read(pipe->ssl, record, sizeof record);
	if (size > 0 && pipe->is_deaf)
		return PROGRESS_SOME;
	if (size > 0)
	{
		if (!keep(&pipe->in, record, (size_t) size))
			return PROGRESS_OVER;
		pipe->has_head = pipe->has_head || pipe->in.size >= HEAD_BYTES ||
						 memmem(pipe->in.data, pipe->in.size, "\r\n\r\n", 4) != NULL;
		return PROGRESS_SOME;
	}
	Progress progress = judge(pipe, size);

	if (progress != PROGRESS_OVER || SSL_get_error(pipe->ssl, size) != SSL_ERROR_ZERO_RETURN)
		return progress;
	/* it has said that nothing follows; it may still read */
	pipe->client_ended = true;
	if (!pipe->has_head)
		return PROGRESS_OVER;
	shutdown(pipe->inner, SHUT_WR);
	return PROGRESS_WAITS;
}

/* One step from the relay to the client. */
static Progress
outward(Pipe *pipe)
{
	static uint8_t record[RECORD_BYTES];

	if (pipe->out.size > 0)
	{
		int written;

		ERR_clear_error();
		written = SSL_write(pipe->ssl, pipe->out.data, (int) pipe->out.size);
		if (written <= 0)
			return judge(pipe, written);
		consume(&pipe->out, (size_t) written);
		return PROGRESS_SOME;
	}
	if (pipe->relay_ended)
		return PROGRESS_WAITS;
	ssize_t size = recv(pipe->inner, record, sizeof record, 0);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
	{
		inner_wanted |= EV_READ;
		return PROGRESS_WAITS;
	}
	if (size > 0)
		return keep(&pipe->out, record, (size_t) size) ? PROGRESS_SOME : PROGRESS_OVER;
	end_goodbye(pipe);
	return PROGRESS_WAITS;
}

/* What OpenSSL waits for, after it could not go on. */
static Progress
judge(Pipe *pipe, int result)
{
	switch (SSL_get_error(pipe->ssl, result))
	{
		case SSL_ERROR_WANT_READ: outer_wanted |= EV_READ; return PROGRESS_WAITS;
		case SSL_ERROR_WANT_WRITE: outer_wanted |= EV_WRITE; return PROGRESS_WAITS;
		default: return PROGRESS_OVER;
	}
}

/* The relay has closed, and all of it was sent: so do we, and the client has a moment to do the same. */
static void
end_goodbye(Pipe *pipe)
{
	pipe->relay_ended = true;
	ERR_clear_error();
	(void) SSL_shutdown(pipe->ssl);
	shutdown(pipe->outer_io.fd, SHUT_WR);
	ev_timer_start(loop_ev(), &pipe->goodbye);
}

static bool
keep(Buffer *buffer, const uint8_t *data, size_t size)
{
	buffer_write(buffer, (Bytes){data, size});
	return !buffer->failed;
}

static void
consume(Buffer *buffer, size_t size)
{
	memmove(buffer->data, buffer->data + size, buffer->size - size);
	buffer->size -= size;
	if (buffer->size == 0)
		buffer_free(buffer); /* idle pipes hold none */
}

static void
watch(ev_io *io, int events)
{
	if ((io->events & (EV_READ | EV_WRITE)) == events && ev_is_active(io) == (events != 0))
		return;
	ev_io_stop(loop_ev(), io);
	ev_io_set(io, io->fd, events);
	if (events != 0)
		ev_io_start(loop_ev(), io);
}

static void
pipe_free(Pipe *pipe)
{
	ev_io_stop(loop_ev(), &pipe->outer_io);
	ev_io_stop(loop_ev(), &pipe->inner_io);
	ev_timer_stop(loop_ev(), &pipe->goodbye);
	if (pipe->next != NULL)
		pipe->next->previous = pipe->previous;
	*(pipe->previous != NULL ? &pipe->previous->next : &pipes) = pipe->next;
	close(pipe->outer_io.fd);
	close(pipe->inner);
	SSL_free(pipe->ssl);
	buffer_free(&pipe->in);
	buffer_free(&pipe->out);
	free(pipe);
}
