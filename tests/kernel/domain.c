// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may be held up, or failed, by whom: the table {creator, writer} x
 * {SYNC, DENY} x {store, write(), a store of the kernel for the writer}.
 *
 *	creator		becomes what he is, makes the monitor
 *	writer		becomes what he is, executes a program, joins, writes
 *	the test	root; PROTECTs, reads the events, answers them
 *
 * In the domain, SYNC holds a writer (a WAITING event, and nothing has changed)
 * until he is released, and DENY fails him.  Everybody else passes: the old
 * content is kept, and the event does not say who he was.
 *
 * `domain --table` prints the table as Markdown, from the rows below.
 */
#include "harness.h"
#include "watch.h"
#include "who.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define ALICE 4001 /* most creators */
#define BOB 4002
#define PAGES 8
#define THE_PAGE 3
#define THE_BYTE 77 /* of it becomes 'n' */
#define PATIENCE 30000 /* ms; the wait limit is twice as long */
#define WAIT_LIMIT 60000
#define MAX_WAIT "/proc/sys/vm/wpfile/max_wait_ms"
#define PROGRAM "/mnt/writer"

/* --- the rows --- */

enum ns { NS_INIT, NS_OF_ALICE, NS_OF_ROOT };

/* Of Landlock; in a scoped one nobody may stop who is outside of it. */
enum sandbox { NO_SANDBOX, UNSCOPED, SCOPED, IN_THAT_OF_THE_TEST };

enum program { NONE, PLAIN, SETUID_BOB, SETUID_ROOT, SETGID_BOB, FILE_CAPS };

struct party {
	struct who who;
	enum ns ns;
	enum sandbox sandbox;
	enum program program;	/* that it executes afterwards */
	bool joins;
	bool joins_before_exec;
	bool makes_dumpable;	/* after it has executed the program */
	bool is_gone;		/* when the writer writes */
	bool in_pidns;		/* a child of that of the test */
};

#define USER(_id) .who = WHO_USER(_id)
#define USER_WITH(_id, _permitted, _effective)                                 \
	.who = { .uid = (_id), .euid = (_id), .gid = (_id), .egid = (_id),     \
		 .permitted = (_permitted), .effective = (_effective) }
#define IDS(_uid, _euid, _gid, _egid)                                          \
	.who = { .uid = (_uid), .euid = (_euid), .gid = (_gid),                \
		 .egid = (_egid) }
#define SAVED(_suid, _sgid)                                                    \
	.who = { .uid = ALICE, .euid = ALICE, .gid = ALICE, .egid = ALICE,     \
		 .suid = (_suid), .sgid = (_sgid) }
#define UNDUMPABLE(_id)                                                        \
	.who = { .uid = (_id), .euid = (_id), .gid = (_id), .egid = (_id),     \
		 .undumpable = true }
#define CHOWN CAP_BIT(CAP_CHOWN)
#define PTRACE CAP_BIT(CAP_SYS_PTRACE)
#define PARTY(...) { __VA_ARGS__ }

/* ROW(name, in the domain, creator, as text, writer, as text) */
/* clang-format off */
#define ROWS(ROW)                                                              \
ROW(same_user, true,                                                           \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE)), "user A")                                              \
ROW(same_user_executed, true,                                                  \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE), .program = PLAIN), "user A, another program")           \
ROW(creator_is_gone, true,                                                     \
    PARTY(USER(ALICE), .is_gone = true), "user A, has exited",                 \
    PARTY(USER(ALICE)), "user A")                                              \
ROW(other_user, false,                                                         \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(BOB)), "user B")                                                \
ROW(other_group, false,                                                        \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(IDS(ALICE, ALICE, BOB, BOB)), "user A, other group")                 \
ROW(root_writes, false,                                                        \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(0)), "root")                                                    \
ROW(real_uid_differs, false,                                                   \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(IDS(BOB, ALICE, ALICE, ALICE)), "real uid B, effective A")           \
ROW(effective_uid_differs, false,                                              \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(IDS(ALICE, BOB, ALICE, ALICE)), "real uid A, effective B")           \
ROW(real_gid_differs, false,                                                   \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(IDS(ALICE, ALICE, BOB, ALICE)), "user A, real gid differs")          \
ROW(effective_gid_differs, false,                                              \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(IDS(ALICE, ALICE, ALICE, BOB)), "user A, effective gid differs")     \
ROW(saved_uid_differs, false,                                                  \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(SAVED(BOB, ALICE)), "user A, saved uid differs")                     \
ROW(saved_gid_differs, false,                                                  \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(SAVED(ALICE, BOB)), "user A, saved gid differs")                     \
ROW(setuid_program, false,                                                     \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE), .program = SETUID_BOB), "user A, setuid program of B")  \
ROW(setuid_program_dumpable, false,                                            \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE), .program = SETUID_BOB, .makes_dumpable = true),         \
    "user A, setuid program of B, dumpable")                                   \
