/*
 * replica.h: somebody's copy of a document, with the manners of a test: what ought to work is
 * asserted, so that tests read like stories.
 *
 *     Replica ann = replica_new(), ben = replica_new();
 *
 *     receive(&ann, BYTES(ann_writes_cat));
 *     assert_text(&ann, "t", "cat");
 *     replica_close(&ann);                    -- asserts that all memory came back
 */
#ifndef UNIT_REPLICA_H
#define UNIT_REPLICA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../extension/crdt/document.h"
#include "../../extension/crdt/update.h"
#include "../core/guard.h"
#include "../core/host.h"

/* A constant array of examples.h as a view. */
#define BYTES(array) ((CrdtBytes){(array), sizeof(array)})

/* A string literal as a view. */
#define NAME(text) ((CrdtBytes){(const uint8_t *) (text), sizeof(text) - 1})

#define NOTHING ((CrdtBytes){NULL, 0})

typedef struct Replica
{
	TestHost *world;
	CrdtDoc *doc;
} Replica;

Replica replica_new(void);
Replica replica_new_with(CrdtDocOptions options);
void replica_close(Replica *replica);

/* Applies an update that must be accepted. */
CrdtApplied receive(Replica *replica, CrdtBytes update);

/* Sends to what from has and to lacks. */
void send_missing(Replica *from, Replica *to);

/* Bytes to compare and pass on; end with crdt_buffer_close. */
CrdtBuffer state_of(Replica *replica);
CrdtBuffer state_vector_of(Replica *replica);
CrdtBuffer text_of(Replica *replica, const char *root);
CrdtBuffer json_of(Replica *replica, const char *root, CrdtKind kind);

void assert_bytes_equal(CrdtBytes got, CrdtBytes expected);
void assert_text(Replica *replica, const char *root, const char *expected);
void assert_json(Replica *replica, const char *root, CrdtKind kind, const char *expected);
void assert_state(Replica *replica, CrdtBytes expected);
void assert_same_state(Replica *one, Replica *other);

/* The message is one that we would show to people. */
void assert_good_error(const CrdtError *error, CrdtStatus status, size_t input_size);

/* The test groups (unit.c runs them). */
int run_typing_tests(void);
int run_waiting_tests(void);
int run_crowd_tests(void);
int run_reading_tests(void);
int run_edit_tests(void);
int run_lookback_tests(void);
int run_update_tests(void);
int run_slice_tests(void);
int run_format_tests(void);
int run_hostile_tests(void);
int run_memory_tests(void);
int run_random_tests(void);

/* test/data, as the command line has it. */
extern const char *data_directory;

#endif
