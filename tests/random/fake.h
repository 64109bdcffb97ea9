/* SPDX-License-Identifier: GPL-2.0-only */
/* The stand-in for the kernel: what its two parts share. */
#ifndef WPFILE_TESTS_FAKE_H
#define WPFILE_TESTS_FAKE_H

#include "random.h"

struct monitor {
	enum watch_type type;
	int refs;	/* a descriptor and a mapping */
	bool bit[MAX_FILE], captured[MAX_FILE], hole[MAX_FILE];
	char *copy;	/* of the pages that were captured */
	size_t size;
};

extern char *bytes;
extern bool is_hole[MAX_FILE];
extern size_t file_size, file_pages;
extern struct monitor monitors[NR_WATCHES];

bool has_bug(const char *name);

/* --- fake_monitor.c: struct backend says what they do --- */

int fake_monitor(enum watch_type type);
int fake_snapshot(size_t *size);
void fake_close(int handle);
int fake_protect(int handle, const struct wpfile_range *ranges,
		 unsigned int nr);
int fake_unprotect(int handle, const struct wpfile_range *range);
int fake_scan(int handle, struct wpfile_scan *scan,
	      struct wpfile_range *ranges, __u32 nr, __u64 offset, __u64 length,
	      __u32 flags);
int fake_count(enum watch_type type);
bool fake_has_event(int handle);
ssize_t fake_pread(int handle, char *to, size_t length, size_t offset);
ssize_t fake_pipe(int handle, char *to, size_t length, size_t offset,
		  bool sendfile);
off_t fake_seek(int handle, off_t offset, int whence);
off_t fake_size(int handle);
const char *fake_map(int handle, size_t size);
void fake_unmap(const char *map, size_t size);
int fake_load(const char *from, char *to, size_t length);

#endif
