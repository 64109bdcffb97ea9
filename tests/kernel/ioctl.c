// SPDX-License-Identifier: GPL-2.0-only
/* The ioctls of linux/wpfile.h as functions. */
#include "common.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

int wp_call(int fd, unsigned long request, void *argument)
{
	int ret = ioctl(fd, request, argument);

	return ret < 0 ? -errno : ret;
}

int wp_device(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/wpfile", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int wp_query(int fd, struct wpfile_query *query)
{
	*query = (struct wpfile_query){ .size = sizeof(*query) };
	return wp_call(fd, WPFILE_IOC_QUERY, query);
}

int wp_count(int fd, __u32 mode)
{
	struct wpfile_query query;
	int ret = wp_query(fd, &query);

	return ret < 0 ? ret : (int)query.ret_monitors[mode];
}

/* Processes that were killed lose their monitors a moment later. */
int wp_wait_count(int fd, __u32 mode, int wanted, int seconds)
{
	uint64_t end = now_ns() + seconds * 1000000000ULL;
	int count;

	while ((count = wp_count(fd, mode)) != wanted && now_ns() < end)
		sleep_ms(10);
	return count;
}

int wp_monitor_with(int fd, struct wpfile_monitor request)
{
	request.size = sizeof(request);
	return wp_call(fd, WPFILE_IOC_MONITOR, &request);
}

int wp_monitor(int fd, __u32 mode)
{
	return wp_monitor_with(fd, (struct wpfile_monitor){ .mode = mode });
}

int wp_monitor_limited(int fd, __u64 capture_limit)
{
	return wp_monitor_with(fd, (struct wpfile_monitor){
					   .mode = WPFILE_CAPTURE,
					   .capture_limit = capture_limit });
}

int wp_monitor_at(const void *address, __u32 mode)
{
	return wp_monitor_with(wp_device(), (struct wpfile_monitor){
						    .flags = WPFILE_AT_ADDRESS,
						    .address = (uintptr_t)address,
						    .mode = mode });
}

static int snapshot(int fd, struct wpfile_snapshot request)
{
	request.size = sizeof(request);
	return wp_call(fd, WPFILE_IOC_SNAPSHOT, &request);
}

int wp_snapshot(int fd)
{
	return snapshot(fd, (struct wpfile_snapshot){});
}

int wp_snapshot_limited(int fd, __u64 capture_limit)
{
	return snapshot(
		fd, (struct wpfile_snapshot){ .capture_limit = capture_limit });
}

int wp_snapshot_at(const void *address)
{
	return snapshot(wp_device(), (struct wpfile_snapshot){
					     .flags = WPFILE_AT_ADDRESS,
					     .address = (uintptr_t)address });
}

int wp_protect_ranges(int monitor, const struct wpfile_range *ranges, __u32 nr)
{
	struct wpfile_protect request = {
		.size = sizeof(request),
		.ranges = (uintptr_t)ranges,
		.nr_ranges = nr,
	};

	return wp_call(monitor, WPFILE_IOC_PROTECT, &request);
}

int wp_protect(int monitor, __u64 offset, __u64 length)
{
	struct wpfile_range range = { .offset = offset, .length = length };

	return wp_protect_ranges(monitor, &range, 1);
}

/* For who has just made the monitor. */
int wp_protect_or_close(int monitor)
{
	int ret;

	if (monitor < 0)
		return monitor;
	ret = wp_protect(monitor, 0, WPFILE_TO_END);
	if (!ret)
		return monitor;
	close(monitor);
	return ret;
}

int wp_unprotect_ranges(int monitor, const struct wpfile_range *ranges,
			__u32 nr)
{
	struct wpfile_unprotect request = {
		.size = sizeof(request),
		.ranges = (uintptr_t)ranges,
		.nr_ranges = nr,
	};

	return wp_call(monitor, WPFILE_IOC_UNPROTECT, &request);
}

int wp_unprotect(int monitor, __u64 offset, __u64 length)
{
	struct wpfile_range range = { .offset = offset, .length = length };

	return wp_unprotect_ranges(monitor, &range, 1);
}

int wp_scan(int monitor, struct wpfile_scan *scan, struct wpfile_range *ranges,
	    __u32 nr, __u64 offset, __u64 length, __u32 flags)
{
	*scan = (struct wpfile_scan){
		.size = sizeof(*scan),
		.flags = flags,
		.offset = offset,
		.length = length,
		.ranges = (uintptr_t)ranges,
		.nr_ranges = nr,
	};
	return wp_call(monitor, WPFILE_IOC_SCAN, scan);
}

int wp_resolve(int monitor, __u64 id, __u32 verdict)
{
	struct wpfile_resolve request = {
		.size = sizeof(request),
		.verdict = verdict,
		.id = id,
	};

	return wp_call(monitor, WPFILE_IOC_RESOLVE, &request);
}

int wp_join(int fd)
{
	struct wpfile_consent target = { .size = sizeof(target) };

	return wp_call(fd, WPFILE_IOC_JOIN, &target);
}

int wp_forbid(int fd)
{
	struct wpfile_consent target = { .size = sizeof(target) };

	return wp_call(fd, WPFILE_IOC_FORBID, &target);
}

long wp_state(int fd)
{
	struct wpfile_query query;
	int ret = wp_query(fd, &query);

	return ret < 0 ? ret : (long)query.ret_state;
}
