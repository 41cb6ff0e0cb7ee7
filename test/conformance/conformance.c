/*
 * conformance.c: runs the cases of vector files and says which pass.
 *
 * A file holds one JSON object a line.  Its `kind` names the function that runs it; cases of kinds
 * without one are counted as skipped.  A case that crashes or hangs ends the run with its name.
 */
#include <dirent.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../core/input.h"
#include "kinds.h"
#include "value.h"

/* No case of today takes longer than a second, with sanitizers ten. */
#define CASE_SECONDS 120

#define KINDS_MAX 64

typedef struct Kind
{
	char name[48];
	void (*run)(Case *c); /* NULL: we cannot yet */
	size_t passed;
	size_t failed;
	size_t skipped;
} Kind;

typedef struct Run
{
	CaseOptions options;
	const char *only; /* run only the case of this name; NULL: all */
	Kind kinds[KINDS_MAX];
	size_t kind_count;
	size_t fields;
	size_t beyond_limit;
} Run;

static void run_path(Run *run, const char *path);
static void run_directory(Run *run, const char *path);
static void run_file(Run *run, const char *path);
static void run_stream(Run *run);
static void run_line(Run *run, const char *file, const char *line, size_t size);
static Kind *kind_of(Run *run, const json_t *json);
static int is_vector_file(const struct dirent *entry);
static int report(const Run *run);
static void watch_crashes(void);
static void name_case_and_die(int signal_number);

/* For the signal handler: what runs just now. */
static char running[256];

static const char usage[] =
	"usage: conformance [--guard] [--verbose] [--only NAME] DIRECTORY_OR_FILE...\n"
	"Runs the cases of vector files (.jsonl, .jsonl.gz; see test/data/README.md); - is standard\n"
	"input, whose cases are run until one fails.\n"
	"  --guard      put the end of every input against an unreadable page\n"
	"  --verbose    name every case; show all mismatches, and bytes whole\n"
	"  --only NAME  run only the case of that name\n"
	"Ends with the line \"N passed, N failed, N skipped\"; status 1 if any failed, 2 if it could\n"
	"not run.\n";

static const Kind known_kinds[] = {
	{.name = "doc", .run = run_doc},
	{.name = "trace", .run = run_trace},
	{.name = "ops", .run = run_ops},
	{.name = "snapshots", .run = run_snapshots},
	{.name = "relpos", .run = run_positions},
	{.name = "relposRead", .run = run_position_read},
	{.name = "malformed", .run = run_malformed},
	{.name = "fixture", .run = run_fixture},
	{.name = "primitive", .run = run_primitive},
	{.name = "primitiveRead", .run = run_primitive_read},
};

int
main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"guard", no_argument, NULL, 'g'},
		{"verbose", no_argument, NULL, 'v'},
		{"only", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	static Run run;
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
	{
		switch (option)
		{
			case 'g': run.options.guard = true; break;
			case 'v': run.options.verbose = true; break;
			case 'o': run.only = optarg; break;
			case 'h': fputs(usage, stdout); return 0;
			default: fputs(usage, stderr); return 2;
		}
	}
	if (optind == argc)
	{
		fputs(usage, stderr);
		return 2;
	}
	run.kind_count = sizeof known_kinds / sizeof *known_kinds;
	memcpy(run.kinds, known_kinds, sizeof known_kinds);
	watch_crashes();
	for (int i = optind; i < argc; i++)
		run_path(&run, argv[i]);
	return report(&run);
}

static void
run_path(Run *run, const char *path)
{
	struct stat info;

	if (strcmp(path, "-") == 0)
	{
		run_stream(run);
		return;
	}
	if (stat(path, &info) != 0)
	{
		perror(path);
		exit(2);
	}
	if (S_ISDIR(info.st_mode))
		run_directory(run, path);
	else
		run_file(run, path);
}

static void
run_directory(Run *run, const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_vector_file, alphasort);

	if (count < 0)
	{
		perror(path);
		exit(2);
	}
	for (int i = 0; i < count; i++)
	{
		char file[4096];

		snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
		run_file(run, file);
		free(entries[i]);
	}
	free(entries);
}

static int
is_vector_file(const struct dirent *entry)
{
	const char *dot = strstr(entry->d_name, ".jsonl");

	return dot != NULL && (strcmp(dot, ".jsonl") == 0 || strcmp(dot, ".jsonl.gz") == 0);
}

static void
run_file(Run *run, const char *path)
{
	Input input = input_read(path);
	const char *end = (const char *) input.data + input.size;
	const char *name = strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1;

	for (const char *line = (const char *) input.data; line < end;)
	{
		const char *newline = memchr(line, '\n', (size_t) (end - line));
		const char *line_end = newline == NULL ? end : newline;

		if (line_end > line)
			run_line(run, name, line, (size_t) (line_end - line));
		line = line_end + 1;
	}
	input_free(&input);
}

