// SPDX-License-Identifier: GPL-2.0-only
/*
 * A service maps and writes a file that a client has passed to it, as X and
 * Wayland servers do, while hostile clients, who own the file, monitor it in
 * every mode and never answer.
 *
 *	client		user A: makes the file, sends it; forks the
 *	  hostile	one for each mode, protects everything all the time
 *	  stopper	stops and continues them
 *	service		root, or user B: writes, in every way, and measures
 *
 * No access takes long, none fails, and no event says who the service is.
 */
#include "harness.h"
#include "watch.h"
#include "who.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define CLIENT 4001
#define SERVICE 4002
#define PAGES 64
#define MAX_WAIT "/proc/sys/vm/wpfile/max_wait_ms"
#define WAIT_LIMIT "60000"
#define ENOUGH 200 /* accesses, however slow */
#define LONGEST_NS (15 * 1000000000ULL)

static const struct who client_who = WHO_USER(CLIENT);

enum how { BY_MEMFD, BY_TMPFS, BY_SEALED, BY_SYSV };

/* What the processes share with the test. */
struct attack {
	volatile bool stop;
	struct {
		volatile pid_t pid;
		volatile unsigned long protects, passed, other, leaks, failed;
	} of[WPFILE_NR_MODES];
	volatile unsigned long accesses, wrong;
	volatile uint64_t longest_ns;
};

/* clang-format off */
FIXTURE(attack) {
	struct attack *shared;
	struct worker client, service;
	int file;		/* of the service; -1 for SysV */
	char *map;
};

FIXTURE_VARIANT(attack) {
	enum how how;
	struct who service;
};

#define ATTACK(_how, _by)                                                      \
	FIXTURE_VARIANT_ADD(attack, root_##_how) {                             \
		.how = _by, .service = WHO_USER(0) };                               \
	FIXTURE_VARIANT_ADD(attack, user_##_how) {                             \
		.how = _by, .service = WHO_USER(SERVICE) }

ATTACK(memfd, BY_MEMFD);
ATTACK(tmpfs, BY_TMPFS);
ATTACK(sealed, BY_SEALED);
ATTACK(sysv, BY_SYSV);
/* clang-format on */

/* --- hostile clients --- */

static int monitor_of(FIXTURE_DATA(attack) *self, __u32 mode)
{
	struct wpfile_monitor request = {
		.mode = mode,
		.flags = mode == WPFILE_DENY ? WPFILE_DENIED_EVENTS : 0,
	};

	if (self->file >= 0)
		return wp_monitor_with(self->file, request);
	request.flags |= WPFILE_AT_ADDRESS;
	request.address = (uintptr_t)self->map;
	return wp_monitor_with(wp_device(), request);
}

static void look_at_events(struct attack *shared, int monitor, __u32 mode)
{
	struct wpfile_event event;

	while (!event_within(monitor, &event, 0)) {
		if (event.tid || event.tgid || event.uid)
			shared->of[mode].leaks++;
		if (event.outcome == WPFILE_PASSED)
			shared->of[mode].passed++;
		else
			shared->of[mode].other++;
	}
}

static void hostile(FIXTURE_DATA(attack) *self, __u32 mode)
{
	struct attack *shared = self->shared;
	int monitor, round;

	while (!shared->stop) {
		monitor = monitor_of(self, mode);
		if (monitor < 0)
			shared->of[mode].failed++;
		for (round = 0; round < 50 && !shared->stop; round++) {
			if (!wp_protect(monitor, 0, WPFILE_TO_END))
				shared->of[mode].protects++;
			look_at_events(shared, monitor, mode);
			if (round % 8 == 0)
				sleep_ms(1);
		}
		close(monitor);
	}
}

/* A process that is stopped in the middle of what it does to others. */
static void stopper(struct attack *shared)
{
	int i = 0;

	while (!shared->stop) {
		pid_t pid = shared->of[i++ % WPFILE_NR_MODES].pid;

		kill(pid, SIGSTOP);
		sleep_ms(20);
		kill(pid, SIGCONT);
		sleep_ms(10);
	}
}

static int open_file(enum how how)
{
	int fd;

	if (how == BY_TMPFS)
		fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	else
		fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, PAGES * PAGE))
		return -errno;
	if (how == BY_SEALED &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	return fd;
}

/* What the workers are told; each has a copy of its own. */
struct call {
	FIXTURE_DATA(attack) *self;
	const FIXTURE_VARIANT(attack) *variant;
};

