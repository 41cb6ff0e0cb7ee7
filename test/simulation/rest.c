/*
 * rest.c: what must be true when nothing goes wrong any more, and what must be true always.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "chance.h"
#include "invariant.h"
#include "world_inside.h"

#define REST_SECONDS 100.0 /* longer than every limit: silence, staleness, the check of all heads */
#define RECONNECT_SECONDS 13.0 /* shorter than the check for what nobody announced */
#define MAX_ACTIONS_AT_REST 200000

static uint64_t memory_failed_before, hints_lost_before;
static Socket *socket_now;
static Link *link_now;
static Session *session_now;
static Editor *editor_now;

static void heal(void);
static void let_pass(double seconds);
static bool somebody_gathers(void);
static bool somebody_floods(void);
static bool drain_once(void);
static void check_equal(void);
static void check_presence(void);
static void check_gauges(Relay *relay);
static bool has_reason(const Editor *editor, int code);
static void check_gauge(Relay *relay, const char *name, int64_t expected);

void
rest(void)
{
	bool has_lost_hints = libpq_hints_lost != hints_lost_before;
	bool has_lost_memory = relay_memory_failed != memory_failed_before;

	heal();
	rest_drain();
	let_pass(RECONNECT_SECONDS);
	for (double end = world_now + REST_SECONDS; world_now < end && somebody_floods();)
		let_pass(0.5);
	if (!has_lost_hints && !has_lost_memory && !store.has_forked)
		check_equal();
	let_pass(REST_SECONDS);
	/* who cannot be served would come again and again */
	for (uint32_t i = 0; i < nature.editor_count; i++)
		if (editors[i].is_open && editors[i].document->is_broken)
		{
			editors[i].wants_connection = false;
			editor_disconnect(&editors[i], true);
		}
	let_pass(5.0);
	check_equal();
	check_presence();
	for (uint32_t i = 0; i < nature.relay_count; i++)
		check_gauges(&relays[i]);
	rest_check_memory();
}

void
rest_is_over(void)
{
	libpq_errors = nature.errors;
	libpq_lost_hints = nature.lost_hints;
	relay_memory_failures = nature.lost_memory;
	hints_lost_before = libpq_hints_lost;
	memory_failed_before = relay_memory_failed;
	store.has_forked = false;
}

static void
heal(void)
{
	store.is_up = true;
	store.is_full = store.is_silent = false;
	store.queue_usage = 0;
	libpq_errors = libpq_lost_hints = relay_memory_failures = 0;
	for (uint32_t i = 0; i < nature.relay_count; i++)
	{
		relays[i].stopped_until = 0.0;
		for (int ticks = 0; relays[i].is_running && relays[i].was_terminated; ticks++)
		{
			invariant_check(ENDS_IN_ORDER, ticks < 1000, "relay %u does not end", i);
			let_time_pass(0.1);
		}
		if (!relays[i].is_running)
			launch(&relays[i]);
	}
	for (uint32_t i = 0; i < nature.editor_count; i++)
		editors[i].wants_connection = true;
	size_t count;
	Link **links = libpq_links(&count);

	for (size_t i = 0; i < count; i++)
		links[i]->noticed_at = world_now;
}

static void
let_pass(double seconds)
{
	for (double end = world_now + seconds; world_now < end;)
	{
		/* batches that gather more go one after the other, not one in each of our long steps */
		let_time_pass(somebody_gathers() ? 0.002 : 0.5);
		rest_drain();
	}
}

static bool
somebody_gathers(void)
{
	bool gathers = false;

	for (uint32_t i = 0; i < nature.relay_count; i++)
		gathers |= relay_metric(&relays[i], "pending_bytes") > 0;
	return gathers;
}

/* Of a flood the relay takes so many messages a second. */
static bool
somebody_floods(void)
{
	bool floods = false;
	size_t count;
	Socket **sockets = sockets_all(&count);

	for (size_t i = 0; i < count; i++)
		floods |= !sockets[i]->is_gone && sockets[i]->editor != NULL && sockets[i]->up_count > 0;
	return floods;
}

void
rest_drain(void)
{
	uint64_t before = steps_made;

	while (drain_once())
		invariant_check(COMES_TO_REST, steps_made - before < MAX_ACTIONS_AT_REST,
						"%d things happened and there is still no end", MAX_ACTIONS_AT_REST);
}

