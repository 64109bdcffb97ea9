// SPDX-License-Identifier: GPL-2.0-or-later
/* The ledger, with eventfds for monitors. */
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ledger.h"
#include "unit.h"

#define MIB (1ULL << 20)

static int add_up(const struct ledger_entry *entry, void *data)
{
	struct ledger_entry *sum = data;

	sum->uid += entry->uid;
	sum->mode += entry->mode;
	sum->bytes += entry->bytes;
	return 0;
}

static void what_is_closed_everywhere_is_gone(void **state)
{
	const struct ledger_entry a = { 1000, 1, 3 * MIB }, b = { 7, 2, 1 };
	struct ledger_entry sum = { 0 };
	int ledger = ledger_open(), one = eventfd(0, 0), two = eventfd(0, 0);
	int copy = dup(one);

	(void)state;
	assert_int_equal(ledger_add(ledger, one, &a), 0);
	assert_int_equal(ledger_add(ledger, two, &b), 0);
	close(one);
	assert_int_equal(ledger_each(ledger, add_up, &sum), 0);
	assert_int_equal(sum.uid, 1007);
	assert_int_equal(sum.mode, 3);
	assert_int_equal(sum.bytes, 4 * MIB);
	close(copy);
	sum = (struct ledger_entry){ 0 };
	assert_int_equal(ledger_each(ledger, add_up, &sum), 0);
	assert_int_equal(sum.uid, 7);
	close(two);
	close(ledger);
}

static void entries_are_as_they_were(void **state)
{
	static const struct ledger_entry entries[] = {
		{ 0, 0, 0 }, { UINT32_MAX, 3, 5 * MIB }, { 1, 2, 1024 * 1024 * MIB },
	};
	struct ledger_entry entry;
	char line[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		snprintf(line, sizeof(line), "tfd: %8d events: %8x data: %16llx "
			 " pos:0 ino:5 sdev:d\n", 12, 0x18,
			 (unsigned long long)ledger_pack(&entries[i]));
		assert_true(ledger_parse(line, &entry));
		assert_int_equal(entry.uid, entries[i].uid);
		assert_int_equal(entry.mode, entries[i].mode);
		assert_int_equal(entry.bytes, entries[i].bytes);
	}
	assert_false(ledger_parse("pos:\t0\n", &entry));
	assert_false(ledger_parse("tfd: x\n", &entry));
}

static void bytes_are_rounded_up_and_never_overflow(void **state)
{
	const struct ledger_entry one = { 0, 0, 1 }, all = { 5, 1, UINT64_MAX };

	(void)state;
	assert_int_equal(ledger_pack(&one), 1);
	assert_int_equal(ledger_pack(&all) >> 32, 5);
	assert_int_equal(ledger_pack(&all) >> 30 & 3, 1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_is_closed_everywhere_is_gone),
	cmocka_unit_test(entries_are_as_they_were),
	cmocka_unit_test(bytes_are_rounded_up_and_never_overflow),
};

SUITE(ledger_suite, tests);