ROW(setuid_root, false,                                                        \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE), .program = SETUID_ROOT),                                \
    "user A, setuid program of root")                                          \
ROW(setgid_program, false,                                                     \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE), .program = SETGID_BOB, .makes_dumpable = true),         \
    "user A, setgid program, dumpable")                                        \
ROW(file_caps, false,                                                          \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE), .program = FILE_CAPS),                                  \
    "user A, program with file capabilities")                                  \
ROW(file_caps_dumpable, false,                                                 \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE), .program = FILE_CAPS, .makes_dumpable = true),          \
    "user A, program with file capabilities, dumpable")                        \
ROW(permitted_cap, false,                                                      \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER_WITH(ALICE, CHOWN, 0)),                                         \
    "user A, a permitted capability")                                          \
ROW(creator_has_that_cap, true,                                                \
    PARTY(USER_WITH(ALICE, CHOWN, 0)), "user A, the same permitted capability",\
    PARTY(USER_WITH(ALICE, CHOWN, CHOWN)), "user A, a permitted capability")   \
ROW(creator_has_another_cap, false,                                            \
    PARTY(USER_WITH(ALICE, CAP_BIT(CAP_KILL), CAP_BIT(CAP_KILL))),             \
    "user A, another capability",                                              \
    PARTY(USER_WITH(ALICE, CHOWN, 0)), "user A, a permitted capability")       \
ROW(creator_has_more_caps, true,                                               \
    PARTY(USER_WITH(ALICE, CHOWN, CHOWN)), "user A, a capability",             \
    PARTY(USER(ALICE)), "user A")                                              \
ROW(not_dumpable, false,                                                       \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(UNDUMPABLE(ALICE)), "user A, not dumpable")                          \
ROW(creator_not_dumpable, true,                                                \
    PARTY(UNDUMPABLE(ALICE)), "user A, not dumpable",                          \
    PARTY(USER(ALICE)), "user A")                                              \
ROW(entered_userns, false,                                                     \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE), .ns = NS_OF_ROOT), "user A, in a user namespace of root")\
ROW(executed_in_userns, false,                                                 \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE), .ns = NS_OF_ROOT, .program = PLAIN),                    \
    "user A, executed in a user namespace of root")                            \
ROW(entered_own_userns, false,                                                 \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE), .ns = NS_OF_ALICE), "user A, in a user namespace of A's")\
ROW(executed_in_own_userns, true,                                              \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE), .ns = NS_OF_ALICE, .program = PLAIN),                   \
    "user A, executed in a user namespace of A's (over which A has all capabilities)")\
ROW(creator_in_userns, false,                                                  \
    PARTY(USER(ALICE), .ns = NS_OF_ALICE), "user A, in a user namespace",      \
    PARTY(USER(ALICE)), "user A")                                              \
ROW(both_in_userns, true,                                                      \
    PARTY(USER(ALICE), .ns = NS_OF_ALICE), "user A, in a user namespace",      \
    PARTY(USER(ALICE), .ns = NS_OF_ALICE), "user A, in the same")              \
ROW(in_two_userns, false,                                                      \
    PARTY(USER(ALICE), .ns = NS_OF_ALICE), "user A, in a user namespace",      \
    PARTY(USER(ALICE), .ns = NS_OF_ROOT), "user A, in another one")            \
ROW(joined, true,                                                              \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(BOB), .joins = true), "user B, has joined")                     \
ROW(joined_root, true,                                                         \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(0), .joins = true), "root, has joined")                         \
ROW(joined_not_dumpable, true,                                                 \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(UNDUMPABLE(ALICE), .joins = true), "user A, not dumpable, has joined")\
ROW(joined_setuid, true,                                                       \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE), .program = SETUID_BOB, .joins = true),                  \
    "user A, setuid program of B, has joined")                                 \
