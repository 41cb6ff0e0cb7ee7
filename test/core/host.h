/*
 * host.h of the tests: worlds to put the core in, malloc in all of them.
 *
 *     TestHost world;
 *
 *     test_host_open(&world);
 *     world.fail_at = 17;                       -- the 17th request for memory is refused
 *     doc = crdt_doc_new(&world.host, NULL);
 *     ...
 *     assert(world.bytes == 0);                 -- nothing leaked
 *
 * Every block remembers its size, so that a core that frees with a wrong one is found out.
 */
#ifndef TEST_CORE_HOST_H
#define TEST_CORE_HOST_H

#include "../../extension/crdt/host.h"

typedef struct TestHost
{
	CrdtHost host; /* hand this to the core */
	size_t bytes; /* given out and not returned */
	size_t peak_bytes;
	size_t requests; /* for memory, so far: new blocks and growth */
	size_t fail_at; /* this request gets NULL, and all later ones; 0: none */
	bool fail_once; /* later ones are served again */
	size_t failed; /* requests that got NULL */
	size_t questions; /* how often the core asked whether it was cancelled */
	size_t cancel_at; /* this question is answered yes, and all later ones; 0: none */
	size_t wrong_sizes; /* blocks that came back with a size they did not have */
} TestHost;

void test_host_open(TestHost *world);

/* Plain malloc, nothing counted: for timing. */
CrdtHost test_host_plain(void);

#endif
