/*
 * load.c: people who type, for measuring servers of Yjs documents: many WebSockets in one process.
 *
 *     load --url 127.0.0.1:1234 --documents 100 --editors 2 --rate 10 --seconds 5
 *     {"sent": 10000, "delivered": 10000, "undelivered": 0, "p50_ms": 0.8, ...}
 *
 * Each editor types one character an update, behind its last one, at its own rate; whoever else has the document open sees it,
 * by the clocks in the updates that arrive.  So every delivery is timed, and a lost one is found.
 * Here: scenario, protocols, measuring.  Not here: WebSocket (websocket.c).
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"
#include "websocket.h"

#define MAX_URLS 16
#define EVENTS 1024
#define GRACE_SECONDS 10.0

typedef enum Protocol
{
	PROTOCOL_YWEBSOCKET,
	PROTOCOL_HOCUSPOCUS
} Protocol;

typedef struct Options
{
	const char *hosts[MAX_URLS];
	uint16_t ports[MAX_URLS];
	int url_count;
	Protocol protocol;
	int documents, editors, readers;
	double rate; /* of each editor, updates a second */
	double seconds, warmup;
	double presence; /* awareness of each client, messages a second */
	const char *name;
	bool hold; /* say when all are synced, and wait for a line before going on */
	int connects; /* unfinished ones at a time */
} Options;

typedef struct Client
{
	WebSocket socket;
	int number, document;
	int editor; /* in its document; -1: only reads */
	bool is_synced, is_gone;
	uint32_t sent; /* updates: the clock of the next one */
	uint64_t *sent_at; /* ns, of each */
	uint32_t *known; /* of each editor of the document */
	uint32_t presence_clock;
	uint64_t presence_sent_at;
	uint64_t connect_at;
} Client;

typedef struct Reader /* of a message */
{
	const uint8_t *at, *end;
	bool failed;
} Reader;

static Options options = {.documents = 1,
						  .editors = 2,
						  .rate = 10,
						  .seconds = 5,
						  .warmup = 1,
						  .name = "load",
						  .connects = 64};
static Client *clients;
static int client_count, opened, synced, gone;
static uint32_t most_updates; /* an editor can send */
static uint32_t first_client; /* Yjs's id of client 0 */
static int epoll;
static uint64_t measured_from, measured_to; /* when updates that count are sent */
static bool is_typing;
static Histogram latency, presence_latency, connecting;
static uint64_t sent, delivered, acknowledged, presence_sent, presence_seen;

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

static void
fail(const char *what, const Client *client)
{
	fprintf(stderr, "load: %s (client %d, document %d)\n", what, client->number, client->document);
	exit(1);
}

/* ---- messages ---- */

static void
write_varuint(Bytes *out, uint64_t value)
{
	uint8_t bytes[10];
	size_t size = 0;

	for (; value > 127; value >>= 7)
		bytes[size++] = (uint8_t) value | 128;
	bytes[size++] = (uint8_t) value;
	bytes_append(out, bytes, size);
}

static void
write_string(Bytes *out, const char *text)
{
	write_varuint(out, strlen(text));
	bytes_append(out, text, strlen(text));
}

static uint64_t
read_varuint(Reader *reader)
{
	uint64_t value = 0;

	for (unsigned shift = 0; reader->at < reader->end && shift < 64; shift += 7)
	{
		uint8_t byte = *reader->at++;

		value |= (uint64_t) (byte & 127) << shift;
		if (byte < 128)
			return value;
	}
	reader->failed = true;
	return 0;
}

static Reader
read_bytes(Reader *reader)
{
	uint64_t size = read_varuint(reader);
	Reader part = {reader->at, reader->at, false};

	if (size > (uint64_t) (reader->end - reader->at))
	{
		reader->failed = true;
		return part;
	}
	reader->at += size;
	part.end = reader->at;
	return part;
}

