/*
 * unit.c: runs the unit tests; the files beside it are the groups.
 */
#include "replica.h"

#include <stdio.h>

const char *data_directory;

int
main(int argc, char **argv)
{
	int failed = 0;

	if (argc != 2 || argv[1][0] == '-')
	{
		fprintf(stderr, "usage: unit DATA_DIRECTORY\n"
						"Runs the core's unit tests; DATA_DIRECTORY is test/data.\n"
						"SEED=N in the environment repeats the random tests of that seed.\n");
		return 2;
	}
	data_directory = argv[1];
	failed += run_typing_tests();
	failed += run_waiting_tests();
	failed += run_crowd_tests();
	failed += run_reading_tests();
	failed += run_edit_tests();
	failed += run_lookback_tests();
	failed += run_update_tests();
	failed += run_slice_tests();
	failed += run_format_tests();
	failed += run_hostile_tests();
	failed += run_memory_tests();
	failed += run_random_tests();
	return failed == 0 ? 0 : 1;
}
