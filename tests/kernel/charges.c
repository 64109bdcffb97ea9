// SPDX-License-Identifier: GPL-2.0-only
/*
 * What monitors need is charged to the memory cgroup of who makes them, and is
 * given back.  Everything here is done many times, so that the least that stays
 * behind each time is in the end more than a cgroup's counter may be wrong by;
 * and in a cgroup that has no room for much of it.
 */
#include "harness.h"
#include "wait.h"
#include "watch.h"
#include <malloc.h>
#include <sys/wait.h>

#define PAGES HUGE_PAGES
#define ROOM (8 << 20)		/* of the cgroup */
#define SLACK (1 << 20)		/* of its counter, which is kept by CPU */
#define BATCHES 16
#define PATIENCE 60		/* seconds: freed after RCU grace periods */

/*
 * What the maker does, again and again, and how often before it is looked at what
 * is left of it: 0, or -errno.
 */
struct deeds {
	long (*one)(struct area *area);
	int batch;
};

/* clang-format off */
FIXTURE(charges) {
	struct area area;
	struct worker maker;	/* in the cgroup; the file is not his */
	char path[128];
	int keeper;		/* a monitor, so that no other is the first */
	struct deeds deeds;
	long before;
};

FIXTURE_VARIANT(charges) {
	struct deeds deeds;
};
/* clang-format on */

#define DEEDS(_name, _batch)                                                   \
	FIXTURE_VARIANT_ADD(charges, _name) {                                  \
		.deeds = { _name, _batch },                                    \
	}

/* --- the deeds --- */

static long monitor_and_close(struct area *area)
{
	int monitor = wp_monitor(area->fd, WPFILE_CAPTURE);

	return monitor < 0 ? monitor : close(monitor);
}
DEEDS(monitor_and_close, 256);

static bool has_captured(int monitor, size_t bytes)
{
	return fdinfo_number(monitor, "captured_bytes:") == (long)bytes &&
	       !fdinfo_number(monitor, "failed:");
}

/* All of the file, if there is room. */
static long capture_all(int monitor, struct area *area)
{
	int ret = wp_protect(monitor, 0, WPFILE_TO_END);

	area_touch(area);
	return ret ?: has_captured(monitor, area->size) ? 0 : -ENOMEM;
}

static long captures(struct area *area)
{
	int monitor = wp_monitor(area->fd, WPFILE_CAPTURE), ret;

	ret = monitor < 0 ? monitor : capture_all(monitor, area);
	close(monitor);
	return ret;
}
DEEDS(captures, 1);

/* The monitor stays. */
static long captures_that_are_dropped(struct area *area)
{
	static int monitor = -1;
	int ret = 0;

	if (monitor < 0)
		monitor = wp_monitor(area->fd, WPFILE_CAPTURE);
	if (monitor < 0)
		return monitor;
	ret = capture_all(monitor, area);
	return ret ?: wp_unprotect(monitor, 0, WPFILE_TO_END);
}
DEEDS(captures_that_are_dropped, 1);

/* Single pages that are so far apart that each needs memory of its own. */
#define SPARSE 4096
#define APART (1024 * PAGE)

static long pageset(struct area *area)
{
	static struct wpfile_range ranges[SPARSE];
	int monitor = wp_monitor(area->fd, WPFILE_TRACK), ret, i;

	for (i = 0; i < SPARSE; i++)
		ranges[i] = (struct wpfile_range){ .offset = i * APART,
						   .length = PAGE };
	ret = monitor < 0 ? monitor :
			    wp_protect_ranges(monitor, ranges, SPARSE);
	close(monitor);
	return ret;
}
DEEDS(pageset, 1);

#define EVENTS 2048

/* Denied stores of the maker; all are there, since the queue has room. */
static long make_events(int monitor, struct area *area)
{
	int ret = wp_protect(monitor, 0, PAGE), i;

	for (i = 0; i < EVENTS && !ret; i++)
		ret = try_write(area->fd, 'x', 0) == -EPERM ? 0 : -EBADMSG;
	return ret;
}

static long events_that_nobody_reads(struct area *area)
{
	int monitor = deny_monitor(area->fd, WPFILE_DENIED_EVENTS), ret;

	ret = monitor < 0 ? monitor : make_events(monitor, area);
	close(monitor);
	return ret;
}
DEEDS(events_that_nobody_reads, 1);