static const char *
document_name(const Client *client)
{
	static char name[256];

	snprintf(name, sizeof name, "%s-%d", options.name, client->document);
	return name;
}

/* A message begins: Hocuspocus names the document first. */
static void
begin(const Client *client, Bytes *out)
{
	out->size = 0;
	if (options.protocol == PROTOCOL_HOCUSPOCUS)
		write_string(out, document_name(client));
}

static void
send_message(Client *client, const Bytes *message)
{
	bool waited = client->socket.wants_write;

	if (!websocket_send(&client->socket, message->data, message->size))
		client->is_gone = true; /* epoll tells */
	if (client->socket.wants_write && !waited)
	{
		struct epoll_event event = {EPOLLIN | EPOLLOUT, {.ptr = client}};

		epoll_ctl(epoll, EPOLL_CTL_MOD, client->socket.fd, &event);
	}
}

static void
send_opening(Client *client)
{
	static Bytes message;

	if (options.protocol == PROTOCOL_HOCUSPOCUS)
	{
		begin(client, &message);
		bytes_append(&message, "\x02\x00\x01x", 4); /* auth, token "x" */
		send_message(client, &message);
	}
	begin(client, &message);
	bytes_append(&message, "\x00\x00\x01\x00", 4); /* step 1 with an empty state vector */
	send_message(client, &message);
}

/* The update of the next character: client, clock, origin, "x". */
static void
send_update(Client *client)
{
	static Bytes update, message;
	uint32_t id = first_client + (uint32_t) client->number;

	update.size = 0;
	bytes_append(&update, "\x01\x01", 2);
	write_varuint(&update, id);
	write_varuint(&update, client->sent);
	if (client->sent == 0)
		bytes_append(&update, "\x04\x01\x01t", 4);
	else
	{
		bytes_append(&update, "\x84", 1);
		write_varuint(&update, id);
		write_varuint(&update, client->sent - 1);
	}
	bytes_append(&update, "\x01x\x00", 3);
	begin(client, &message);
	bytes_append(&message, "\x00\x02", 2);
	write_varuint(&message, update.size);
	bytes_append(&message, update.data, update.size);
	client->sent_at[client->sent++] = now_ns();
	sent++;
	send_message(client, &message);
}

static void
send_presence(Client *client)
{
	static Bytes entries, message;
	char state[64];

	snprintf(state, sizeof state, "{\"n\":%u,\"user\":{\"name\":\"p%d\"}}", client->presence_clock,
			 client->number);
	entries.size = 0;
	write_varuint(&entries, 1);
	write_varuint(&entries, first_client + (uint32_t) client->number);
	write_varuint(&entries, ++client->presence_clock);
	write_string(&entries, state);
	begin(client, &message);
	write_varuint(&message, 1);
	write_varuint(&message, entries.size);
	bytes_append(&message, entries.data, entries.size);
	client->presence_sent_at = now_ns();
	presence_sent++;
	send_message(client, &message);
}

/* ---- what arrives ---- */

/* Clocks from..to - 1 of an editor are there. */
static void
note_clocks(Client *client, uint32_t id, uint32_t from, uint32_t to)
{
	int number = (int) (id - first_client);

	if (number < 0 || number >= client_count || clients[number].document != client->document ||
		clients[number].editor < 0)
		return; /* an earlier run's */
	const Client *editor = &clients[number];

	if (editor == client)
		return; /* what it wrote, it has: it gets some of it back, or nothing */
	uint32_t *known = &client->known[editor->editor];

	if (from > *known)
		fail("an update came before the one that it follows", client);
	if (to > editor->sent)
		fail("an update came that nobody has sent", client);
	uint64_t now = now_ns();

	for (; *known < to; ++*known)
	{
		uint64_t at = editor->sent_at[*known];

		if (at < measured_from || at >= measured_to)
			continue;
		histogram_add(&latency, now - at);
		delivered++;
	}
}

