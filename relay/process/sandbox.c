/*
 * sandbox.c: ids, capabilities, the filter of system calls.
 *
 * Here: what is given up.  Not here: when (main.c, supervisor.c), what a service manager adds
 * (ydoc-relay.service).  It knows no other file of ours, so that test/sandbox can lock itself in.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Whatever an event loop, libpq, OpenSSL, the resolver and the C library need, and no more;
 * names, because not every machine has all of them.  Those with conditions are in allow_some(). */
static const char *const allowed[] = {
	/* memory */
	"brk",
	"munmap",
	"mremap",
	"madvise",
	"membarrier",
	/* files that are open, and what there is */
	"close",
	"close_range",
	"read",
	"readv",
	"pread64",
	"write",
	"writev",
	"lseek",
	"_llseek",
	"fstat",
	"fstat64",
	"fstatat64",
	"newfstatat",
	"stat",
	"stat64",
	"lstat",
	"lstat64",
	"statx",
	"statfs",
	"fstatfs",
	"access",
	"faccessat",
	"faccessat2",
	"readlink",
	"readlinkat",
	"getdents64",
	"getcwd",
	"fcntl",
	"fcntl64",
	"dup",
	"dup2",
	"dup3",
	"pipe2",
	"sendfile",
	"sendfile64",
	"fadvise64",
	/* sockets */
	"socketpair",
	"connect",
	"accept4",
	"bind",
	"listen",
	"getsockname",
	"getpeername",
	"getsockopt",
	"setsockopt",
	"send",
	"sendto",
	"sendmsg",
	"sendmmsg",
	"recv",
	"recvfrom",
	"recvmsg",
	"recvmmsg",
	"shutdown",
	/* waiting */
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"epoll_pwait2",
	"poll",
	"ppoll",
	"select",
	"_newselect",
	"pselect6",
	"eventfd2",
	"timerfd_create",
	"timerfd_settime",
	"signalfd4",
	"futex",
	"restart_syscall",
	"sched_yield",
	/* files that change */
	"inotify_init1",
	"inotify_add_watch",
	"inotify_rm_watch",
	/* time */
	"clock_gettime",
	"clock_gettime64",
	"clock_getres",
	"clock_nanosleep",
	"nanosleep",
	"gettimeofday",
	"time",
	"times",
	"getrusage",
	/* signals, to itself (abort) */
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigpending",
	"sigreturn",
	"sigaltstack",
	"tgkill",
	/* itself */
	"getpid",
	"gettid",
	"getppid",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"getuid32",
	"geteuid32",
	"getgid32",
	"getegid32",
	"getgroups",
	"getresuid",
	"getresgid",
	"uname",
	"sysinfo",
	"getrandom",
	"getrlimit",
	"ugetrlimit",
	"setrlimit",
	"sched_getaffinity",
	"rseq",
	"set_robust_list",
	"get_robust_list",
	"umask",
	"exit",
	"exit_group",
};

/* A relay never does this: whoever does is not a relay any more. */
static const char *const fatal[] = {
	"execve",
	"execveat",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"init_module",
	"finit_module",
	"delete_module",
	"kexec_load",
	"kexec_file_load",
	"bpf",
	"mount",
	"move_mount",
	"umount2",
	"pivot_root",
	"chroot",
	"setns",
	"unshare",
	"open_by_handle_at",
	"reboot",
	"swapon",
	"perf_event_open",
	"userfaultfd",
	"acct",
};

static bool keep_capability(int capability);
static int allow_some(scmp_filter_ctx filter);

bool
sandbox_is_supported(void)
{
	return !IS_SANITIZED;
}

