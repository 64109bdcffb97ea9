// SPDX-License-Identifier: GPL-2.0-only
/* Files in shared memory of every kind, their mappings and their content. */
#include "common.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static size_t round_up(size_t size, size_t to)
{
	return (size + to - 1) / to * to;
}

/* A mount of its own that lives as long as a file of it is open. */
int tmpfs_new(const char *huge)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), top = -1, dir = -1;

	if (fs < 0)
		return -errno;
	if (!fsconfig(fs, FSCONFIG_SET_STRING, "huge", huge, 0) &&
	    !fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		top = fsmount(fs, FSMOUNT_CLOEXEC, 0); /* as with O_PATH */
	if (top >= 0)
		dir = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		dir = -errno;
	if (top >= 0)
		close(top);
	close(fs);
	return dir;
}

static int tmpfs_file(const char *huge)
{
	int dir = tmpfs_new(huge), fd;

	if (dir < 0)
		return dir;
	fd = openat(dir, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		fd = -errno;
	close(dir);
	return fd;
}

/* A HUGE-aligned place, so that huge entries are possible; with nothing in it. */
static void *room_for(size_t length)
{
	char *room, *at;

	room = mmap(NULL, length + HUGE, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return NULL;
	at = (char *)round_up((uintptr_t)room, HUGE);
	if (at > room)
		munmap(room, at - room);
	munmap(at + length, room + HUGE - at);
	return at;
}

char *map_file(int fd, size_t size, int prot)
{
	size_t length = round_up(size, PAGE);
	char *at = room_for(length);

	if (at)
		at = mmap(at, length, prot, MAP_SHARED | MAP_FIXED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

int map_files_open(const void *map, size_t size)
{
	unsigned long start = (unsigned long)map;
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", start,
		 start + round_up(size, PAGE));
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static char *sysv_map(int id, size_t size)
{
	char *at = room_for(round_up(size, PAGE));

	if (at)
		at = shmat(id, at, SHM_REMAP);
	return at == (void *)-1 ? NULL : at;
}

/* The same pages at a second place. */
static char *anon_map(char *home, size_t size)
{
	char *at = room_for(round_up(size, PAGE));

	if (at)
		at = mremap(home, 0, round_up(size, PAGE),
			    MREMAP_MAYMOVE | MREMAP_FIXED, at);
	return at == MAP_FAILED ? NULL : at;
}

/* The segment goes with its last mapping. */
static char *sysv_make(struct area *area)
{
	char *map;

	area->id = shmget(IPC_PRIVATE, area->size, IPC_CREAT | 0600);
	if (area->id < 0)
		return NULL;
	map = sysv_map(area->id, area->size);
	shmctl(area->id, IPC_RMID, NULL);
	return map;
}

static char *anon_make(struct area *area)
{
	size_t length = round_up(area->size, PAGE);
	char *at = room_for(length);

	if (at)
		at = mmap(at, length, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	return at == MAP_FAILED ? NULL : at;
}

static int make_mapped(struct area *area)
{
	area->map = area->kind == SYSV ? sysv_make(area) : anon_make(area);
	return area->map ? map_files_open(area->map, area->size) : -errno;
}

static int make_file(struct area *area)
{
	int fd;

	if (area->kind == MEMFD)
		fd = memfd_create("wpfile-test",
				  MFD_CLOEXEC | MFD_ALLOW_SEALING);
	else
		fd = tmpfs_file(area->kind == TMPFS_HUGE ? "always" : "never");
	if (area->kind == MEMFD && fd < 0)
		return -errno;
	if (fd >= 0 && ftruncate(fd, area->size))
		return -errno;
	return fd;
}

int area_make(struct area *area, enum kind kind, size_t size)
{
	*area = (struct area){ .kind = kind, .size = size };
	area->before = calloc(1, round_up(size, PAGE) ?: 1);
	if (kind == SYSV || kind == ANON)
		area->fd = make_mapped(area);
	else
		area->fd = make_file(area);
	return area->fd < 0 ? area->fd : 0;
}

static bool is_by_address(const struct area *area)
{
	return area->kind == SYSV || area->kind == ANON;
}

/* A huge entry may reach over the end of the file. */
static size_t mapped_length(const struct area *area)
{
	return round_up(area->size, area->kind == TMPFS_HUGE ? HUGE : PAGE);
}

void area_free(struct area *area)
{
	area_unmap(area);
	if (area->home)
		munmap(area->home, mapped_length(area));
	if (area->fd >= 0)
		close(area->fd);
	free(area->before);
	area->home = NULL;
	area->before = NULL;
	area->fd = -1;
}

int area_map(struct area *area)
{
	if (area->map)
		return 0;
	if (area->home && area->kind == SYSV)
		area->map = sysv_map(area->id, area->size);
	else if (area->home)
		area->map = anon_map(area->home, area->size);
	else
		area->map = map_file(area->fd, mapped_length(area),
				     PROT_READ | PROT_WRITE);
	return area->map ? 0 : -errno;
}

void area_unmap(struct area *area)
{
	if (area->map)
		munmap(area->map, mapped_length(area));
	area->map = NULL;
}

int area_move(struct area *area, unsigned int shift)
{
	size_t length = mapped_length(area);
	char *room = room_for(shift * PAGE + length), *to;

	if (!room)
		return -errno;
	to = mremap(area->map, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
		    room + shift * PAGE);
	munmap(room, to == MAP_FAILED ? shift * PAGE + length : shift * PAGE);
	if (to == MAP_FAILED)
		return -errno;
	area->map = to;
	return 0;
}

/* Memory without a name would be gone with its last mapping. */
void area_leave(struct area *area)
{
	if (!is_by_address(area)) {
		area_unmap(area);
		return;
	}
	area->home = area->map;
	area->map = NULL;
}

int area_monitor(const struct area *area, __u32 mode)
{
	return is_by_address(area) ?
		       wp_monitor_at(area->map ?: area->home, mode) :
		       wp_monitor(area->fd, mode);
}

int area_snapshot(const struct area *area)
{
	return is_by_address(area) ? wp_snapshot_at(area->map ?: area->home) :
				     wp_snapshot(area->fd);
}

int area_protect(const struct area *area, __u32 mode)
{
	return wp_protect_or_close(area_monitor(area, mode));
}

void fill(void *page, size_t index, unsigned int version)
{
	uint64_t *words = page;
	size_t i;

	for (i = 0; i < PAGE / sizeof(*words); i++)
		words[i] = (uint64_t)version << 40 | (uint64_t)index << 16 | i;
}

/* The last page may be a part of one. */
int area_fill_page(struct area *area, size_t index, unsigned int version)
{
	char *page = area->before + index * PAGE;
	size_t length = area->size - index * PAGE;
	ssize_t done;

	fill(page, index, version);
	if (length > PAGE)
		length = PAGE;
	memset(page + length, 0, PAGE - length);
	done = pwrite(area->fd, page, length, index * PAGE);
	return done == (ssize_t)length ? 0 : done < 0 ? -errno : -EIO;
}

int area_fill(struct area *area, unsigned int version)
{
	size_t i;
	int ret = 0;

	for (i = 0; i * PAGE < area->size && !ret; i++)
		ret = area_fill_page(area, i, version);
	return ret;
}

int area_make_filled(struct area *area, enum kind kind, size_t size)
{
	return area_make(area, kind, size) ?: area_fill(area, 1) ?:
					      area_map(area);
}

void area_touch(struct area *area)
{
	volatile char *page;

	for (page = area->map; page < area->map + area->size; page += PAGE)
		*page = *page;
}

void area_load(struct area *area)
{
	volatile char *page;

	for (page = area->map; page < area->map + area->size; page += PAGE)
		*page;
}

int area_page_out(struct area *area)
{
	long wanted = round_up(area->size, PAGE) / 1024;
	int tries, ret;

	for (tries = 0; tries < 100; tries++) {
		ret = drain_batches();
		if (ret)
			return ret;
		if (madvise(area->map, area->size, MADV_PAGEOUT))
			return -errno;
		if (smaps_kib(area->map, "Swap:") >= wanted)
			return 0;
		sleep_ms(20);
	}
	return -EAGAIN;
}

bool map_is_huge(const void *map, size_t size)
{
	return smaps_kib(map, "ShmemPmdMapped:") * 1024 >= (long)size;
}

bool area_is_huge(const struct area *area)
{
	return map_is_huge(area->map, mapped_length(area));
}

static const char *difference(const char *seen, const char *expected,
			      size_t offset, size_t i)
{
	static char text[160];

	snprintf(text, sizeof(text),
		 "page %zu, byte %zu: %#x, expected %#x", (offset + i) / PAGE,
		 (offset + i) % PAGE, (unsigned char)seen[i],
		 (unsigned char)expected[i]);
	return text;
}

const char *compare_memory(const char *seen, const char *expected, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (seen[i] != expected[i])
			return difference(seen, expected, 0, i);
	return "same";
}

const char *compare(int fd, const char *expected, size_t size)
{
	static char buffer[1 << 16], text[160];
	size_t offset, length, i;
	ssize_t done;

	for (offset = 0; offset < size; offset += length) {
		length = size - offset;
		if (length > sizeof(buffer))
			length = sizeof(buffer);
		done = pread(fd, buffer, length, offset);
		if (done != (ssize_t)length) {
			snprintf(text, sizeof(text),
				 "pread of %zu at %zu gave %zd, %s", length,
				 offset, done, done < 0 ? strerror(errno) : "");
			return text;
		}
		if (!memcmp(buffer, expected + offset, length))
			continue;
		for (i = 0; buffer[i] == expected[offset + i];)
			i++;
		return difference(buffer, expected + offset, offset, i);
	}
	return "same";
}

/* By pread(), so that no mapping is touched. */
void changed_pages(const struct area *area, struct pages *pages)
{
	char page[PAGE];
	size_t i, length;
	ssize_t done;

	memset(pages, 0, sizeof(*pages));
	for (i = 0; i * PAGE < area->size; i++) {
		length = area->size - i * PAGE;
		if (length > PAGE)
			length = PAGE;
		done = pread(area->fd, page, length, i * PAGE);
		pages->has[i] = done != (ssize_t)length ||
				memcmp(page, area->before + i * PAGE, length);
	}
}
