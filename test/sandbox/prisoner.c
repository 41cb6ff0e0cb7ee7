/*
 * prisoner.c: whoever has taken over a relay, and what he tries.
 *
 * Each attempt is a process of its own that locks itself in as the relay does and reports by its
 * exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../relay/process/sandbox.h"

typedef enum Outcome
{
	WORKS,
	FAILS,
	DIES
} Outcome;

typedef struct Attempt
{
	const char *name;
	bool (*try)(void); /* true: it worked */
	Outcome outcome;
} Attempt;

static char file[] = "/tmp/pg_ydoc-prisoner-XXXXXX";

static bool
starts_a_program(void)
{
	return execl("/bin/true", "true", (char *) NULL) == 0;
}

static bool
starts_a_shell(void)
{
	return system("true") == 0;
}

static bool
forks(void)
{
	return fork() >= 0;
}

static bool
traces_its_parent(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}

static bool
reads_its_parents_memory(void)
{
	char byte;
	struct iovec here = {&byte, 1}, there = {file, 1};

	return process_vm_readv(getppid(), &here, 1, &there, 1, 0) == 1;
}

static bool
kills_its_parent(void)
{
	return kill(getppid(), SIGKILL) == 0;
}

static bool
mounts(void)
{
	return mount("none", "/mnt", "tmpfs", 0, NULL) == 0;
}

static bool
leaves_its_namespaces(void)
{
	return syscall(SYS_unshare, 0x10000000) == 0;
}

static bool
loads_a_filter_program(void)
{
	return syscall(SYS_bpf, 0, NULL, 0) == 0;
}

static bool
opens_to_write(void)
{
	return open(file, O_WRONLY) >= 0;
}

static bool
opens_to_read_and_write(void)
{
	return open(file, O_RDWR) >= 0;
}

static bool
creates(void)
{
	return open("/tmp/pg_ydoc-prisoner-new", O_RDONLY | O_CREAT, 0600) >= 0;
}

static bool
truncates(void)
{
	return open(file, O_RDONLY | O_TRUNC) >= 0;
}

static bool
opens_as_nobody_thought_of(void)
{
	struct
	{
		unsigned long long flags, mode, resolve;
	} how = {O_WRONLY, 0, 0};

	return syscall(SYS_openat2, AT_FDCWD, file, &how, sizeof how) >= 0;
}

static bool
removes(void)
{
	return unlink(file) == 0;
}

static bool
renames(void)
{
	return rename(file, "/tmp/pg_ydoc-prisoner-renamed") == 0;
}

static bool
changes_modes(void)
{
	return chmod(file, 04777) == 0;
}

static bool
maps_to_write_and_execute(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
				0) != MAP_FAILED;
}

static bool
makes_its_data_executable(void)
{
	static char page[8192] __attribute__((aligned(4096)));

	return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool
listens_to_packets(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0) >= 0;
}

static bool
talks_to_virtual_machines(void)
{
	return socket(AF_VSOCK, SOCK_STREAM, 0) >= 0;
}

static bool
types_at_a_terminal(void)
{
	return ioctl(0, TIOCSTI, "x") == 0;
}

static bool
becomes_root(void)
{
	return setuid(0) == 0;
}

static bool
raises_limits_of_others(void)
{
	struct rlimit limit;

	return prlimit(getppid(), RLIMIT_NOFILE, NULL, &limit) == 0;
}

static bool
uses_a_ring(void)
{
	char parameters[256] = {0};

	return syscall(SYS_io_uring_setup, 4, parameters) >= 0;
}

static bool
reads_a_file(void)
{
	char byte;
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, &byte, 1) == 1 && close(fd) == 0;
}

static bool
maps_a_library(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);

	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) != MAP_FAILED;
}

static bool
connects_and_waits(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int loop = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLOUT};

	return fd >= 0 && loop >= 0 && epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) == 0 &&
		   epoll_wait(loop, &event, 1, 10) >= 0;
}

static bool
looks_up_a_host(void)
{
	struct addrinfo *found = NULL;
	bool ok = getaddrinfo("localhost", "5432", NULL, &found) == 0;

	freeaddrinfo(found);
	return ok;
}

static bool
allocates(void)
{
	char *memory = malloc(200 << 20);

	if (memory == NULL)
		return false;
	memset(memory, 1, 200 << 20);
	free(memory);
	return true;
}

static const Attempt attempts[] = {
	{"starts a program", starts_a_program, DIES},
	{"starts a shell", starts_a_shell, FAILS},
	{"forks", forks, FAILS},
	{"traces its parent", traces_its_parent, DIES},
	{"reads its parent's memory", reads_its_parents_memory, DIES},
	{"kills its parent", kills_its_parent, FAILS},
	{"mounts", mounts, DIES},
	{"leaves its namespaces", leaves_its_namespaces, DIES},
	{"loads a filter program into the kernel", loads_a_filter_program, DIES},
	{"opens a file to write", opens_to_write, FAILS},
	{"opens a file to read and write", opens_to_read_and_write, FAILS},
	{"creates a file", creates, FAILS},
	{"truncates a file", truncates, FAILS},
	{"opens a file by openat2", opens_as_nobody_thought_of, FAILS},
	{"removes a file", removes, FAILS},
	{"renames a file", renames, FAILS},
	{"changes a file's mode", changes_modes, FAILS},
	{"maps memory to write and execute", maps_to_write_and_execute, FAILS},
	{"makes its data executable", makes_its_data_executable, FAILS},
	{"listens to packets", listens_to_packets, FAILS},
	{"talks to virtual machines", talks_to_virtual_machines, FAILS},
	{"types at a terminal", types_at_a_terminal, FAILS},
	{"becomes root", becomes_root, FAILS},
	{"reads others' limits", raises_limits_of_others, FAILS},
	{"uses io_uring", uses_a_ring, FAILS},
	{"reads a file", reads_a_file, WORKS},
	{"maps a library", maps_a_library, WORKS},
	{"connects and waits", connects_and_waits, WORKS},
	{"looks up a host", looks_up_a_host, WORKS},
	{"allocates memory", allocates, WORKS},
};

static Outcome
outcome_of(const Attempt *attempt)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
	{
		char problem[SANDBOX_PROBLEM_MAX];

		sandbox_begin(false);
		if (!sandbox_enter(problem))
		{
			printf("not ok: %s\n", problem);
			_exit(2);
		}
		_exit(attempt->try() ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return DIES;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? WORKS : FAILS;
}

int
main(void)
{
	static const char *const names[] = {"works", "fails", "is his end"};
	int passed = 0, failed = 0;

	setvbuf(stdout, NULL, _IONBF, 0);
	close(mkstemp(file));
	for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++)
	{
		Outcome outcome = outcome_of(&attempts[i]);

		if (outcome == attempts[i].outcome)
			passed++;
		else
		{
			failed++;
			printf("not ok: %s: this %s\n", attempts[i].name, names[outcome]);
		}
	}
	unlink(file);
	printf("%d passed, %d failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