ROW(joined_then_executed, false,                                               \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(BOB), .program = PLAIN, .joins_before_exec = true),             \
    "user B, had joined before it executed a program")                         \
ROW(ptrace_other_user, true,                                                   \
    PARTY(USER_WITH(ALICE, PTRACE, PTRACE)), "user A with CAP_SYS_PTRACE",     \
    PARTY(USER(BOB)), "user B")                                                \
ROW(ptrace_not_effective, false,                                               \
    PARTY(USER_WITH(ALICE, PTRACE, 0)), "user A, CAP_SYS_PTRACE not effective",\
    PARTY(USER(BOB)), "user B")                                                \
ROW(ptrace_setuid, true,                                                       \
    PARTY(USER_WITH(ALICE, PTRACE, PTRACE)), "user A with CAP_SYS_PTRACE",     \
    PARTY(USER(BOB), .program = SETUID_ROOT), "user B, setuid program of root")\
ROW(ptrace_not_dumpable, true,                                                 \
    PARTY(USER_WITH(ALICE, PTRACE, PTRACE)), "user A with CAP_SYS_PTRACE",     \
    PARTY(UNDUMPABLE(BOB)), "user B, not dumpable")                            \
ROW(ptrace_file_caps, true,                                                    \
    PARTY(USER_WITH(ALICE, PTRACE, PTRACE)), "user A with CAP_SYS_PTRACE",     \
    PARTY(USER(BOB), .program = FILE_CAPS),                                    \
    "user B, program with file capabilities")                                  \
ROW(ptrace_userns, true,                                                       \
    PARTY(USER_WITH(ALICE, PTRACE, PTRACE)), "user A with CAP_SYS_PTRACE",     \
    PARTY(USER(BOB), .ns = NS_OF_ROOT, .program = PLAIN),                      \
    "user B, executed in a user namespace of root")                            \
ROW(ptrace_in_userns, true,                                                    \
    PARTY(USER_WITH(ALICE, PTRACE, PTRACE), .ns = NS_OF_ALICE),                \
    "user A with CAP_SYS_PTRACE in a user namespace",                          \
    PARTY(USER(BOB), .ns = NS_OF_ALICE, .program = PLAIN),                     \
    "user B, executed in the same")                                            \
ROW(ptrace_in_userns_entered, false,                                           \
    PARTY(USER_WITH(ALICE, PTRACE, PTRACE), .ns = NS_OF_ALICE),                \
    "user A with CAP_SYS_PTRACE in a user namespace",                          \
    PARTY(USER(BOB), .ns = NS_OF_ALICE),                                       \
    "user B, in the same, but executed outside")                               \
ROW(ptrace_in_userns_outside, false,                                           \
    PARTY(USER_WITH(ALICE, PTRACE, PTRACE), .ns = NS_OF_ALICE),                \
    "user A with CAP_SYS_PTRACE in a user namespace",                          \
    PARTY(USER(BOB)), "user B, outside")                                       \
ROW(creator_in_pidns, false,                                                   \
    PARTY(USER(ALICE), .in_pidns = true), "user A, in a pid namespace",        \
    PARTY(USER(ALICE)), "user A, outside")                                     \
ROW(writer_in_pidns, true,                                                     \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE), .in_pidns = true), "user A, in a child pid namespace")  \
ROW(in_two_pidns, false,                                                       \
    PARTY(USER(ALICE), .in_pidns = true), "user A, in a pid namespace",        \
    PARTY(USER(ALICE), .in_pidns = true), "user A, in another one")            \
ROW(ptrace_in_pidns, false,                                                    \
    PARTY(USER_WITH(ALICE, PTRACE, PTRACE), .in_pidns = true),                 \
    "user A with CAP_SYS_PTRACE, in a pid namespace",                          \
    PARTY(USER(BOB)), "user B, outside")                                       \
ROW(joined_in_pidns, true,                                                     \
    PARTY(USER(ALICE), .in_pidns = true), "user A, in a pid namespace",        \
    PARTY(USER(BOB), .joins = true), "user B, outside, has joined")            \
ROW(sandboxed, false,                                                          \
    PARTY(USER(ALICE), .sandbox = SCOPED),                                     \
    "user A, may signal only those in his sandbox (Landlock)",                 \
    PARTY(USER(ALICE)), "user A, outside")                                     \
ROW(sandboxed_otherwise, true,                                                 \
    PARTY(USER(ALICE), .sandbox = UNSCOPED),                                   \
    "user A, in a sandbox that does not limit signals",                        \
    PARTY(USER(ALICE)), "user A, outside")                                     \
