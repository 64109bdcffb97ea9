/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the script tests/matrix makes a table of: the results of tests that are
 * named cell.<row>_<state>_<when mapped>.<mode>, and the cells that cannot
 * exist, with the reason.  It fails if a combination is neither.
 */
#ifndef WPFILE_TESTS_TABLE_H
#define WPFILE_TESTS_TABLE_H

#include "harness.h"

struct no_cell {
	const char *text;
};

#define NO_CELL(_row, _state, _when, _why)                                     \
	static const struct no_cell no_##_row##_##_state##_##_when             \
		__attribute__((section("no_cells"), used)) = {                 \
			"cannot: " #_row " " #_state " " #_when ": " _why      \
		}

extern const struct no_cell __start_no_cells[] __attribute__((weak));
extern const struct no_cell __stop_no_cells[] __attribute__((weak));

#define NO_CELLS(_row, _state, _why)                                           \
	NO_CELL(_row, _state, before, _why);                                   \
	NO_CELL(_row, _state, after, _why)

#define NO_ROW(_row, _why)                                                     \
	NO_CELLS(_row, present, _why);                                         \
	NO_CELLS(_row, hole, _why);                                            \
	NO_CELLS(_row, swapped, _why);                                         \
	NO_CELLS(_row, huge, _why)

/* In the place of TEST_HARNESS_MAIN: the cells that cannot exist come first. */
#define MATRIX_MAIN                                                            \
	int main(int argc, char **argv)                                        \
	{                                                                      \
		const struct no_cell *no;                                      \
                                                                               \
		for (no = __start_no_cells; no < __stop_no_cells; no++)        \
			printf("# %s\n", no->text);                            \
		return test_harness_run(argc, argv);                           \
	}

#endif