static bool
drain_socket(void)
{
	bool did = socket_deliver(socket_now);

	did |= socket_writable(socket_now);
	return did | socket_finish(socket_now);
}

static bool
drain_link(void)
{
	return link_step(link_now);
}

static bool
drain_session(void)
{
	return libpq_execute(session_now);
}

static bool
drain_editor(void)
{
	bool did = editor_read(editor_now);

	if (editor_now->is_open && editor_now->wants_connection && editor_now->socket == NULL)
		did |= editor_connect(editor_now, some_relay());
	return did;
}

/* Everything that can happen, happens once. */
static bool
drain_once(void)
{
	bool did = false;
	size_t count;

	for (size_t i = 0; i < (sockets_all(&count), count); i++)
	{
		socket_now = sockets_all(&count)[i];
		did |= turn("rest: socket", drain_socket);
	}
	for (size_t i = 0; i < (libpq_links(&count), count); i++)
	{
		link_now = libpq_links(&count)[i];
		did |= turn("rest: link", drain_link);
	}
	for (size_t i = 0; i < (libpq_sessions(&count), count); i++)
	{
		session_now = libpq_sessions(&count)[i];
		did |= turn("rest: session", drain_session);
	}
	for (uint32_t i = 0; i < nature.editor_count; i++)
	{
		editor_now = &editors[i];
		did |= turn("rest: editor", drain_editor);
	}
	for (uint32_t i = 0; i < nature.relay_count; i++)
		if (relay_is_awake(&relays[i]))
			relay_end_round(&relays[i]);
	sockets_sweep();
	return did;
}

/* ---- what must be true ---- */

static void
check_equal(void)
{
	for (uint32_t i = 0; i < nature.editor_count; i++)
	{
		Editor *editor = &editors[i];

		if (!editor->is_open || editor->document->is_broken || editor->is_refused)
			continue;
		invariant_check(DOCUMENTS_ARE_INDEPENDENT, editor->socket != NULL,
						"editor %u of %s cannot stay connected", i, editor->document->name);
		invariant_check(COMMITTED_REACHES_ALL, !editor->is_asking,
						"editor %u of %s waits for the answer to its state vector", i,
						editor->document->name);
		invariant_check(COMMITTED_REACHES_ALL,
						!editor->is_hocuspocus || editor->unsynced == 0 ||
							editor->has_typed_rubbish,
						"editor %u of %s is not told that %u updates are stored", i,
						editor->document->name, editor->unsynced);
		bool same = content_is_same(&editor->content, &editor->document->content);

		if (!same)
		{
			fprintf(stderr, "the store: ");
			content_print(&editor->document->content);
			fprintf(stderr, "editor %u:", i);
			content_print(&editor->content);
		}
		invariant_check(COMMITTED_REACHES_ALL, same, "editor %u (client %u) of %s, relay %d", i,
						editor->client, editor->document->name, editor->socket->relay->number);
	}
}

/* Each knows of exactly those who are there. */
static void
check_presence(void)
{
	for (uint32_t i = 0; i < nature.editor_count; i++)
		for (uint32_t client = 0; editors[i].socket != NULL && client < MAX_CLIENTS; client++)
		{
			bool is_here = false;

			if (editors[i].document->is_broken)
				continue;
			for (uint32_t j = 0; j < nature.editor_count; j++)
				is_here |= editors[j].socket != NULL && editors[j].client == client &&
						   editors[j].document == editors[i].document;
			invariant_check(PRESENCE_CONVERGES, editors[i].presence[client].is_present == is_here,
							"editor %u of %s thinks that client %u is %s", i,
							editors[i].document->name, client, is_here ? "gone" : "there");
		}
}