ROW(writer_sandboxed, true,                                                    \
    PARTY(USER(ALICE)), "user A",                                              \
    PARTY(USER(ALICE), .sandbox = SCOPED), "user A, in such a sandbox")        \
ROW(in_two_sandboxes, false,                                                   \
    PARTY(USER(ALICE), .sandbox = SCOPED), "user A, in such a sandbox",        \
    PARTY(USER(ALICE), .sandbox = SCOPED), "user A, in another one")           \
ROW(in_one_sandbox, true,                                                      \
    PARTY(USER(ALICE), .sandbox = IN_THAT_OF_THE_TEST),                        \
    "user A, in such a sandbox",                                               \
    PARTY(USER(ALICE)), "user A, in the same")                                 \
ROW(writer_in_inner_sandbox, true,                                             \
    PARTY(USER(ALICE), .sandbox = IN_THAT_OF_THE_TEST),                        \
    "user A, in such a sandbox",                                               \
    PARTY(USER(ALICE), .sandbox = SCOPED), "user A, in one within it")         \
ROW(ptrace_sandboxed, false,                                                   \
    PARTY(USER_WITH(ALICE, PTRACE, PTRACE), .sandbox = SCOPED),                \
    "user A with CAP_SYS_PTRACE, in such a sandbox",                           \
    PARTY(USER(BOB)), "user B, outside")                                       \
ROW(joined_sandboxed, true,                                                    \
    PARTY(USER(ALICE), .sandbox = SCOPED), "user A, in such a sandbox",        \
    PARTY(USER(BOB), .joins = true), "user B, outside, has joined")            \
ROW(root_watches, true,                                                        \
    PARTY(USER(0)), "root",                                                    \
    PARTY(USER(BOB)), "user B")
/* clang-format on */

enum way { STORE, WRITE, KERNEL };

/* --- the writer, which may be another program --- */

/* What it is told; what it says when it is ready, and after each order. */
struct order {
	enum way way;
};

struct answer {
	pid_t pid;
	uid_t uid, euid;
	gid_t egid;
	uint64_t permitted;
	int dumpable;
	ino_t userns;
	int result;	/* 0, or -errno; of a store -EFAULT */
	struct fault fault;
	uint64_t at;	/* the address that was stored to */
};

static void obey(int file, int socket, char *map)
{
	char *at = map + THE_PAGE * PAGE + THE_BYTE;
	struct answer answer = {
		.pid = getpid(), .uid = getuid(), .euid = geteuid(),
		.egid = getegid(), .permitted = who_permitted(),
		.dumpable = prctl(PR_GET_DUMPABLE),
		.at = (uintptr_t)at,
	};
	struct order order;
	struct stat status = {};

	stat("/proc/self/ns/user", &status);
	answer.userns = status.st_ino;

	write(socket, &answer, sizeof(answer));
	while (read(socket, &order, sizeof(order)) == sizeof(order)) {
		if (order.way == STORE)
			answer.result = try_store(at, 'n', &answer.fault) ?
						-EFAULT :
						0;
		else if (order.way == WRITE)
			answer.result = try_write(file, 'n',
						  THE_PAGE * PAGE + THE_BYTE);
		else
			answer.result = try_kernel_store(at, 'n');
		write(socket, &answer, sizeof(answer));
	}
}

static int write_as(int file, int socket, bool joins, bool makes_dumpable)
{
	struct answer failed = {};
	char *map;

	map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file,
		   0);
	if (map == MAP_FAILED || (makes_dumpable && prctl(PR_SET_DUMPABLE, 1)))
		failed.result = -errno;
	else if (joins)
		failed.result = wp_join(file);
	if (!failed.result)
		obey(file, socket, map);
	else
		write(socket, &failed, sizeof(failed));
	return 0;
}

/* --writer FILE SOCKET JOINS MAKES_DUMPABLE */
static int writer_main(char **argv)
{
	return write_as(atoi(argv[0]), atoi(argv[1]), atoi(argv[2]),
			atoi(argv[3]));
}

static void execute(int file, int socket, const struct party *party)
{
	char files[16], sockets[16];

	snprintf(files, sizeof(files), "%d", file);
	snprintf(sockets, sizeof(sockets), "%d", socket);
	fcntl(file, F_SETFD, 0);
	fcntl(socket, F_SETFD, 0);
	execl(PROGRAM, PROGRAM, "--writer", files, sockets,
	      party->joins ? "1" : "0", party->makes_dumpable ? "1" : "0",
	      NULL);
}

