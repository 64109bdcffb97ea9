// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may make the monitors that hold up or refuse, and who may FORBID them;
 * and the structures that say so: the errno of the header's dictionary.
 */
#include "harness.h"
#include "watch.h"
#include "who.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/shm.h>
#include <sys/stat.h>

#define OWNER 4001
#define STRANGER 4002
#define PAGES 4
#define MAX_WAIT "/proc/sys/vm/wpfile/max_wait_ms"

static const struct who stranger = WHO_USER(STRANGER);

/* --- rights --- */

/*
 *			owner	root	stranger
 *	O_RDWR		yes	yes	EPERM
 *	O_RDONLY	EPERM	EPERM	EPERM
 *	O_WRONLY	EACCES	EACCES	EACCES
 *	sealed		EPERM	EPERM	EPERM
 */
/* clang-format off */
FIXTURE(rights) {
	struct area area;
	int fd;
};

FIXTURE_VARIANT(rights) {
	struct who who;
	int flags;
	int seals;
	int wanted;	/* 0, or -errno */
};

#define RIGHTS(_name, _who, _flags, _seals, _wanted)                           \
	FIXTURE_VARIANT_ADD(rights, _name) {                                   \
		.who = _who, .flags = _flags, .seals = _seals, .wanted = _wanted }

RIGHTS(owner_rdwr, WHO_USER(OWNER), O_RDWR, 0, 0);
RIGHTS(owner_rdonly, WHO_USER(OWNER), O_RDONLY, 0, -EPERM);
RIGHTS(owner_wronly, WHO_USER(OWNER), O_WRONLY, 0, -EACCES);
RIGHTS(owner_sealed, WHO_USER(OWNER), O_RDWR, F_SEAL_WRITE, -EPERM);
RIGHTS(owner_future_sealed, WHO_USER(OWNER), O_RDWR, F_SEAL_FUTURE_WRITE, -EPERM);
RIGHTS(owner_shrink_sealed, WHO_USER(OWNER), O_RDWR, F_SEAL_SHRINK | F_SEAL_GROW, 0);
RIGHTS(root_rdwr, WHO_USER(0), O_RDWR, 0, 0);
RIGHTS(root_rdonly, WHO_USER(0), O_RDONLY, 0, -EPERM);
RIGHTS(root_sealed, WHO_USER(0), O_RDWR, F_SEAL_WRITE, -EPERM);
RIGHTS(stranger_rdwr, WHO_USER(STRANGER), O_RDWR, 0, -EPERM);
RIGHTS(stranger_rdonly, WHO_USER(STRANGER), O_RDONLY, 0, -EPERM);
FIXTURE_VARIANT_ADD(rights, stranger_with_fowner) {
	.who = { .uid = STRANGER, .euid = STRANGER, .gid = STRANGER,
		 .egid = STRANGER, .permitted = CAP_BIT(CAP_FOWNER),
		 .effective = CAP_BIT(CAP_FOWNER) },
	.flags = O_RDWR,
};
FIXTURE_VARIANT_ADD(rights, stranger_with_ptrace) {
	.who = { .uid = STRANGER, .euid = STRANGER, .gid = STRANGER,
		 .egid = STRANGER, .permitted = CAP_BIT(CAP_SYS_PTRACE),
		 .effective = CAP_BIT(CAP_SYS_PTRACE) },
	.flags = O_RDWR,
	.wanted = -EPERM,
};
/* clang-format on */