/* Cases from standard input, one after the other; the first failure ends the run. */
static void
run_stream(Run *run)
{
	char *line = NULL;
	size_t capacity = 0;
	ssize_t size;
	size_t failed = 0;

	while (failed == 0 && (size = getline(&line, &capacity, stdin)) > 0)
	{
		if (line[size - 1] == '\n')
			size--;
		if (size > 0)
			run_line(run, "standard input", line, (size_t) size);
		for (size_t i = 0; i < run->kind_count; i++)
			failed += run->kinds[i].failed;
	}
	free(line);
}

static void
run_line(Run *run, const char *file, const char *line, size_t size)
{
	json_error_t error;
	json_t *json = value_parse(line, size, &error);
	Kind *kind;
	Case c;

	if (!json_is_object(json))
	{
		fprintf(stderr, "%s: not a case: %s\n", file, json == NULL ? error.text : "no object");
		exit(2);
	}
	case_open(&c, &run->options, file, json);
	if (run->only == NULL || strcmp(run->only, c.name) == 0)
	{
		kind = kind_of(run, json);
		if (run->options.verbose)
			printf("%s: %s: %s\n", file, kind->name, c.name);
		if (kind->run == NULL)
			kind->skipped++;
		else
		{
			snprintf(running, sizeof running, "%s: %s", file, c.name);
			alarm(CASE_SECONDS);
			kind->run(&c);
			alarm(0);
		}
		case_close(&c);
		run->fields += c.fields;
		run->beyond_limit += c.beyond_limit;
		if (kind->run != NULL && c.failures == 0 && c.fields > 0)
			kind->passed++;
		else if (kind->run != NULL)
			kind->failed++;
	}
	else
		case_close(&c);
	json_decref(json);
}

/* The entry for a case; kinds met for the first time are added without a function. */
static Kind *
kind_of(Run *run, const json_t *json)
{
	const char *name = json_string_value(json_object_get(json, "kind"));

	if (json_object_get(json, "computedWithYjs") != NULL)
		name = "fixture";
	if (name == NULL)
		name = "without a kind";
	for (size_t i = 0; i < run->kind_count; i++)
		if (strcmp(run->kinds[i].name, name) == 0)
			return &run->kinds[i];
	if (run->kind_count == KINDS_MAX)
	{
		fprintf(stderr, "more than %d kinds\n", KINDS_MAX);
		exit(2);
	}
	snprintf(run->kinds[run->kind_count].name, sizeof run->kinds->name, "%s", name);
	return &run->kinds[run->kind_count++];
}

static int
report(const Run *run)
{
	size_t passed = 0;
	size_t failed = 0;
	size_t skipped = 0;

	for (size_t i = 0; i < run->kind_count; i++)
	{
		const Kind *kind = &run->kinds[i];

		passed += kind->passed;
		failed += kind->failed;
		skipped += kind->skipped;
		if (kind->skipped > 0)
			printf("%-20s %6zu skipped\n", kind->name, kind->skipped);
		else if (kind->passed + kind->failed > 0)
			printf("%-20s %6zu passed %6zu failed\n", kind->name, kind->passed, kind->failed);
	}
	printf("%zu values compared; %zu inputs that Yjs accepts are beyond our limits\n", run->fields,
		   run->beyond_limit);
	printf("%zu passed, %zu failed, %zu skipped\n", passed, failed, skipped);
	if (passed + failed + skipped == 0)
	{
		fprintf(stderr, "there was no case to run\n");
		return 2;
	}
	return failed == 0 ? 0 : 1;
}

/* The sanitizers have better handlers for all but the alarm. */
static void
watch_crashes(void)
{
#ifndef __SANITIZE_ADDRESS__
	signal(SIGSEGV, name_case_and_die);
	signal(SIGBUS, name_case_and_die);
	signal(SIGFPE, name_case_and_die);
	signal(SIGABRT, name_case_and_die);
#endif
	signal(SIGALRM, name_case_and_die);
}

static void
name_case_and_die(int signal_number)
{
	static const char crashed[] = "\ncrashed in ";
	static const char hung[] = "\ntook too long: ";
	ssize_t written;

	if (signal_number == SIGALRM)
		written = write(STDERR_FILENO, hung, sizeof hung - 1);
	else
		written = write(STDERR_FILENO, crashed, sizeof crashed - 1);
	written += write(STDERR_FILENO, running, strlen(running));
	written += write(STDERR_FILENO, "\n", 1);
	signal(signal_number, SIG_DFL);
	raise(written < 0 ? SIGABRT : signal_number);
}