static int enter_sandbox(const struct party *party)
{
	if (party->sandbox == SCOPED)
		return who_sandbox(WHO_SCOPE_SIGNALS);
	if (party->sandbox == UNSCOPED)
		return who_sandbox(WHO_SCOPE_SOCKETS);
	return 0;
}

static int become(const struct party *party, int ns)
{
	return who_become(&party->who, ns) ?: enter_sandbox(party);
}

static int writer_process(int file, int socket, const struct party *party,
			  int ns)
{
	struct answer failed = {};

	failed.result = become(party, ns);
	if (!failed.result && party->joins_before_exec)
		failed.result = wp_join(file);
	if (failed.result) {
		write(socket, &failed, sizeof(failed));
	} else if (party->program == NONE) {
		return write_as(file, socket, party->joins, false);
	} else {
		execute(file, socket, party);
		failed.result = -errno;
		write(socket, &failed, sizeof(failed));
	}
	return 1;
}

static int program_make(enum program program)
{
	switch (program) {
	case NONE:
		return 0;
	case PLAIN:
		return program_copy(PROGRAM, 0, 0, 0755);
	case SETUID_BOB:
		return program_copy(PROGRAM, BOB, 0, 04755);
	case SETUID_ROOT:
		return program_copy(PROGRAM, 0, 0, 04755);
	case SETGID_BOB:
		return program_copy(PROGRAM, 0, BOB, 02755);
	case FILE_CAPS:
		return program_copy(PROGRAM, 0, 0, 0755) ?:
			       program_add_caps(PROGRAM,
						CAP_BIT(CAP_NET_RAW), false);
	}
	return -EINVAL;
}

/* --- a cell --- */

/* clang-format off */
FIXTURE(domain) {
	struct area area;
	struct worker creator;
	int monitor;
	int socket;	/* to the writer */
	pid_t writer;
	int ns[3];
	struct answer ready;
};

FIXTURE_VARIANT(domain) {
	bool in;
	struct party creator, writer;
	__u32 mode;
	enum way way;
};

#define CELL(_name, _in, _creator, _writer, _mode, _mode_name, _way, _way_name)\
	FIXTURE_VARIANT_ADD(domain, _name##_##_mode_name##_##_way_name) {      \
		.in = _in, .creator = _creator, .writer = _writer,             \
		.mode = WPFILE_##_mode, .way = _way,                           \
	};
#define CELLS(_name, _in, _creator, _writer, _mode, _mode_name)                \
	CELL(_name, _in, ESC(_creator), ESC(_writer), _mode, _mode_name, STORE, store) \
	CELL(_name, _in, ESC(_creator), ESC(_writer), _mode, _mode_name, WRITE, write) \
	CELL(_name, _in, ESC(_creator), ESC(_writer), _mode, _mode_name, KERNEL, kernel)
#define ESC(...) __VA_ARGS__
#define ROW_OF_CELLS(_name, _in, _creator, _creator_text, _writer, _writer_text) \
	CELLS(_name, _in, ESC(_creator), ESC(_writer), SYNC, sync)             \
	CELLS(_name, _in, ESC(_creator), ESC(_writer), DENY, deny)
/* clang-format on */

struct creation {
	const struct area *area;
	const struct party *party;
	int ns;
};

/* In the creator. */
static long create(void *argument, long mode)
{
	struct creation *creation = argument;
	int ret = become(creation->party, creation->ns);

	return ret ?: wp_monitor_with(creation->area->fd,
				      (struct wpfile_monitor){
					      .mode = mode,
					      .wait_limit_ms =
						      mode == WPFILE_SYNC ?
							      WAIT_LIMIT :
							      0,
					      .flags = mode == WPFILE_DENY ?
							       WPFILE_DENIED_EVENTS :
							       0,
				      });
}

/* Where setuid programs work: not in a mount outside of all namespaces. */
static int mount_for_programs(void)
{
	return unshare(CLONE_NEWNS) ||
			       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE,
				     NULL) ||
			       mount("tmpfs", "/mnt", "tmpfs", 0, "mode=0755") ?
		       -errno :
		       0;
}