/* The monitor stays. */
static long events_that_are_read(struct area *area)
{
	static int monitor = -1;
	int ret = 0;

	if (monitor < 0)
		monitor = deny_monitor(area->fd, WPFILE_DENIED_EVENTS);
	if (monitor < 0)
		return monitor;
	ret = make_events(monitor, area);
	if (!ret && events_drain(monitor) != EVENTS)
		ret = -EBADMSG;
	return ret;
}
DEEDS(events_that_are_read, 1);

/* One for each page, answered by a thread; the monitor stays. */
static long holds(struct area *area)
{
	static struct handler handler;
	static int monitor = -1;
	int ret;

	if (monitor < 0)
		monitor = wp_monitor(area->fd, WPFILE_SYNC);
	ret = wp_protect(monitor, 0, WPFILE_TO_END) ?:
		      handler_start(&handler, monitor, area->size);
	if (ret)
		return ret;
	area_touch(area);
	ret = handler_stop(&handler);
	if (!ret && handler.nr_waiting != PAGES)
		ret = -EBADMSG;
	handler_free(&handler);
	return ret;
}
DEEDS(holds, 1);

static long members(struct area *area)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(wp_join(area->fd) ? 1 : 0);
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return status ? -EBADMSG : 0;
}
DEEDS(members, 32);

/* One too many. */
static long monitors_that_cannot_be(struct area *area)
{
	static int made = 1;	/* by the keeper */

	for (; made < 64; made++)
		if (wp_monitor(area->fd, WPFILE_TRACK) < 0)
			return -EBADMSG;
	return wp_monitor(area->fd, WPFILE_CAPTURE) == -EBUSY ? 0 : -EBADMSG;
}
DEEDS(monitors_that_cannot_be, 256);

/* --- what is left --- */

static long enter(void *argument, long value)
{
	(void)value;
	return cgroup_enter(argument);
}

/* What the deeds need besides, is there before: it is not what they leave. */
static long prepare(void *argument, long value)
{
	struct area *area = argument;

	(void)value;
	/* What is freed of the maker's own goes back, too. */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	area_touch(area);
	return wp_count(area->fd, WPFILE_TRACK) == 1 ? 0 : -EBADMSG;
}

static long do_batch(void *argument, long value)
{
	FIXTURE_DATA(charges) *self = argument;
	int left = self->deeds.batch;
	long ret = 0;

	(void)value;
	while (left-- && !ret)
		ret = self->deeds.one(&self->area);
	return ret;
}

FIXTURE_SETUP(charges)
{
	self->path[0] = 0;
	self->deeds = variant->deeds;
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	self->keeper = wp_monitor(self->area.fd, WPFILE_TRACK);
	ASSERT_LE(0, self->keeper);
	ASSERT_EQ(0, cgroup_make(self->path, sizeof(self->path), ROOM, 0));
	ASSERT_EQ(0, worker_start(&self->maker));
	ASSERT_EQ(0, worker_call(&self->maker, enter, self->path, 0));
	ASSERT_EQ(0, worker_call(&self->maker, prepare, &self->area, 0));
}

FIXTURE_TEARDOWN(charges)
{
	worker_stop(&self->maker);
	close(self->keeper);
	area_free(&self->area);
	if (self->path[0])
		cgroup_remove(self->path);
}

static long charged(FIXTURE_DATA(charges) *self)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/memory.current", self->path);
	return file_number(path, NULL);
}

static bool comes_back(FIXTURE_DATA(charges) *self)
{
	uint64_t end = now_ns() + PATIENCE * 1000000000ULL;

	while (charged(self) > self->before + SLACK && now_ns() < end)
		sleep_ms(10);
	return charged(self) <= self->before + SLACK;
}

TEST_F(charges, come_back)
{
	int i;

	self->before = charged(self);
	ASSERT_LT(0, self->before);
	for (i = 0; i < BATCHES; i++) {
		ASSERT_EQ(0, worker_call(&self->maker, do_batch, self, 0));
		ASSERT_TRUE(comes_back(self)) {
			TH_LOG("batch %d of %d deeds: %ld bytes, %ld before",
			       i, self->deeds.batch, charged(self),
			       self->before);
		}
	}
	TH_LOG("%ld bytes, %ld before", charged(self), self->before);
}

TEST_HARNESS_MAIN