/* When nothing happens, a relay has what its sockets and links need and nothing else. */
static void
check_gauges(Relay *relay)
{
	int64_t connections = 0, rooms = 0, doubtful_rooms = 0;
	size_t count;
	Socket **sockets = sockets_all(&count);

	for (uint32_t i = 0; i < store.document_count; i++)
	{
		int64_t members = 0, doubtful = 0;

		for (size_t j = 0; j < count; j++)
		{
			/* the document may be over for him (refused, gone, unreadable): no room for telling him so */
			bool is_doubtful = sockets[j]->has_addresses && sockets[j]->partial.size > 0;
			bool is_here = sockets[j]->relay == relay && !sockets[j]->is_gone &&
						   sockets[j]->document == &store.documents[i];

			connections += is_here;
			bool has_guest = sockets[j]->relay == relay && !sockets[j]->is_gone &&
							 sockets[j]->guest_document == &store.documents[i] &&
							 !sockets[j]->guest_is_out;

			members += is_here && !sockets[j]->is_denied && !is_doubtful;
			members += has_guest && !is_doubtful;
			doubtful += (is_here || has_guest) && is_doubtful;
		}
		rooms += members > 0;
		doubtful_rooms += members == 0 && doubtful > 0;
	}
	check_gauge(relay, "connections", connections);
	if (doubtful_rooms == 0)
		check_gauge(relay, "rooms", rooms);
	check_gauge(relay, "pending_bytes", 0);
	check_gauge(relay, "reassembly_bytes", 0);
	check_gauge(relay, "database_connections_up",
				1 + strtol(nature.writers, NULL, 10) + strtol(nature.readers, NULL, 10));
}

static void
check_gauge(Relay *relay, const char *name, int64_t expected)
{
	int64_t value = relay_metric(relay, name);

	if (world_flaw == FLAW_METRICS_LIE)
		value++;
	invariant_check(GAUGES_ARE_TRUE, value == expected,
					"relay %d says %s %" PRId64 ", there are %" PRId64, relay->number, name, value,
					expected);
}

/*
 * What a relay holds: frames for the slow, updates for the store, and what it needs at the moment:
 * a document's answer a few times over.
 */
void
rest_check_memory(void)
{
	size_t largest = 0, socket_count;
	Socket **sockets = sockets_all(&socket_count);

	for (uint32_t i = 0; i < store.document_count; i++)
	{
		Update all = {0};
		Buffer bytes = {0};

		content_diff(&store.documents[i].ever, NULL, &all);
		update_write(&all, &bytes);
		largest = bytes.size > largest ? bytes.size : largest;
		update_free(&all);
		buffer_free(&bytes);
	}
	/* a batch that failed as a whole is tried in up to 1000 pieces, by each of three writers */
	int64_t bound = (int64_t) (32768 + store.document_count * (nature.room_log + 4 * largest) +
							   3 * nature.pending + socket_count * 4096 +
							   (nature.has_spoiling ? 3 * 1000 * 4096 : 0));

	for (uint32_t i = 0; i < nature.relay_count; i++)
	{
		if (world_flaw == FLAW_MEMORY_GROWS)
			relays[i].bytes +=
				bound / 2; /* beyond it before the world ends, however large that is */
		if (relays[i].bytes > bound)
			relay_print_blocks(&relays[i]);
		invariant_check(MEMORY_IS_BOUNDED, relays[i].bytes <= bound,
						"relay %u holds %" PRId64 " bytes, %" PRId64 " are the bound", i,
						relays[i].bytes, bound);
	}
	for (size_t i = 0; i < socket_count; i++)
		invariant_check(MEMORY_IS_BOUNDED,
						sockets[i]->partial.size <= 2 * (nature.room_log + 4 * largest + 65536),
						"%zu bytes wait for an editor", sockets[i]->partial.size);
}

/* Nobody is sent away without a reason of his own. */
void
world_closed(Socket *socket, int code)
{
	const Editor *editor = socket->editor;
	bool is_overloaded = nature.lost_memory > 0 || nature.pending < 64 << 20;

	if (editor == NULL || (socket->guest_document != NULL && socket->guest == NULL))
		return; /* he is gone, and it is not known any more who he was */
	bool ok = code == 1001   ? socket->relay->was_terminated
			  : code == 1013 ? is_overloaded
							 : has_reason(editor, code) ||
								   (socket->guest != NULL && has_reason(socket->guest, code));

	invariant_check(DOCUMENTS_ARE_INDEPENDENT, ok, "client %u of %s was sent away with code %d",
					editor->client, editor->document->name, code);
}

void
world_denied(Editor *editor, int code)
{
	if (editor != NULL)
		invariant_check(DOCUMENTS_ARE_INDEPENDENT, has_reason(editor, code),
						"client %u of %s was denied it with code %d", editor->client,
						editor->document->name, code);
}

static bool
has_reason(const Editor *editor, int code)
{
	switch (code)
	{
		case 1012:
		case 4404: return editor->document->was_gone;
		case 1011: return editor->document->is_broken;
		default: return editor->has_typed_rubbish || editor->document->is_broken;
	}
}