static bool get_answer(int socket, struct answer *answer, int ms)
{
	struct pollfd poll_fd = { .fd = socket, .events = POLLIN };

	return poll(&poll_fd, 1, ms) == 1 &&
	       read(socket, answer, sizeof(*answer)) == sizeof(*answer);
}

/* He is what the row says. */
static void expect_is(struct __test_metadata *const _metadata,
		      const struct answer *writer, const struct party *party,
		      int ns)
{
	const struct who *who = &party->who;
	bool gains = party->program > PLAIN;
	struct stat status;

	ASSERT_EQ(who->uid, writer->uid);
	ASSERT_EQ(party->program == SETUID_BOB  ? BOB :
		  party->program == SETUID_ROOT ? 0 :
						  who->euid,
		  writer->euid);
	ASSERT_EQ(party->program == SETGID_BOB ? BOB : who->egid,
		  writer->egid);
	if (party->program == FILE_CAPS)
		ASSERT_EQ(CAP_BIT(CAP_NET_RAW), writer->permitted);
	if (who->uid && party->program == NONE)
		ASSERT_EQ(who->permitted, writer->permitted);
	ASSERT_EQ(party->makes_dumpable || (!gains && !who->undumpable),
		  writer->dumpable == 1);
	ASSERT_EQ(0, ns < 0 ? stat("/proc/self/ns/user", &status) :
			      fstat(ns, &status));
	ASSERT_EQ(status.st_ino, writer->userns);
}

/* Who is forked before leave_pidns() is the first of a pid namespace. */
static int enter_pidns(const struct party *party)
{
	return party->in_pidns && unshare(CLONE_NEWPID) ? -errno : 0;
}

static int leave_pidns(void)
{
	int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC), ret;

	if (own < 0)
		return -errno;
	ret = setns(own, CLONE_NEWPID) ? -errno : 0;
	close(own);
	return ret;
}

static void start_writer(struct __test_metadata *const _metadata,
			 FIXTURE_DATA(domain) *self,
			 const struct party *party)
{
	int sockets[2];

	ASSERT_EQ(0, program_make(party->program));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				sockets));
	ASSERT_EQ(0, enter_pidns(party));
	self->writer = fork();
	ASSERT_LE(0, self->writer);
	if (!self->writer) {
		close(sockets[0]);
		_exit(writer_process(self->area.fd, sockets[1], party,
				     self->ns[party->ns]));
	}
	ASSERT_EQ(0, leave_pidns());
	close(sockets[1]);
	self->socket = sockets[0];
	ASSERT_TRUE(get_answer(self->socket, &self->ready, PATIENCE));
	ASSERT_EQ(0, self->ready.result);
	ASSERT_EQ(party->in_pidns ? 1 : self->writer, self->ready.pid);
	expect_is(_metadata, &self->ready, party, self->ns[party->ns]);
}

static void start_creator(struct __test_metadata *const _metadata,
			  FIXTURE_DATA(domain) *self,
			  const struct party *party, __u32 mode)
{
	struct creation creation = { &self->area, party, self->ns[party->ns] };
	long fd;

	ASSERT_EQ(0, enter_pidns(party));
	ASSERT_EQ(0, worker_start(&self->creator));
	ASSERT_EQ(0, leave_pidns());
	fd = worker_call(&self->creator, create, &creation, mode);
	ASSERT_LE(0, fd);
	self->monitor = worker_take_fd(&self->creator, fd);
	ASSERT_LE(0, self->monitor);
	if (party->is_gone)
		worker_stop(&self->creator);
}

static long try_signal(void *argument, long pid)
{
	(void)argument;
	return kill(pid, 0) ? -errno : 0;
}

/* The test, too, where the parties are to be in one. */
static void make_sandbox(struct __test_metadata *const _metadata,
			 const FIXTURE_VARIANT(domain) *variant)
{
	int ret = 0;

	if (variant->creator.sandbox == IN_THAT_OF_THE_TEST)
		ret = who_sandbox(WHO_SCOPE_SIGNALS);
	ASSERT_EQ(0, ret);
}

/* If nothing else is between them, it decides; it is what kill() says. */
static void expect_sandboxed(struct __test_metadata *const _metadata,
			     FIXTURE_DATA(domain) *self,
			     const FIXTURE_VARIANT(domain) *variant)
{
	if (variant->creator.sandbox == NO_SANDBOX ||
	    variant->creator.who.uid != variant->writer.who.uid)
		return;
	ASSERT_EQ(variant->in ? 0 : -EPERM,
		  worker_call(&self->creator, try_signal, NULL, self->writer));
}