/* The structs of an update such as ours, merged or not. */
static void
take_update(Client *client, Reader update)
{
	for (uint64_t count = read_varuint(&update); count > 0 && !update.failed; count--)
	{
		uint64_t structs = read_varuint(&update);
		uint32_t id = (uint32_t) read_varuint(&update);
		uint32_t from = (uint32_t) read_varuint(&update), clock = from;

		for (; structs > 0 && update.at < update.end; structs--)
		{
			uint8_t info = *update.at++;

			if ((info & 0x80) != 0)
				(void) read_varuint(&update), (void) read_varuint(&update);
			if ((info & 0x40) != 0)
				(void) read_varuint(&update), (void) read_varuint(&update);
			if ((info & 0xc0) == 0)
			{
				if (read_varuint(&update) != 1)
					fail("an update has a parent that is no root", client);
				read_bytes(&update);
			}
			if ((info & 0x1f) != 4)
				fail("an update has another content than text", client);
			Reader text = read_bytes(&update);

			clock += (uint32_t) (text.end - text.at);
		}
		note_clocks(client, id, from, clock);
	}
	if (update.failed)
		fail("an update ends too early", client);
}

static void
take_presence(Client *client, Reader entries)
{
	uint64_t now = now_ns();

	for (uint64_t count = read_varuint(&entries); count > 0 && !entries.failed; count--)
	{
		int number = (int) ((uint32_t) read_varuint(&entries) - first_client);
		uint32_t clock = (uint32_t) read_varuint(&entries);

		read_bytes(&entries);
		if (number == client->number && clock > client->presence_clock)
			client->presence_clock = clock; /* as in y-protocols: we go on from there */
		/* what has been replaced by a newer state is of no interest to anybody */
		if (number < 0 || number >= client_count || number == client->number ||
			clients[number].presence_clock != clock ||
			clients[number].presence_sent_at < measured_from)
			continue;
		histogram_add(&presence_latency, now - clients[number].presence_sent_at);
		presence_seen++;
	}
}

static void
answer_step_1(Client *client)
{
	static Bytes message;

	begin(client, &message);
	bytes_append(&message, "\x00\x01\x02\x00\x00", 5); /* step 2: nothing */
	send_message(client, &message);
}

static void
take_sync(Client *client, Reader *message)
{
	uint64_t kind = read_varuint(message);
	Reader part = read_bytes(message);

	if (message->failed)
		fail("a sync message ends too early", client);
	if (kind == 0)
	{
		answer_step_1(client);
		return;
	}
	if (options.editors > 0)
		take_update(client, part);
	if (kind == 1 && !client->is_synced)
	{
		client->is_synced = true;
		synced++;
		histogram_add(&connecting, now_ns() - client->connect_at);
	}
}

static void
take_message(void *context, const uint8_t *data, size_t size)
{
	Client *client = context;
	Reader message = {data, data + size, false};

	if (data == NULL)
	{
		opened++;
		send_opening(client);
		return;
	}
	if (options.protocol == PROTOCOL_HOCUSPOCUS)
		read_bytes(&message);
	switch (read_varuint(&message))
	{
		case 0: take_sync(client, &message); break;
		case 1: take_presence(client, read_bytes(&message)); break;
		case 2:
			if (options.protocol == PROTOCOL_HOCUSPOCUS && read_varuint(&message) == 1)
				fail("permission denied", client);
			break;
		case 8: acknowledged++; break;
		default: break;
	}
}

/* ---- the loop ---- */

static void
open_client(Client *client)
{
	char path[300];
	int url = client->number % options.url_count;
	struct epoll_event event = {EPOLLIN | EPOLLOUT, {.ptr = client}};

	snprintf(path, sizeof path, "/%s",
			 options.protocol == PROTOCOL_HOCUSPOCUS ? "" : document_name(client));
	client->connect_at = now_ns();
	if (!websocket_connect(&client->socket, options.hosts[url], options.ports[url], path) ||
		epoll_ctl(epoll, EPOLL_CTL_ADD, client->socket.fd, &event) < 0)
		fail(strerror(errno), client);
}