void
sandbox_begin(bool core_dumps)
{
	static const struct rlimit none = {0, 0};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (core_dumps)
		return;
	setrlimit(RLIMIT_CORE, &none);
	if (!IS_SANITIZED) /* nor does anybody of the same user look into it */
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

bool
sandbox_become(const char *user, bool keeps_ports, char *problem)
{
	int was_dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);

	errno = 0;
	const struct passwd *entry = getpwnam(user);

	if (entry == NULL)
	{
		snprintf(problem, SANDBOX_PROBLEM_MAX, "there is no user \"%.50s\"", user);
		return false;
	}
	if (geteuid() == entry->pw_uid && entry->pw_uid != 0)
		return true;
	uid_t uid = entry->pw_uid;
	gid_t gid = entry->pw_gid;

	if (initgroups(user, gid) != 0 || setresgid(gid, gid, gid) != 0 ||
		prctl(PR_SET_KEEPCAPS, keeps_ports, 0, 0, 0) != 0 || setresuid(uid, uid, uid) != 0 ||
		(keeps_ports && !keep_capability(CAP_NET_BIND_SERVICE)))
	{
		snprintf(problem, SANDBOX_PROBLEM_MAX, "%s", strerror(errno));
		return false;
	}
	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, was_dumpable, 0, 0, 0); /* changing ids has set it */
	if (uid != 0 && setuid(0) == 0)
	{
		snprintf(problem, SANDBOX_PROBLEM_MAX, "root could be had back");
		return false;
	}
	return true;
}

bool
sandbox_enter(char *problem)
{
	/* what nobody thought of is unknown: the C library then does it the old way */
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int failure = filter == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < COUNT(allowed) && failure == 0; i++)
	{
		int call = seccomp_syscall_resolve_name(allowed[i]);

		if (call != __NR_SCMP_ERROR)
			failure = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
	}
	for (size_t i = 0; i < COUNT(fatal) && failure == 0; i++)
	{
		int call = seccomp_syscall_resolve_name(fatal[i]);

		if (call != __NR_SCMP_ERROR)
			failure = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, call, 0);
	}
	if (failure == 0)
		failure = allow_some(filter);
	if (failure == 0)
		failure = seccomp_load(filter);
	if (filter != NULL)
		seccomp_release(filter);
	if (failure != 0)
		snprintf(problem, SANDBOX_PROBLEM_MAX, "%s", strerror(-failure));
	return failure == 0;
}

/* And no other. */
static bool
keep_capability(int capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {0};

	sets[0].effective = sets[0].permitted = 1U << capability;
	return syscall(SYS_capset, &header, sets) == 0;
}

/* Those that are harmless with some arguments only.  0, or minus an errno. */
static int
allow_some(scmp_filter_ctx filter)
{
	static const unsigned long requests[] = {FIONREAD, FIONBIO, SIOCOUTQ, TCGETS};
	static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
	const scmp_datum_t writes = O_ACCMODE | O_CREAT | O_TRUNC;
	const scmp_datum_t both = PROT_WRITE | PROT_EXEC;
	int failure = 0;

	for (size_t i = 0; i < COUNT(requests) && failure == 0; i++)
		failure = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
								   SCMP_A1(SCMP_CMP_EQ, requests[i]));
	for (size_t i = 0; i < COUNT(families) && failure == 0; i++)
		failure = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
								   SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t) families[i]));
	if (failure == 0)
		failure = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
								   SCMP_A2(SCMP_CMP_MASKED_EQ, writes, O_RDONLY));
	if (failure == 0)
		failure = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
								   SCMP_A1(SCMP_CMP_MASKED_EQ, writes, O_RDONLY));
	/* libraries that the resolver loads late are mapped to be executed, and not to be written */
	for (int call = 0; call < 2 && failure == 0; call++)
	{
		int map = call == 0 ? SCMP_SYS(mmap) : SCMP_SYS(mmap2);

		failure = seccomp_rule_add(filter, SCMP_ACT_ALLOW, map, 1,
								   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
		if (failure == 0)
			failure = seccomp_rule_add(filter, SCMP_ACT_ALLOW, map, 1,
									   SCMP_A2(SCMP_CMP_MASKED_EQ, both, PROT_EXEC));
	}
	if (failure == 0)
		failure = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
								   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* no other program's processes: signals to itself are tgkill's */
	return failure;
}