static void make_namespaces(struct __test_metadata *const _metadata,
			    FIXTURE_DATA(domain) *self,
			    const FIXTURE_VARIANT(domain) *variant)
{
	static const uid_t owners[] = { [NS_OF_ALICE] = ALICE,
					[NS_OF_ROOT] = 0 };
	enum ns ns;

	self->ns[NS_INIT] = -1;
	for (ns = NS_OF_ALICE; ns <= NS_OF_ROOT; ns++) {
		if (variant->creator.ns != ns && variant->writer.ns != ns)
			continue;
		self->ns[ns] = userns_new(owners[ns]);
		ASSERT_LE(0, self->ns[ns]);
	}
}

FIXTURE_SETUP(domain)
{
	SKIP_UNLESS((!variant->creator.sandbox && !variant->writer.sandbox) ||
			    who_can_sandbox(),
		    "Landlock cannot scope signals here");
	ASSERT_EQ(0, file_write(MAX_WAIT, "60000"));
	ASSERT_EQ(0, mount_for_programs());
	make_namespaces(_metadata, self, variant);
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	ASSERT_NE('n', self->area.before[THE_PAGE * PAGE + THE_BYTE]);
	ASSERT_EQ(0, fchown(self->area.fd, variant->creator.who.uid,
			    variant->creator.who.gid));
	make_sandbox(_metadata, variant);
	/* The writer comes first: he is no child of anything that is tested. */
	start_writer(_metadata, self, &variant->writer);
	start_creator(_metadata, self, &variant->creator, variant->mode);
	expect_sandboxed(_metadata, self, variant);
	ASSERT_EQ(0, wp_protect(self->monitor, 0, PAGES * PAGE));
}

FIXTURE_TEARDOWN(domain)
{
	close(self->monitor);
	shutdown(self->socket, SHUT_RDWR); /* the creator has it, too */
	close(self->socket);
	waitpid(self->writer, NULL, 0);
	worker_stop(&self->creator);
	area_free(&self->area);
}

/* Which content of the page @fd has. */
static const char *old_or_new(FIXTURE_DATA(domain) *self, int fd)
{
	char wanted[PAGE], page[PAGE];

	memcpy(wanted, self->area.before + THE_PAGE * PAGE, PAGE);
	if (pread(fd, page, PAGE, THE_PAGE * PAGE) != (ssize_t)PAGE)
		return strerror(errno);
	if (!memcmp(page, wanted, PAGE))
		return "old";
	wanted[THE_BYTE] = 'n';
	return memcmp(page, wanted, PAGE) ? "neither" : "new";
}

static void expect_writer_told(struct __test_metadata *const _metadata,
			       FIXTURE_DATA(domain) *self,
			       const struct wpfile_event *event)
{
	EXPECT_EQ((__u32)self->writer, event->tid);
	EXPECT_EQ((__u32)self->writer, event->tgid);
	if (self->ready.uid == self->ready.euid)
		EXPECT_EQ((__u32)self->ready.uid, event->uid);
}

static void expect_writer_not_told(struct __test_metadata *const _metadata,
				   const struct wpfile_event *event)
{
	EXPECT_EQ(0, event->tid);
	EXPECT_EQ(0, event->tgid);
	EXPECT_EQ(0, event->uid);
}

static const char *type_of(enum way way)
{
	return way == WRITE ? "WRITE" : "STORE";
}

static void expect_event(struct __test_metadata *const _metadata,
			 FIXTURE_DATA(domain) *self, enum way way,
			 const char *outcome, struct wpfile_event *event)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "%s %s %d+1", type_of(way), outcome,
		 THE_PAGE);
	ASSERT_EQ(0, event_within(self->monitor, event, PATIENCE));
	ASSERT_STREQ(wanted, event_text(event));
}

static void expect_held(struct __test_metadata *const _metadata,
			FIXTURE_DATA(domain) *self, enum way way)
{
	struct wpfile_event event;
	struct answer answer;

	expect_event(_metadata, self, way, "WAITING", &event);
	expect_writer_told(_metadata, self, &event);
	EXPECT_FALSE(get_answer(self->socket, &answer, 100));
	EXPECT_STREQ("old", old_or_new(self, self->area.fd));
	ASSERT_EQ(0, wp_resolve(self->monitor, event.id, WPFILE_ALLOW));
	ASSERT_TRUE(get_answer(self->socket, &answer, PATIENCE));
	EXPECT_EQ(0, answer.result);
	EXPECT_STREQ("new", old_or_new(self, self->area.fd));
}

