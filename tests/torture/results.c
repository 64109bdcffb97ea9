// SPDX-License-Identifier: GPL-2.0-only
/* What came out: the results, when all processes are gone. */
#include "torture.h"
#include "kselftest.h"
#include <unistd.h>

static const char *const trouble_names[NR_TROUBLES] = {
	[INVERSION] = "every cut is causal",
	[WRONG_BYTE] = "no wrong byte in a cut",
	[CHANGED] = "what was captured stays",
	[LOST_WRITE] = "TRACK loses no write",
	[FAILED] = "no call fails that must not",
};

static long vmstat_before[MAX_DISTURBERS];
static long memory_before;

/* In KiB, in memory and in swap. */
static long memory_used(void)
{
	return file_number("/proc/meminfo", "Shmem:") +
	       file_number("/proc/meminfo", "SwapTotal:") -
	       file_number("/proc/meminfo", "SwapFree:");
}

void note_beginning(void)
{
	size_t i;

	memory_before = memory_used();
	for (i = 0; i < nr_disturbers; i++)
		if (disturbers[i].vmstat)
			vmstat_before[i] = file_number("/proc/vmstat",
						       disturbers[i].vmstat);
}

bool did_something(size_t i)
{
	return control->did[i] &&
	       (!disturbers[i].vmstat ||
		file_number("/proc/vmstat", disturbers[i].vmstat) >
			vmstat_before[i]);
}

bool has_teeth(void)
{
	int i;

	for (i = 0; i < FILES; i++)
		if (!control->has_teeth[i])
			return false;
	return true;
}

static void report_troubles(void)
{
	int what;

	for (what = NONE + 1; what < NR_TROUBLES; what++) {
		if (control->troubles[what])
			ksft_print_msg("%s\n", control->trouble[what]);
		ksft_test_result(!control->troubles[what], "%s\n",
				 trouble_names[what]);
	}
}

static void report_teeth(void)
{
	int i;

	for (i = 0; i < FILES; i++)
		ksft_test_result(control->has_teeth[i],
				 "plain reading of %s is found to be no cut\n",
				 file_names[i]);
}

static void report_disturbers(void)
{
	const char *missing;
	size_t i;

	for (i = 0; i < nr_disturbers; i++) {
		missing = disturbers[i].missing ? disturbers[i].missing() :
						  NULL;
		if (chosen[i])
			ksft_test_result(did_something(i), "%s: did it\n",
					 disturbers[i].name);
		else
			ksft_test_result_skip("%s: %s\n", disturbers[i].name,
					      missing ?: "not chosen");
	}
}

/* The dead let go a moment later. */
static void report_monitors(void)
{
	int i, track, capture, left = 0;

	for (i = 0; i < FILES; i++) {
		track = wp_wait_count(files[i].fd, WPFILE_TRACK, 0, 20);
		capture = wp_wait_count(files[i].fd, WPFILE_CAPTURE, 0, 20);
		if (track || capture)
			ksft_print_msg("%s has %d TRACK, %d CAPTURE\n",
				       file_names[i], track, capture);
		left += track || capture;
	}
	ksft_test_result(!left, "no monitor is left\n");
}

/* With one write fault each at the most.  NUMA hints are faults, too. */
static bool is_writable(struct area *area)
{
	uint64_t begin = now_ns();
	long faults;
	int tries;

	for (tries = 0; tries < 5; tries++) {
		area_touch(area);
		faults = minor_faults();
		area_touch(area);
		if (minor_faults() == faults)
			break;
	}
	return tries < 5 && now_ns() - begin < 20 * 1000000000ULL;
}

static void report_pages(void)
{
	int i, bad = 0;

	for (i = 0; i < FILES; i++) {
		ftruncate(files[i].fd, FILE_PAGES * PAGE);
		bad += !is_writable(&files[i]);
	}
	ksft_test_result(!bad, "every page can be written\n");
}

static void report_memory(void)
{
	long allowed = memory_before + FILES * FILE_PAGES * 4 + 16384;
	int tries;

	for (tries = 0; tries < 100 && memory_used() > allowed; tries++)
		sleep_ms(200);
	ksft_print_msg("%ld KiB of shared memory and swap, before %ld\n",
		       memory_used(), memory_before);
	ksft_test_result(memory_used() <= allowed,
			 "what was captured has been freed\n");
}

void report(void)
{
	ksft_set_plan(NR_TROUBLES - 1 + FILES + 3 +
		      (control->by_reading ? 0 : nr_disturbers) +
		      control->faults);
	report_troubles();
	report_teeth();
	report_monitors();
	report_pages();
	report_memory();
	if (control->faults) {
		say_exits();
		ksft_test_result(exits_taken() > ENOUGH_EXITS,
				 "error exits were taken\n");
	}
	if (!control->by_reading)
		report_disturbers();
	ksft_finished();
}
