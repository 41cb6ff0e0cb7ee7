/*
 * actions.c: what may happen next.
 *
 * Each takes whoever chance gives it, and says if there was nothing to do.  Faults are more or less
 * likely from world to world, and some do not happen at all in most.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "chance.h"
#include "world_inside.h"

typedef struct Action
{
	const char *name;
	uint32_t weight; /* how likely, before the world's nature */
	bool (*act)(void);
	bool is_fault;
	uint32_t weight_now;
	uint64_t count;
} Action;

static bool
act_type(void)
{
	Editor *editor = some_editor();

	if (!editor->is_open || editor->is_refused ||
		editor->document->clocks_given * (6 + nature.most_weight / 30) > nature.message / 2)
		return false; /* all that anybody wrote must fit into a message of who brings it back */
	editor_type(editor);
	return true;
}

static bool
act_edit_in_sql(void)
{
	if (!store.is_up)
		return false;
	store_edit(some_document());
	return true;
}

static bool
act_read(void)
{
	Editor *editor = some_editor();

	return (!editor->is_lazy || chance_in(30)) && editor_read(editor);
}

static bool
act_ask(void)
{
	Editor *editor = some_editor();

	if (editor->socket == NULL)
		return false;
	editor_ask(editor);
	return true;
}

static bool
act_deliver(void)
{
	Socket *socket = some_socket();

	return socket != NULL && socket_deliver(socket);
}

static bool
act_writable(void)
{
	Socket *socket = some_socket();

	return socket != NULL && socket_writable(socket);
}

static bool
act_finish(void)
{
	Socket *socket = some_socket();
	bool did = socket != NULL && socket_finish(socket);

	if (did)
		sockets_sweep();
	return did;
}

static bool
act_execute(void)
{
	size_t count;
	Session **sessions = libpq_sessions(&count);

	return count > 0 && libpq_execute(sessions[chance_below((uint32_t) count)]);
}

bool
link_step(Link *link)
{
	if (!relay_is_awake(link->relay))
		return false;
	return libpq_deliver(link) || libpq_connect(link) || libpq_write(link);
}

static bool
act_link(void)
{
	Link *link = some_link();

	return link != NULL && link_step(link);
}

static bool
act_time(void)
{
	let_time_pass(-log(chance_real()) * nature.tick);
	return true;
}

static bool
act_connect(void)
{
	Editor *editor = some_editor();

	if (!editor->is_open)
		return editor_open(editor, some_document());
	if (editor->is_refused)
	{
		editor_close(editor, false);
		sockets_sweep();
		return true;
	}
	return editor->wants_connection && editor_connect(editor, some_relay());
}

static bool
act_go_offline(void)
{
	Editor *editor = some_editor();

	if (!editor->is_open)
		return false;
	editor->wants_connection = !editor->wants_connection;
	if (!editor->wants_connection)
		editor_disconnect(editor, chance_in(2));
	return true;
}

static bool
act_cut(void)
{
	Socket *socket = some_socket();

	if (socket == NULL)
		return false;
	if (socket->editor != NULL && chance_in(2))
		editor_disconnect(socket->editor, false); /* the relay does not know yet */
	else
		socket->is_reset = true;
	return true;
}

static bool
act_leave(void)
{
	Editor *editor = some_editor();

	if (!editor->is_open)
		return false;
	editor_close(editor, chance_in(2));
	return true;
}

static bool
act_rave(void)
{
	Editor *editor = some_editor();

	if (!editor->is_open || !nature.has_raving)
		return false;
	editor_rave(editor, nature.message);
	return true;
}

static bool
act_flood(void)
{
	Editor *editor = some_editor();

	if (!editor->is_open || !nature.has_raving || editor->socket == NULL)
		return false;
	editor_flood(editor);
	return true;
}

static bool
act_spoil(void)
{
	Editor *editor = some_editor();

	if (!editor->is_open || !nature.has_spoiling)
		return false;
	editor_spoil(editor);
	return true;
}

static bool
act_break_link(void)
{
	Link *link = some_link();

	if (link == NULL)
		return false;
	libpq_break(link, (BreakKind) chance_below(BREAK_KINDS));
	return true;
}

static bool
act_crash_store(void)
{
	if (store.is_up)
	{
		store.is_up = false;
		libpq_crash();
	}
	return true;
}

static bool
act_start_store(void)
{
	bool was_down = !store.is_up;

	store.is_up = true;
	return was_down;
}

static bool
act_fill_disk(void)
{
	store.is_full = !store.is_full && chance_in(2);
	return true;
}

static bool
act_silence(void)
{
	store.is_silent = !store.is_silent && nature.lost_hints > 0;
	libpq_hints_lost += store.is_silent; /* as good as lost */
	return true;
}

static bool
act_kill_relay(void)
{
	Relay *relay = some_relay();

	if (!relay->is_running)
		return false;
	relay_kill(relay);
	return true;
}

static bool
act_terminate_relay(void)
{
	relay_terminate(some_relay());
	return true;
}

static bool
act_launch_relay(void)
{
	Relay *relay = some_relay();

	if (relay->is_running)
		return false;
	launch(relay);
	return true;
}