static void expect_denied(struct __test_metadata *const _metadata,
			  FIXTURE_DATA(domain) *self, enum way way)
{
	struct wpfile_event event;
	struct answer answer;

	ASSERT_TRUE(get_answer(self->socket, &answer, PATIENCE));
	EXPECT_EQ(way == WRITE ? -EPERM : -EFAULT, answer.result);
	if (way == STORE) {
		EXPECT_EQ(SIGSEGV, answer.fault.signal);
		EXPECT_EQ(SEGV_ACCERR, answer.fault.code);
		EXPECT_EQ(answer.at, (uintptr_t)answer.fault.address);
	}
	expect_event(_metadata, self, way, "DENIED", &event);
	expect_writer_told(_metadata, self, &event);
	EXPECT_STREQ("old", old_or_new(self, self->area.fd));
	EXPECT_STREQ("", unprotected(self->monitor));
}

static void expect_passed(struct __test_metadata *const _metadata,
			  FIXTURE_DATA(domain) *self, enum way way, bool told)
{
	struct wpfile_event event;
	struct answer answer;

	ASSERT_TRUE(get_answer(self->socket, &answer, PATIENCE));
	EXPECT_EQ(0, answer.result);
	expect_event(_metadata, self, way, "PASSED", &event);
	if (told)
		expect_writer_told(_metadata, self, &event);
	else
		expect_writer_not_told(_metadata, &event);
	EXPECT_STREQ("new", old_or_new(self, self->area.fd));
	EXPECT_STREQ("old", old_or_new(self, self->monitor));
	EXPECT_STREQ("3", unprotected(self->monitor));
}

enum fate { HELD, DENIED, PASSED_TOLD, PASSED_UNTOLD };

static enum fate fate_of(bool in, __u32 mode, enum way way)
{
	if (!in)
		return PASSED_UNTOLD;
	if (mode == WPFILE_DENY)
		return DENIED;
	return way == KERNEL ? PASSED_TOLD : HELD;
}

TEST_F(domain, is_kept)
{
	enum fate fate = fate_of(variant->in, variant->mode, variant->way);
	struct order order = { .way = variant->way };
	struct wpfile_event event;

	ASSERT_EQ((ssize_t)sizeof(order),
		  write(self->socket, &order, sizeof(order)));
	if (fate == HELD)
		expect_held(_metadata, self, variant->way);
	else if (fate == DENIED)
		expect_denied(_metadata, self, variant->way);
	else
		expect_passed(_metadata, self, variant->way,
			      fate == PASSED_TOLD);
	EXPECT_EQ(-ETIME, event_within(self->monitor, &event, 0));
}

ROWS(ROW_OF_CELLS)

/* --- the table --- */

static const char *fate_text(bool in, __u32 mode, enum way way)
{
	static const char *const refusals[] = { "SIGSEGV", "EPERM", "EFAULT" };

	switch (fate_of(in, mode, way)) {
	case HELD:
		return "waits";
	case DENIED:
		return refusals[way];
	case PASSED_TOLD:
		return "passes";
	case PASSED_UNTOLD:
		return "passes, nameless";
	}
	return NULL;
}

static void print_row(bool in, const char *creator, const char *writer)
{
	__u32 mode;
	enum way way;

	printf("| %s | %s | %s |", creator, writer, in ? "yes" : "no");
	for (mode = WPFILE_SYNC; mode <= WPFILE_DENY; mode++)
		for (way = STORE; way <= KERNEL; way++)
			printf(" %s |", fate_text(in, mode, way));
	printf("\n");
}

#define PRINT_ROW(_name, _in, _creator, _creator_text, _writer, _writer_text)  \
	print_row(_in, _creator_text, _writer_text);

static int print_table(void)
{
	printf("| creator | writer | in the domain "
	       "| SYNC: store | write() | by the kernel "
	       "| DENY: store | write() | by the kernel |\n"
	       "|---|---|---|---|---|---|---|---|---|\n");
	ROWS(PRINT_ROW)
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "--writer"))
		return writer_main(argv + 2);
	if (argc == 2 && !strcmp(argv[1], "--table"))
		return print_table();
	return test_harness_run(argc, argv);
}
