/*
 * simulation: relays in one process, deterministically: the same seed, the same run.
 *
 *     simulation --seed 7 --steps 3000000
 *     simulation --seed 7 --world 42          that world alone, as a failure names it
 *     simulation --seed 7 --world 42 --trace  every step, and the relays' log
 *     simulation --flaws                      each check must notice when it is lied to
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "invariant.h"
#include "relay.h"
#include "world.h"

#define STEPS_PER_WORLD 8000
#define WORLDS_PER_FLAW 100
#define TRIES_PER_FLAW 20

/* Relays load copies of the same variables; leaks of theirs are counted by relay.c. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_odr_violation=0";
}

static int
run(uint64_t seed, uint64_t steps)
{
	uint64_t made = 0, worlds = 0;

	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	while (made < steps)
		made += world_run(seed, worlds++, STEPS_PER_WORLD);
	printf("%" PRIu64 " steps in %" PRIu64 " worlds\n", made, worlds);
	world_report();
	int checked = invariant_report();

	printf("%d passed, %d failed\n", checked, INVARIANT_COUNT - checked);
	return checked == INVARIANT_COUNT ? 0 : 1;
}

/* What a world with the flaw says when a check fails, in a process of its own: its exit status. */
static int
run_flaw(uint64_t seed, uint64_t first, WorldFlaw flaw, char *output, size_t limit)
{
	int ends[2];
	size_t size = 0;

	output[0] = '\0';
	if (pipe(ends) != 0)
		return -1;
	pid_t child = fork();

	if (child == 0)
	{
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		world_flaw = flaw;
		for (uint64_t world = first; world < first + WORLDS_PER_FLAW; world++)
			world_run(seed, world, STEPS_PER_WORLD);
		_Exit(0);
	}
	close(ends[1]);
	for (ssize_t got;
		 size < limit - 1 && (got = read(ends[0], output + size, limit - 1 - size)) > 0;)
		size += (size_t) got;
	output[size] = '\0';
	close(ends[0]);
	int status = 0;

	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * A flaw must fail its own check.  Another check may see it first (who wrote what the store forgets
 * holds more than the store): then other worlds have to show that its own sees it too.
 */
static bool
is_noticed(uint64_t seed, WorldFlaw flaw, const char *invariant)
{
	char output[4096];
	bool noticed = false, failed = true;

	for (uint64_t try = 0; try < TRIES_PER_FLAW && failed && !noticed; try++)
	{
		failed = run_flaw(seed, try * WORLDS_PER_FLAW, flaw, output, sizeof output) == 1;
		noticed = failed && strstr(output, invariant) != NULL;
	}
	printf("%sok: %s is noticed\n", noticed ? "" : "not ", invariant);
	if (!noticed)
		fputs(output, stdout);
	fflush(stdout);
	return noticed;
}

static int
run_flaws(uint64_t seed)
{
	static const Invariant expected[FLAW_COUNT] = {
		[FLAW_STORE_FORGETS] = SHOWN_IS_DURABLE,
		[FLAW_FRAMES_ARE_LOST] = COMMITTED_REACHES_ALL,
		[FLAW_STORE_REFUSES] = DOCUMENTS_ARE_INDEPENDENT,
		[FLAW_MEMORY_GROWS] = MEMORY_IS_BOUNDED,
		[FLAW_MEMORY_IS_KEPT] = MEMORY_IS_RETURNED,
		[FLAW_STATES_ARE_LOST] = PRESENCE_CONVERGES,
		[FLAW_STORE_ECHOES] = COMES_TO_REST,
		[FLAW_METRICS_LIE] = GAUGES_ARE_TRUE,
		[FLAW_ENDS_BADLY] = ENDS_IN_ORDER,
	};
	int noticed = 0;

	for (int flaw = FLAW_NONE + 1; flaw < FLAW_COUNT; flaw++)
	{
		char invariant[80];

		snprintf(invariant, sizeof invariant, "not ok: invariant %s,",
				 invariant_name(expected[flaw]));
		noticed += is_noticed(seed, (WorldFlaw) flaw, invariant);
	}
	printf("%d passed, %d failed\n", noticed, FLAW_COUNT - 1 - noticed);
	return noticed == FLAW_COUNT - 1 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 's'},  {"steps", required_argument, NULL, 'n'},
		{"world", required_argument, NULL, 'w'}, {"trace", no_argument, NULL, 't'},
		{"flaws", no_argument, NULL, 'f'},       {0}};
	uint64_t seed = (uint64_t) time(NULL) % 1000000, steps = 3000000;
	const char *world = NULL;
	bool flaws = false;

	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
		switch (option)
		{
			case 's': seed = strtoull(optarg, NULL, 10); break;
			case 'n': steps = strtoull(optarg, NULL, 10); break;
			case 'w': world = optarg; break;
			case 't': world_traces = true; break;
			case 'f': flaws = true; break;
			default: return 64;
		}
	relay_find_library(argv[0]);
	if (flaws)
		return run_flaws(seed);
	if (world == NULL)
		return run(seed, steps);
	uint64_t made = world_run(seed, strtoull(world, NULL, 10), STEPS_PER_WORLD);

	printf("%" PRIu64 " steps\n1 passed, 0 failed\n", made);
	return 0;
}
