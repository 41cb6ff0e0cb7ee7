# Builds the core alone (libcrdt.a) and programs on top of it.  The including Makefile sets TOP, the
# way to the top of the tree, before it includes this; it gets BUILD, LIBCRDT, CORE_TEST and the
# flags, and lists its own programs.
#
#     make                 build/            what ships: -O2
#     make SANITIZE=1      build/sanitize/   stops at the first wrong access or undefined step
#     make PROFILE=1       build/profile/    for perf: frame pointers, symbols
#     FUZZ=1               build/fuzz/       clang, sanitizers and libFuzzer's counters (test/fuzz/decoders)

include $(TOP)/extension/crdt/objects.mk

CC ?= cc
AR ?= ar
WARNINGS = -Wall -Wextra -Wpedantic -Werror

ifdef SANITIZE
BUILD = $(TOP)/build/sanitize
OPTIMIZE = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -DCRDT_POISON
else ifdef FUZZ
BUILD = $(TOP)/build/fuzz
# Few structs for few bytes, lest most of the time goes into a handful of inputs.
# pointer-overflow stops at NULL + 0, which is an empty view's end, and no compiler minds
OPTIMIZE = -O2 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize=pointer-overflow -fno-sanitize-recover=all -DCRDT_POISON -DCRDT_V2_STRUCTS_BASE=2048
else ifdef PROFILE
BUILD = $(TOP)/build/profile
OPTIMIZE = -O2 -g -fno-omit-frame-pointer
else
BUILD = $(TOP)/build
OPTIMIZE = -O2
endif

CRDT_CFLAGS = -std=c11 -fvisibility=hidden $(OPTIMIZE) $(WARNINGS) -MMD -MP
# Tests and benchmarks also speak to the system.
TEST_CFLAGS = $(CRDT_CFLAGS) -D_GNU_SOURCE -I$(TOP)/extension/crdt -I$(TOP)/test/core

LIBCRDT = $(BUILD)/libcrdt.a
LIBCRDT_OBJECTS = $(CRDT:%=$(BUILD)/crdt/%.o)

# What the core's tests share: hosts, guard pages, files.
CORE_TEST = $(BUILD)/libcoretest.a
CORE_TEST_OBJECTS = $(addprefix $(BUILD)/test/core/,host.o guard.o input.o trace.o)

.DELETE_ON_ERROR:
.DEFAULT_GOAL = all

$(LIBCRDT): $(LIBCRDT_OBJECTS)
	rm -f $@
	$(AR) rcs $@ $^

$(CORE_TEST): $(CORE_TEST_OBJECTS)
	rm -f $@
	$(AR) rcs $@ $^

# The list is hand-written, so a file that left it must leave the library too.
$(LIBCRDT): $(TOP)/extension/crdt/objects.mk

$(BUILD)/crdt/%.o: $(TOP)/extension/crdt/%.c
	@mkdir -p $(@D)
	$(CC) $(CRDT_CFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/test/%.o: $(TOP)/test/%.c
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/bench/%.o: $(TOP)/bench/%.c
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) $(CFLAGS) -c -o $@ $<

-include $(LIBCRDT_OBJECTS:.o=.d) $(CORE_TEST_OBJECTS:.o=.d)
