/*
 * ydoc-relay: lets Yjs editors work live on documents kept in PostgreSQL.
 *
 * Here: start and end.  README.md draws the way of a frame; each header is a page about its part.
 */
#include <stdlib.h>
#include <sysexits.h>

#include "batch.h"
#include "bus.h"
#include "catch_up.h"
#include "config.h"
#include "connection.h"
#include "database.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "presence.h"
#include "room.h"

static int serve(void);

int
main(int argc, char **argv)
{
	int status = config_read(argc, argv);

	if (status < 0)
		status = config.init && !database_init() ? EX_UNAVAILABLE : serve();
	config_free();
	return status;
}

static int
serve(void)
{
	int status = EX_OSERR;

	if (loop_start())
	{
		room_start();
		catch_up_start();
		presence_start();
		bus_start(0);
		connection_start();
		if (!listener_start())
			status = EX_UNAVAILABLE;
		else if (database_start(&bus_events))
			status = loop_run();
		listener_stop();
		database_stop();
		batch_stop();
	}
	loop_stop(); /* cuts what is still connected */
	presence_stop();
	connection_stop();
	room_stop();
	bus_stop();
	log_event(LEVEL_INFO, "stopped", NULL);
	return status;
}