static bool
act_stop_relay(void)
{
	Relay *relay = some_relay();

	relay->stopped_until = world_now + 20.0 * chance_real() * chance_real();
	return true;
}

static bool
act_fork(void)
{
	if (!nature.has_forks)
		return false;
	libpq_crash(); /* another server takes over: it has other backends */
	store_fork();
	return true;
}

static bool
act_delete(void)
{
	Document *document = some_document();

	if (!nature.has_deletions)
		return false;
	switch (chance_below(3))
	{
		case 0: store_delete(document); break;
		case 1: store_replace(document); break;
		default: store_drop(document); break;
	}
	return true;
}

static bool
act_undelete(void)
{
	Document *document = some_document();

	if (!document->is_deleted)
		return false;
	store_undelete(document);
	return true;
}

static bool
act_fill_queue(void)
{
	static const int64_t usages[] = {0, 0, 300000, 800000, 1000000};

	store.queue_usage = nature.lost_hints > 0 ? usages[chance_below(5)] : 0;
	libpq_hints_lost += store.queue_usage > 0; /* relays may keep silent */
	return true;
}

static bool
act_fold(void)
{
	store_fold(some_document());
	return true;
}

static bool
act_lie(void)
{
	Document *document = some_document();
	char payload[MAX_NAME + 48];

	if (nature.lost_hints == 0)
		return false;
	snprintf(payload, sizeof payload, "%" PRId64 " %" PRId64 " %s",
			 store_epoch(document) + (chance_in(4) ? 7 : 0), document->seq + chance_below(3),
			 chance_in(4) ? "nonsense" : document->name);
	libpq_notify(chance_in(8) ? "ydoc_presence" : "ydoc", payload);
	return true;
}

static Action actions[] = {
	{"type", 50, act_type, false, 0, 0},
	{"ask", 5, act_ask, false, 0, 0},
	{"edit in SQL", 12, act_edit_in_sql, false, 0, 0},
	{"read", 2000, act_read, false, 0, 0},
	{"deliver", 2000, act_deliver, false, 0, 0},
	{"writable", 800, act_writable, false, 0, 0},
	{"finish", 300, act_finish, false, 0, 0},
	{"execute", 2000, act_execute, false, 0, 0},
	{"link", 2000, act_link, false, 0, 0},
	{"time", 60, act_time, false, 0, 0},
	{"connect", 100, act_connect, false, 0, 0},
	{"launch relay", 30, act_launch_relay, false, 0, 0},
	{"start store", 30, act_start_store, false, 0, 0},
	{"fold", 4, act_fold, false, 0, 0},
	{"go offline", 3, act_go_offline, true, 0, 0},
	{"cut", 4, act_cut, true, 0, 0},
	{"leave", 2, act_leave, true, 0, 0},
	{"rave", 2, act_rave, true, 0, 0},
	{"flood", 2, act_flood, true, 0, 0},
	{"spoil", 2, act_spoil, true, 0, 0},
	{"break link", 4, act_break_link, true, 0, 0},
	{"crash store", 1, act_crash_store, true, 0, 0},
	{"fill disk", 2, act_fill_disk, true, 0, 0},
	{"silence", 2, act_silence, true, 0, 0},
	{"kill relay", 2, act_kill_relay, true, 0, 0},
	{"terminate relay", 1, act_terminate_relay, true, 0, 0},
	{"stop relay", 2, act_stop_relay, true, 0, 0},
	{"fork", 3, act_fork, true, 0, 0},
	{"delete", 3, act_delete, true, 0, 0},
	{"undelete", 10, act_undelete, false, 0, 0},
	{"fill queue", 3, act_fill_queue, true, 0, 0},
	{"lie", 3, act_lie, true, 0, 0},
};

enum
{
	ACTION_COUNT = sizeof actions / sizeof *actions
};

void
actions_draw(void)
{
	for (int i = 0; i < ACTION_COUNT; i++)
	{
		uint32_t factor = actions[i].is_fault ? chance_below(4) * chance_below(4) : 2;

		actions[i].weight_now = actions[i].weight * factor;
		if (chance_in(6) && !actions[i].is_fault) /* slow, or busy */
			actions[i].weight_now = chance_in(2) ? actions[i].weight / 4 : actions[i].weight * 8;
	}
}

void
actions_step(void)
{
	uint32_t total = 0;

	for (int i = 0; i < ACTION_COUNT; i++)
		total += actions[i].weight_now;
	for (int tries = 0; tries < 1000; tries++)
	{
		uint32_t ball = chance_below(total);
		int i = 0;

		while (ball >= actions[i].weight_now)
			ball -= actions[i++].weight_now;
		if (!turn(actions[i].name, actions[i].act))
			continue;
		actions[i].count++;
		return;
	}
}

void
actions_print(void)
{
	printf("what happened:");
	for (int i = 0; i < ACTION_COUNT; i++)
		printf("%s %s %" PRIu64, i == 0 ? "" : ",", actions[i].name, actions[i].count);
	printf("\n");
}