static void
lose_client(Client *client)
{
	if (client->socket.fd < 0)
		return;
	if (client->socket.close_code != 0)
		fprintf(stderr, "load: closed with %u\n", client->socket.close_code);
	websocket_close(&client->socket);
	client->is_gone = true;
	gone++;
}

static void
serve(uint64_t timeout_ns)
{
	struct epoll_event events[EVENTS];
	struct timespec timeout = {(time_t) (timeout_ns / 1000000000u),
							   (long) (timeout_ns % 1000000000u)};
	int count = epoll_pwait2(epoll, events, EVENTS, &timeout, NULL);

	for (int i = 0; i < count; i++)
	{
		Client *client = events[i].data.ptr;
		bool waited = client->socket.wants_write;

		if (!websocket_service(&client->socket, events[i].events, take_message, client))
		{
			lose_client(client);
			continue;
		}
		if (waited && !client->socket.wants_write)
		{
			struct epoll_event event = {EPOLLIN, {.ptr = client}};

			epoll_ctl(epoll, EPOLL_CTL_MOD, client->socket.fd, &event);
		}
	}
}

static void
connect_all(void)
{
	for (int next = 0; synced < client_count;)
	{
		while (next < client_count && next - synced - gone < options.connects)
			open_client(&clients[next++]);
		serve(1000000000);
		if (gone > 0)
			fail("a connection was refused or lost", &clients[0]);
	}
}

typedef void (*Act)(Client *client);

/* Everybody of a list acts once in each period, evenly spread. */
typedef struct Clockwork
{
	Act act;
	Client **who;
	int count;
	uint64_t started_at, period_ns;
	uint64_t done; /* acts */
} Clockwork;

static uint64_t
due_at(const Clockwork *clockwork)
{
	if (clockwork->count == 0)
		return UINT64_MAX;
	uint64_t rounds = clockwork->done / (uint64_t) clockwork->count;
	uint64_t place = clockwork->done % (uint64_t) clockwork->count;

	return clockwork->started_at + rounds * clockwork->period_ns +
		   place * clockwork->period_ns / (uint64_t) clockwork->count;
}

static void
turn(Clockwork *clockwork, uint64_t now)
{
	/* who is late catches up, but reads in between */
	for (int i = 0; i < 256 && due_at(clockwork) <= now; i++, clockwork->done++)
	{
		Client *client = clockwork->who[clockwork->done % (uint64_t) clockwork->count];

		if (!client->is_gone)
			clockwork->act(client);
	}
}

static Clockwork
clockwork_new(Act act, double rate, bool editors_only, uint64_t now)
{
	Clockwork clockwork = {.act = act, .started_at = now};

	if (rate <= 0)
		return clockwork;
	clockwork.who = calloc((size_t) client_count, sizeof *clockwork.who);
	clockwork.period_ns = (uint64_t) (1e9 / rate);
	/* neighbours in time are of different documents */
	int each = options.editors + options.readers;

	for (int member = 0; member < each; member++)
		for (int i = member; i < client_count; i += each)
			if (!editors_only || clients[i].editor >= 0)
				clockwork.who[clockwork.count++] = &clients[i];
	return clockwork;
}

static void
type_for_a_while(void)
{
	uint64_t now = now_ns();
	Clockwork typing = clockwork_new(send_update, options.rate, true, now);
	Clockwork showing = clockwork_new(send_presence, options.presence, false, now);
	uint64_t end = now + (uint64_t) ((options.warmup + options.seconds) * 1e9);

	measured_from = now + (uint64_t) (options.warmup * 1e9);
	measured_to = end;
	for (is_typing = true; (now = now_ns()) < end;)
	{
		turn(&typing, now);
		turn(&showing, now);
		uint64_t due = due_at(&typing) < due_at(&showing) ? due_at(&typing) : due_at(&showing);

		due = due < end ? due : end;
		now = now_ns();
		serve(due <= now ? 0 : due - now);
	}
	is_typing = false;
	free(typing.who);
	free(showing.who);
}