static struct call call;

/* In the client: its file sent through @socket, or the id of its segment. */
static long make_file(void *argument, long socket)
{
	FIXTURE_DATA(attack) *self = call.self;
	long ret = who_become(&client_who, -1);

	(void)argument;
	if (ret)
		return ret;
	if (call.variant->how == BY_SYSV) {
		ret = shmget(IPC_PRIVATE, PAGES * PAGE, IPC_CREAT | 0666);
		self->map = shmat(ret, NULL, 0);
		return self->map == (void *)-1 ? -errno : ret;
	}
	self->file = open_file(call.variant->how);
	if (self->file < 0)
		return self->file;
	self->map = map_file(self->file, PAGES * PAGE, PROT_READ | PROT_WRITE);
	return send_fd(socket, self->file);
}

static long start_attack(void *argument, long value)
{
	FIXTURE_DATA(attack) *self = call.self;
	__u32 mode;
	pid_t pid;

	(void)argument;
	(void)value;
	for (mode = 0; mode < WPFILE_NR_MODES; mode++) {
		pid = fork();
		if (pid < 0)
			return -errno;
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			hostile(self, mode);
			_exit(0);
		}
		self->shared->of[mode].pid = pid;
	}
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		stopper(self->shared);
		_exit(0);
	}
	return 0;
}

static long wait_for_children(void *argument, long value)
{
	__u32 mode;

	(void)argument;
	(void)value;
	for (mode = 0; mode < WPFILE_NR_MODES; mode++)
		kill(call.self->shared->of[mode].pid,
		     SIGCONT);
	while (wait(NULL) > 0)
		;
	return 0;
}

/* --- the service --- */

static long map_shared(void *argument, long fd_or_id)
{
	FIXTURE_DATA(attack) *self = call.self;
	long ret = who_become(&call.variant->service, -1);

	(void)argument;
	if (ret)
		return ret;
	self->file = -1;
	if (call.variant->how == BY_SYSV) {
		self->map = shmat(fd_or_id, NULL, 0);
		return self->map == (void *)-1 ? -errno : 0;
	}
	self->file = receive_fd(fd_or_id);
	if (self->file < 0)
		return self->file;
	self->map = map_file(self->file, PAGES * PAGE, PROT_READ | PROT_WRITE);
	return self->map ? 0 : -errno;
}

static int punch(int fd, size_t page)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 page * PAGE, PAGE) ?
		       -errno :
		       0;
}

static int access_once(FIXTURE_DATA(attack) *self, unsigned int *seed,
		       char byte)
{
	size_t page = random_next(seed) % PAGES;
	size_t offset = page * PAGE + random_next(seed) % PAGE;
	unsigned int way = random_next(seed) % (self->file < 0 ? 2 : 4);
	int ret;

	if (way == 0)
		ret = try_store(self->map + offset, byte, NULL);
	else if (way == 1)
		ret = try_kernel_store(self->map + offset, byte);
	else if (way == 2)
		ret = try_write(self->file, byte, offset);
	else
		return punch(self->file, page);
	/* Nobody else writes. */
	return ret ?: self->map[offset] == byte ? 0 : -EIO;
}

static long serve(void *argument, long seconds)
{
	FIXTURE_DATA(attack) *self = call.self;
	struct attack *shared = self->shared;
	uint64_t start, took, end = now_ns() + seconds * 1000000000ULL;
	unsigned int seed = 815;

	(void)argument;
	while ((start = now_ns()) < end || shared->accesses < ENOUGH) {
		if (access_once(self, &seed, shared->accesses | 1))
			shared->wrong++;
		took = now_ns() - start;
		if (took > shared->longest_ns)
			shared->longest_ns = took;
		shared->accesses++;
	}
	return 0;
}

/* --- the tests --- */

FIXTURE_SETUP(attack)
{
	int sockets[2];
	long ret;

	call = (struct call){ self, variant };
	ASSERT_EQ(0, file_write(MAX_WAIT, WAIT_LIMIT));
	ASSERT_LE(0, wp_device());
	self->file = -1;
	self->shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets));
	ASSERT_EQ(0, worker_start(&self->client));
	ASSERT_EQ(0, worker_start(&self->service));
	ret = worker_call(&self->client, make_file, NULL, sockets[0]);
	ASSERT_LE(0, ret);
	if (variant->how != BY_SYSV)
		ret = sockets[1];
	ASSERT_EQ(0, worker_call(&self->service, map_shared, NULL, ret));
}

