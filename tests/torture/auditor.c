// SPDX-License-Identifier: GPL-2.0-only
/*
 * The auditor: now and then it closes a file to the writers, who work on others
 * meanwhile, and so knows what it contains.
 *
 *	copies what TRACK reports to a mirror, while writers write
 *	closes the file
 *	copies the rest: the mirror must be the file
 *	takes a snapshot, opens the file
 *	reads the snapshot: it must be the mirror of that moment
 */
#include "torture.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct audit {
	int file;
	int track;
	int snapshot;
	char *mirror;
	char *content; /* when the snapshot was taken */
};

/* False if it is not to be. */
static bool close_file(int file)
{
	int id;

	__atomic_store_n(&control->closed[file], true, __ATOMIC_SEQ_CST);
	for (id = 0; id < control->nr_writers; id++)
		while (__atomic_load_n(&control->busy[id], __ATOMIC_SEQ_CST) ==
		       file) {
			if (stopping())
				return false;
			sleep_ms(1);
		}
	return true;
}

static void open_file(int file)
{
	__atomic_store_n(&control->closed[file], false, __ATOMIC_SEQ_CST);
}

static void copy_page(struct audit *audit, size_t page)
{
	while (pread(files[audit->file].fd, audit->mirror + page * PAGE, PAGE,
		     page * PAGE) != (ssize_t)PAGE)
		failed("pread() by the auditor", errno);
}

/* False if it could not. */
static bool copy_written(struct audit *audit)
{
	struct pages written;
	size_t page;
	int ret;

	ret = scan_pages(audit->track, WPFILE_SCAN_PROTECT, &written);
	if (ret)
		failed("SCAN", ret);
	/* What a call reported before another failed is not told again. */
	for (page = 0; page < CHECKED; page++)
		if (written.has[page])
			copy_page(audit, page);
	count(SCANS, !ret);
	return !ret;
}

/* The file is closed. */
static void begin(struct audit *audit)
{
	const char *difference;

	while (!copy_written(audit))
		if (stopping())
			return;
	faults_off();
	difference =
		compare(files[audit->file].fd, audit->mirror, CHECKED * PAGE);
	faults_on();
	if (strcmp(difference, "same"))
		trouble(LOST_WRITE, "%s: %s", file_names[audit->file],
			difference);
	audit->snapshot = area_snapshot(&files[audit->file]);
	if (audit->snapshot < 0)
		failed("a snapshot by the auditor", audit->snapshot);
	memcpy(audit->content, audit->mirror, CHECKED * PAGE);
}

/* It has been written again for a while. */
static void end(struct audit *audit)
{
	static char seen[CHECKED * PAGE];
	const char *difference;
	ssize_t done;

	if (audit->snapshot < 0)
		return;
	done = pread(audit->snapshot, seen, sizeof(seen), 0);
	close(audit->snapshot);
	audit->snapshot = -1;
	if (done != (ssize_t)sizeof(seen)) {
		/* Its beginning may be read, if not all. */
		failed("pread() of the auditor's snapshot",
		       done < 0 ? errno : EIO);
		if (done <= 0)
			return;
	}
	difference = compare_memory(seen, audit->content, done);
	if (strcmp(difference, "same"))
		trouble(CHANGED, "%s at a known instant: %s",
			file_names[audit->file], difference);
	count(AUDITS, 1);
}

/* What was written before PROTECT is seen, what comes later is reported. */
static void open_audit(struct audit *audit, int file)
{
	size_t page;

	*audit = (struct audit){
		.file = file,
		.track = area_protect(&files[file], WPFILE_TRACK),
		.snapshot = -1,
		.mirror = malloc(CHECKED * PAGE),
		.content = malloc(CHECKED * PAGE),
	};
	if (audit->track < 0)
		failed("TRACK by the auditor", audit->track);
	for (page = 0; page < CHECKED; page++)
		copy_page(audit, page);
}

static void audit_file(struct audit *audit)
{
	if (close_file(audit->file))
		begin(audit);
	open_file(audit->file);
	rest(pick(200));
	copy_written(audit);
	end(audit);
}

void be_auditor(void)
{
	struct audit audits[FILES];
	int file;

	for (file = 0; file < FILES; file++)
		open_audit(&audits[file], file);
	setpriority(PRIO_PROCESS, 0, -10);
	faults_on();
	for (file = 0; !stopping(); file = (file + 1) % FILES)
		audit_file(&audits[file]);
	faults_off();
}