/* Updates sent while it counted that somebody still lacks. */
static uint64_t
count_undelivered(void)
{
	uint64_t count = 0;

	for (int i = 0; i < client_count; i++)
		for (int j = i - i % (options.editors + options.readers);
			 !clients[i].is_gone && j < client_count && clients[j].document == clients[i].document;
			 j++)
			if (clients[j].editor >= 0 && j != i)
				count += clients[j].sent - clients[i].known[clients[j].editor];
	return count;
}

static void
wait_for_the_rest(void)
{
	uint64_t end = now_ns() + (uint64_t) (GRACE_SECONDS * 1e9);

	while (count_undelivered() > 0 && now_ns() < end)
		serve(10000000);
}

/* ---- options, report ---- */

static void
make_clients(void)
{
	int each = options.editors + options.readers;

	client_count = options.documents * each;
	most_updates = (uint32_t) (options.rate * (options.seconds + options.warmup) * 1.2) + 1000;
	first_client = (uint32_t) (now_ns() * 2654435761u) & 0x3fffffff;
	clients = calloc((size_t) client_count, sizeof *clients);
	for (int i = 0; i < client_count; i++)
	{
		Client *client = &clients[i];

		client->socket.fd = -1;
		client->number = i;
		client->document = i / each;
		client->editor = i % each < options.editors ? i % each : -1;
		client->known = calloc((size_t) options.editors, sizeof *client->known);
		if (client->editor >= 0)
			client->sent_at = malloc(most_updates * sizeof *client->sent_at);
	}
}

static uint64_t
sum_frames(bool bytes)
{
	uint64_t sum = 0;

	for (int i = 0; i < client_count; i++)
		sum += bytes ? clients[i].socket.bytes_in : clients[i].socket.frames_in;
	return sum;
}