FIXTURE_SETUP(rights)
{
	ASSERT_EQ(0, area_make(&self->area, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, area_fill(&self->area, 1));
	ASSERT_EQ(0, fchown(self->area.fd, OWNER, OWNER));
	ASSERT_EQ(0, fchmod(self->area.fd, 0666));
	self->fd = reopen(self->area.fd, variant->flags);
	ASSERT_LE(0, self->fd);
	if (variant->seals)
		ASSERT_EQ(0, fcntl(self->area.fd, F_ADD_SEALS, variant->seals));
	ASSERT_LE(0, wp_device());
	ASSERT_EQ(0, who_become(&variant->who, -1));
}

FIXTURE_TEARDOWN(rights)
{
	close(self->fd);
	area_free(&self->area);
}

TEST_F(rights, of_SYNC_and_DENY)
{
	__u32 mode;
	int ret;

	for (mode = WPFILE_SYNC; mode <= WPFILE_DENY; mode++) {
		ret = wp_monitor(self->fd, mode);
		EXPECT_EQ(variant->wanted, ret < 0 ? ret : 0);
		if (ret >= 0)
			close(ret);
		EXPECT_EQ(0, wp_count(self->fd, mode));
	}
}

TEST_F(rights, of_FORBID)
{
	EXPECT_EQ(variant->wanted, wp_forbid(self->fd));
	EXPECT_EQ(variant->wanted ? 0 : WPFILE_STATE_FORBIDDEN,
		  wp_state(self->fd));
}

/* Its rights were looked at when it was made. */
TEST(seal_that_comes_later_does_not_take_a_monitor_away)
{
	struct area area;
	int monitor;

	ASSERT_EQ(0, area_make(&area, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, area_fill(&area, 1));
	monitor = area_protect(&area, WPFILE_DENY);
	ASSERT_LE(0, monitor);
	ASSERT_EQ(0, fcntl(area.fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(-EPERM, wp_monitor(area.fd, WPFILE_DENY));
	EXPECT_EQ(0, wp_unprotect(monitor, 0, WPFILE_TO_END));
	EXPECT_EQ(-1, pwrite(monitor, "x", 1, 0)); /* nor may it write */
	EXPECT_STREQ("same", compare(area.fd, area.before, area.size));
	close(monitor);
	area_free(&area);
}

TEST(sysv_segment_of_its_creator)
{
	struct area area;

	ASSERT_EQ(0, area_make(&area, SYSV, PAGES * PAGE));
	EXPECT_LE(0, wp_monitor_at(area.map, WPFILE_SYNC));
	EXPECT_LE(0, wp_monitor_at(area.map, WPFILE_DENY));
	area_free(&area);
}

TEST(sysv_segment_of_another_user_is_EPERM)
{
	int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0666);
	void *map = shmat(id, NULL, 0);

	ASSERT_NE((void *)-1, map);
	ASSERT_EQ(0, shmctl(id, IPC_RMID, NULL));
	ASSERT_LE(0, wp_device());
	ASSERT_EQ(0, who_become(&stranger, -1));
	EXPECT_EQ(-EPERM, wp_monitor_at(map, WPFILE_SYNC));
	EXPECT_EQ(-EPERM, wp_monitor_at(map, WPFILE_DENY));
	EXPECT_LE(0, wp_monitor_at(map, WPFILE_TRACK));
}

/* --- structures --- */

/* clang-format off */
FIXTURE(structs) {
	struct area area;
};
/* clang-format on */

FIXTURE_SETUP(structs)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
}

FIXTURE_TEARDOWN(structs)
{
	area_free(&self->area);
}

static int with(int fd, struct wpfile_monitor request)
{
	int ret = wp_monitor_with(fd, request);

	return ret < 0 ? ret : close(ret);
}

TEST_F(structs, fields_of_other_modes_are_EINVAL)
{
	int fd = self->area.fd;

	for (__u32 mode = 0; mode < WPFILE_NR_MODES; mode++) {
		struct wpfile_monitor wait = { .mode = mode,
					       .wait_limit_ms = 10 };
		struct wpfile_monitor flag = { .mode = mode,
					       .flags = WPFILE_DENIED_EVENTS };
		struct wpfile_monitor capture = { .mode = mode,
						  .capture_limit = PAGE };
		struct wpfile_monitor queue = { .mode = mode,
						.queue_limit = 1 };

		EXPECT_EQ(mode == WPFILE_SYNC ? 0 : -EINVAL, with(fd, wait));
		EXPECT_EQ(mode == WPFILE_DENY ? 0 : -EINVAL, with(fd, flag));
		EXPECT_EQ(mode == WPFILE_TRACK ? -EINVAL : 0,
			  with(fd, capture));
		EXPECT_EQ(mode == WPFILE_TRACK ? -EINVAL : 0, with(fd, queue));
		EXPECT_EQ(0, wp_count(fd, mode));
	}
}

TEST_F(structs, unknown_modes_flags_and_reserved_fields_are_EINVAL)
{
	int fd = self->area.fd;

	EXPECT_EQ(-EINVAL, with(fd, (struct wpfile_monitor){
					    .mode = WPFILE_NR_MODES }));
	EXPECT_EQ(-EINVAL, with(fd, (struct wpfile_monitor){ .flags = 4 }));
	EXPECT_EQ(-EINVAL, with(fd, (struct wpfile_monitor){ .reserved = 1 }));
	EXPECT_EQ(0, with(fd, (struct wpfile_monitor){
				      .mode = WPFILE_DENY,
				      .cookie = ~0ULL }));
}

TEST_F(structs, of_JOIN_and_FORBID)
{
	static const unsigned long requests[] = { WPFILE_IOC_JOIN,
						  WPFILE_IOC_FORBID };
	struct {
		struct wpfile_consent target;
		__u64 tail;
	} longer;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		memset(&longer, 0, sizeof(longer));
		longer.target.size = sizeof(longer.target);
		longer.target.flags = 2;
		EXPECT_EQ(-EINVAL, wp_call(self->area.fd, requests[i],
					   &longer));
		longer.target.flags = 0;
		longer.target.address = 4096;
		EXPECT_EQ(-EINVAL, wp_call(self->area.fd, requests[i],
					   &longer));
		longer.target.address = 0;
		longer.target.size = 0;
		EXPECT_EQ(-EINVAL, wp_call(self->area.fd, requests[i],
					   &longer));
		longer.target.size = sizeof(longer);
		longer.tail = 1;
		EXPECT_EQ(-E2BIG, wp_call(self->area.fd, requests[i],
					  &longer));
		EXPECT_EQ(-EFAULT, wp_call(self->area.fd, requests[i], NULL));
		EXPECT_EQ(-EINVAL, wp_call(wp_device(), requests[i],
					   &(struct wpfile_consent){
						   .size = sizeof(struct wpfile_consent) }));
		EXPECT_EQ(i ? WPFILE_STATE_JOINED : 0,
			  wp_state(self->area.fd));
		longer.tail = 0;
		EXPECT_EQ(0, wp_call(self->area.fd, requests[i], &longer));
	}
}

TEST_F(structs, of_JOIN_and_FORBID_on_other_files_are_ENOTTY)
{
	int pipes[2], monitor = wp_monitor(self->area.fd, WPFILE_TRACK);
	int plain = open("/proc/self/exe", O_RDONLY);

	ASSERT_EQ(0, pipe(pipes));
	EXPECT_EQ(-ENOTTY, wp_join(pipes[1]));
	EXPECT_EQ(-ENOTTY, wp_forbid(pipes[1]));
	EXPECT_EQ(-ENOTTY, wp_join(plain));
	EXPECT_EQ(-ENOTTY, wp_forbid(plain));
	EXPECT_EQ(-ENOTTY, wp_join(monitor));
	EXPECT_EQ(-ENOTTY, wp_forbid(monitor));
}

TEST_F(structs, of_RESOLVE)
{
	int sync = area_protect(&self->area, WPFILE_SYNC);
	int deny = wp_monitor(self->area.fd, WPFILE_DENY);
	int track = wp_monitor(self->area.fd, WPFILE_TRACK);
	struct {
		struct wpfile_resolve resolve;
		__u64 tail;
	} longer = { .resolve = { .size = sizeof(longer), .id = 7 } };

	EXPECT_EQ(-ENOENT, wp_resolve(sync, 0, WPFILE_ALLOW));
	EXPECT_EQ(-ENOENT, wp_resolve(sync, 7, WPFILE_FAIL));
	EXPECT_EQ(-EINVAL, wp_resolve(sync, 7, 2));
	EXPECT_EQ(-ENOENT, wp_call(sync, WPFILE_IOC_RESOLVE, &longer));
	longer.tail = 1;
	EXPECT_EQ(-E2BIG, wp_call(sync, WPFILE_IOC_RESOLVE, &longer));
	EXPECT_EQ(-EFAULT, wp_call(sync, WPFILE_IOC_RESOLVE, NULL));
	EXPECT_EQ(-EOPNOTSUPP, wp_resolve(track, 7, WPFILE_ALLOW));
	EXPECT_EQ(-EOPNOTSUPP, wp_resolve(deny, 7, WPFILE_ALLOW));
	EXPECT_EQ(-ENOTTY, wp_resolve(self->area.fd, 7, WPFILE_ALLOW));
}

TEST_F(structs, of_QUERY_tell_the_features_and_the_modes)
{
	struct wpfile_query query;
	int sync = wp_monitor(self->area.fd, WPFILE_SYNC);
	int deny = wp_monitor(self->area.fd, WPFILE_DENY);

	ASSERT_EQ(0, wp_query(self->area.fd, &query));
	EXPECT_TRUE(query.ret_features & WPFILE_FEATURE_SYNC);
	EXPECT_TRUE(query.ret_features & WPFILE_FEATURE_DENY);
	EXPECT_EQ(1, (int)query.ret_monitors[WPFILE_SYNC]);
	EXPECT_EQ(1, (int)query.ret_monitors[WPFILE_DENY]);
	EXPECT_EQ(file_number(MAX_WAIT, NULL), (long)query.ret_max_wait_ms);
	close(sync);
	close(deny);
	ASSERT_EQ(0, wp_query(wp_device(), &query));
	EXPECT_EQ(0, query.ret_state);
	EXPECT_EQ(0, query.ret_monitors[WPFILE_SYNC]);
	EXPECT_EQ(file_number(MAX_WAIT, NULL), (long)query.ret_max_wait_ms);
}

/* Modes that keep nothing of a page and do not wait refuse what they lack. */
TEST_F(structs, calls_of_other_modes_are_EOPNOTSUPP)
{
	struct wpfile_range range;
	struct wpfile_scan scan;
	int deny = area_protect(&self->area, WPFILE_DENY);
	int sync = area_protect(&self->area, WPFILE_SYNC);
	int capture = area_protect(&self->area, WPFILE_CAPTURE);
	int track = area_protect(&self->area, WPFILE_TRACK);

	EXPECT_EQ(-EOPNOTSUPP, wp_scan(deny, &scan, &range, 1, 0,
				       WPFILE_TO_END, WPFILE_SCAN_PROTECT));
	EXPECT_EQ(-EOPNOTSUPP, wp_scan(sync, &scan, &range, 1, 0,
				       WPFILE_TO_END, WPFILE_SCAN_PROTECT));
	EXPECT_NE(1, pwrite(capture, "x", 1, 0));
	EXPECT_NE(1, pwrite(track, "x", 1, 0));
	EXPECT_STREQ("same", compare(self->area.fd, self->area.before,
				     self->area.size));
	EXPECT_STREQ("", unprotected(deny));
	EXPECT_STREQ("", unprotected(sync));
}

TEST_HARNESS_MAIN