FIXTURE_TEARDOWN(attack)
{
	self->shared->stop = true;
	worker_stop(&self->service);
	worker_stop(&self->client);
}

TEST_F(attack, on_a_service_neither_delays_nor_fails_nor_names_it)
{
	struct attack *shared = self->shared;
	__u32 mode;

	ASSERT_EQ(0, worker_call(&self->client, start_attack, NULL, 0));
	ASSERT_EQ(0, worker_call(&self->service, serve, NULL,
				 seconds_to_run(4)));
	shared->stop = true;
	ASSERT_EQ(0, worker_call(&self->client, wait_for_children, NULL, 0));
	TH_LOG("%lu accesses, the longest %llu us", shared->accesses,
	       (unsigned long long)shared->longest_ns / 1000);
	EXPECT_LE(ENOUGH, shared->accesses);
	EXPECT_EQ(0, shared->wrong);
	EXPECT_GT(LONGEST_NS, shared->longest_ns);
	for (mode = 0; mode < WPFILE_NR_MODES; mode++) {
		TH_LOG("mode %u: %lu PROTECTs, %lu events", mode,
		       shared->of[mode].protects, shared->of[mode].passed);
		EXPECT_EQ(0, shared->of[mode].failed);
		EXPECT_EQ(0, shared->of[mode].leaks);
		EXPECT_EQ(0, shared->of[mode].other);
		EXPECT_LT(0, shared->of[mode].protects);
		/* It did meet protected pages. */
		if (mode == WPFILE_SYNC || mode == WPFILE_DENY)
			EXPECT_LT(0, shared->of[mode].passed);
	}
}

/* --- a server with several clients --- */

#define CLIENTS 3

struct desk {
	int files[CLIENTS];
	char *maps[CLIENTS];
};

static long draw(void *argument, long byte)
{
	struct desk *desk = argument;
	int i, j;

	for (i = 0; i < CLIENTS; i++)
		for (j = 0; j < PAGES; j++)
			if (try_store(desk->maps[i] + j * PAGE, byte, NULL))
				return -EFAULT;
	return 0;
}

static long hold_up(void *argument, long file)
{
	struct attack *shared = argument;
	FIXTURE_DATA(attack) self = { .shared = shared, .file = file };
	pid_t pid;

	if (who_become(&client_who, -1))
		return -EPERM;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		hostile(&self, WPFILE_SYNC);
		_exit(0);
	}
	return pid;
}

TEST(server_with_a_hostile_client_serves_the_others)
{
	struct worker server, enemy;
	struct attack *shared;
	struct desk desk;
	uint64_t start, took, longest = 0;
	int i;

	ASSERT_EQ(0, file_write(MAX_WAIT, WAIT_LIMIT));
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
	for (i = 0; i < CLIENTS; i++) {
		desk.files[i] = open_file(BY_SEALED);
		ASSERT_LE(0, desk.files[i]);
		ASSERT_EQ(0, fchown(desk.files[i], CLIENT + i, CLIENT + i));
		desk.maps[i] = map_file(desk.files[i], PAGES * PAGE,
					PROT_READ | PROT_WRITE);
		ASSERT_NE(NULL, desk.maps[i]);
	}
	ASSERT_EQ(0, worker_start(&server));
	ASSERT_EQ(0, worker_start(&enemy));
	ASSERT_LT(0, worker_call(&enemy, hold_up, shared, desk.files[0]));
	while (!shared->of[WPFILE_SYNC].protects)
		sleep_ms(1);
	for (i = 0; i < 50; i++) {
		start = now_ns();
		ASSERT_EQ(0, worker_call(&server, draw, &desk, i));
		took = now_ns() - start;
		if (took > longest)
			longest = took;
		EXPECT_EQ(i, desk.maps[1][5 * PAGE]);
		sleep_ms(5);
	}
	shared->stop = true;
	TH_LOG("longest frame: %llu us; %lu events", (unsigned long long)longest / 1000,
	       shared->of[WPFILE_SYNC].passed);
	EXPECT_GT(LONGEST_NS, longest);
	EXPECT_LT(0, shared->of[WPFILE_SYNC].passed);
	EXPECT_EQ(0, shared->of[WPFILE_SYNC].other);
	EXPECT_EQ(0, shared->of[WPFILE_SYNC].leaks);
	worker_stop(&server);
	worker_stop(&enemy);
}

TEST_HARNESS_MAIN
