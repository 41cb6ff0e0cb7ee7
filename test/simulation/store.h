/*
 * The store: what ydoc.apply_batch, sync, changes and heads do, on documents of content.h.
 *
 *     result = store_execute(sql, parameters);      one statement, one transaction ...
 *     store_commit();                               ... that ends here, or store_roll_back()
 *     store_edit(document);                         somebody else's commit
 *     store_fork();                                 commits are lost, seqs handed out again
 *     store_delete(document), store_undelete(), store_replace(), store_drop()
 *
 * Each commit is told to those who listen, if they are to hear of it: libpq.h.
 */
#ifndef SIMULATION_STORE_H
#define SIMULATION_STORE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "content.h"

struct Relay;

enum
{
	MAX_DOCUMENTS = 8,
	MAX_NAME = 1000, /* bytes */
	SQL_CLIENT = 0 /* the Yjs client of what is edited in SQL */
};

typedef struct LogRow
{
	int64_t seq_from, seq;
	Update update;
} LogRow;

typedef struct Document
{
	char name[MAX_NAME + 1];
	bool exists;
	bool is_deleted; /* it may come back */
	bool was_gone; /* deleted, or replaced by another, at some time */
	bool is_broken; /* cannot be decoded: every question about it fails */
	int64_t birth; /* its epoch, before the store forked */
	int64_t buried; /* who knows a birth up to that means another document */
	int64_t seq;
	Content content;
	Content base; /* what the rows that were folded held */
	int64_t base_seq;
	LogRow *rows;
	size_t row_count, row_capacity;
	Content ever; /* all that was ever committed */
	struct Document *before; /* in a transaction that changes it: what it was */
	uint32_t next_client, next_delete;
	uint32_t clocks_given; /* to whoever typed, committed or not */
} Document;

typedef struct Store
{
	Document documents[MAX_DOCUMENTS];
	uint32_t document_count;
	bool is_up; /* takes connections */
	bool is_full; /* the disk: nothing can be committed */
	bool is_silent; /* commits are not announced */
	int64_t
		queue_usage; /* of notifications, in millionths; when it is full nothing that notifies commits */
	int64_t forks;
	bool has_forked; /* some commit was lost */
	bool is_in_transaction;
} Store;

extern Store store;

typedef struct Parameter
{
	uint8_t *data;
	size_t size;
} Parameter;

/* Names have this many bytes. */
void store_open(uint32_t document_count, uint32_t name_size);
void store_close(void);

/* What it changes is committed by store_commit(); until then nobody else executes anything.  asker: for
 * traces; NULL: it is gone. */
PGresult *store_execute(const char *sql, const Parameter *parameters, const struct Relay *asker);
bool store_commit(void); /* false: rolled back, no more notifications can be taken */
void store_roll_back(void);

Document *store_find(const char *name, size_t size);

/* A commit of an SQL session. */
void store_edit(Document *document);

/* The last commits are lost, as by a failover to a server that was behind. */
void store_fork(void);

/* What relays are told of it; 0 if it does not exist. */
int64_t store_epoch(const Document *document);

/* Nobody may read or write it any more, until it is brought back as it was. */
void store_delete(Document *document);
void store_undelete(Document *document);

/* Another one takes its name. */
void store_replace(Document *document);

/* No trace is left of it; the next update makes it anew. */
void store_drop(Document *document);

/* Compaction: the first rows of the log become a state. */
void store_fold(Document *document);

#endif