static void
report(double seconds)
{
	struct rusage usage;
	double cpu;

	getrusage(RUSAGE_SELF, &usage);
	cpu = (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		  (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("{\"clients\": %d, \"sent\": %llu, \"delivered\": %llu, \"undelivered\": %llu, "
		   "\"gone\": %d,"
		   " \"acknowledged\": %llu, \"p50_ms\": %.3f, \"p95_ms\": %.3f, \"p99_ms\": %.3f, "
		   "\"max_ms\": %.3f,"
		   " \"connect_first_ms\": %.3f, \"connect_p50_ms\": %.3f, \"connect_p99_ms\": %.3f, "
		   "\"connect_max_ms\": %.3f,"
		   " \"connect_seconds\": %.3f,"
		   " \"presence_sent\": %llu, \"presence_seen\": %llu, \"presence_p50_ms\": %.3f, "
		   "\"presence_p99_ms\": %.3f,"
		   " \"frames_in\": %llu, \"bytes_in\": %llu, \"load_cpu_seconds\": %.3f}\n",
		   client_count, (unsigned long long) sent, (unsigned long long) delivered,
		   (unsigned long long) count_undelivered(), gone, (unsigned long long) acknowledged,
		   histogram_quantile_ms(&latency, 0.5), histogram_quantile_ms(&latency, 0.95),
		   histogram_quantile_ms(&latency, 0.99), (double) latency.max_ns / 1e6,
		   histogram_quantile_ms(&connecting, 0), histogram_quantile_ms(&connecting, 0.5),
		   histogram_quantile_ms(&connecting, 0.99), (double) connecting.max_ns / 1e6, seconds,
		   (unsigned long long) presence_sent, (unsigned long long) presence_seen,
		   histogram_quantile_ms(&presence_latency, 0.5),
		   histogram_quantile_ms(&presence_latency, 0.99), (unsigned long long) sum_frames(false),
		   (unsigned long long) sum_frames(true), cpu);
}

static const char help[] = "load: people who type into Yjs documents, for measuring servers\n\n"
						   "  --url HOST:PORT     a server; more than one: clients take turns\n"
						   "  --protocol NAME     ywebsocket (default) or hocuspocus\n"
						   "  --documents N       documents (1)\n"
						   "  --editors N         people who type, in each document (2)\n"
						   "  --readers N         people who only look, in each document (0); with "
						   "no editors, any document will do\n"
						   "  --rate R            updates a second of each editor (10)\n"
						   "  --presence R        awareness messages a second of everybody (0)\n"
						   "  --seconds S         time that is measured (5), after --warmup S (1)\n"
						   "  --name PREFIX       of the documents' names (load)\n"
						   "  --connects N        connections that are being made at a time (64)\n"
						   "  --hold              print \"ready\" when all are synced, and wait "
						   "for a line on standard input\n\n"
						   "Prints one line of JSON.  Every delivery of an update to somebody else "
						   "is timed and counted.\n";

static int
add_url(char *url)
{
	char *colon = strrchr(url, ':');

	if (colon == NULL || options.url_count == MAX_URLS)
		return -1;
	*colon = '\0';
	options.hosts[options.url_count] = url;
	options.ports[options.url_count++] = (uint16_t) atoi(colon + 1);
	return 0;
}

static int
read_options(int argc, char **argv)
{
	static const struct option flags[] = {{"url", required_argument, NULL, 'u'},
										  {"protocol", required_argument, NULL, 'p'},
										  {"documents", required_argument, NULL, 'd'},
										  {"editors", required_argument, NULL, 'e'},
										  {"readers", required_argument, NULL, 'r'},
										  {"rate", required_argument, NULL, 'R'},
										  {"presence", required_argument, NULL, 'P'},
										  {"seconds", required_argument, NULL, 's'},
										  {"warmup", required_argument, NULL, 'w'},
										  {"name", required_argument, NULL, 'n'},
										  {"connects", required_argument, NULL, 'c'},
										  {"hold", no_argument, NULL, 'H'},
										  {"help", no_argument, NULL, 'h'},
										  {0}};

	for (int flag; (flag = getopt_long(argc, argv, "h", flags, NULL)) != -1;)
		switch (flag)
		{
			case 'u':
				if (add_url(optarg) < 0)
					return -1;
				break;
			case 'p': options.protocol = strcmp(optarg, "hocuspocus") == 0; break;
			case 'd': options.documents = atoi(optarg); break;
			case 'e': options.editors = atoi(optarg); break;
			case 'r': options.readers = atoi(optarg); break;
			case 'R': options.rate = atof(optarg); break;
			case 'P': options.presence = atof(optarg); break;
			case 's': options.seconds = atof(optarg); break;
			case 'w': options.warmup = atof(optarg); break;
			case 'n': options.name = optarg; break;
			case 'c': options.connects = atoi(optarg); break;
			case 'H': options.hold = true; break;
			case 'h': fputs(help, stdout); exit(0);
			default: return -1;
		}
	return options.url_count > 0 && options.documents > 0 && options.editors + options.readers > 0
			   ? 0
			   : -1;
}

int
main(int argc, char **argv)
{
	struct rlimit files;

	if (read_options(argc, argv) < 0)
	{
		fputs(help, stderr);
		return 64;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	make_clients();
	epoll = epoll_create1(EPOLL_CLOEXEC);
	uint64_t began = now_ns();

	connect_all();
	double connected = (double) (now_ns() - began) / 1e9;

	if (options.hold)
	{
		puts("ready");
		fflush(stdout);
		(void) !getchar();
	}
	type_for_a_while();
	wait_for_the_rest();
	report(connected);
	return 0;
}
