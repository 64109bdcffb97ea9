// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "maps.h"
#include "unit.h"

static const char canned[] =
	"55d0c0a00000-55d0c0a28000 r--p 00000000 fe:01 1835 /usr/bin/postgres\n"
	"7f1000000000-7f1010000000 rw-s 00000000 00:01 1024 /dev/zero (deleted)\n"
	"7f1010000000-7f1010001000 rw-p 00000000 00:05 7 /dev/zero\n"
	"7f2000000000-7f2000200000 rw-s 00000000 00:01 32768 /SYSV0052e2c1 (deleted)\n"
	"7f3000000000-7f3000100000 rw-s 00000000 00:01 2048                       /memfd:pool (deleted)\n"
	"7f3000200000-7f3000300000 r--s 00100000 00:01 2048 /memfd:pool (deleted)\n"
	"7f4000000000-7f4000001000 rw-s 00000000 00:19 12 /dev/shm/a b\n"
	"7f5000000000-7f5000001000 rw-s 00000000 00:01 3072 /memfd:pool (deleted)\n"
	"7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0 [stack]\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]";

struct seen {
	unsigned int nr;
	int stop;
	struct wpfile_map maps[16];
	char name[64];
};

static int see(const struct wpfile_map *map, void *data)
{
	struct seen *seen = data;

	snprintf(seen->name, sizeof(seen->name), "%s", map->name);
	seen->maps[seen->nr++] = *map;
	return seen->stop;
}

static unsigned int count(const char *name, struct seen *seen)
{
	char text[sizeof(canned)];

	memcpy(text, canned, sizeof(text));
	memset(seen, 0, sizeof(*seen));
	assert_int_equal(wpfile_maps_text(text, name, see, seen), 0);
	return seen->nr;
}

static void only_shared_mappings_are_listed(void **state)
{
	struct seen seen;

	(void)state;
	assert_int_equal(count(NULL, &seen), 6);
	assert_int_equal(count("/usr/bin/postgres", &seen), 0);
	assert_int_equal(count("[stack]", &seen), 0);
}

static void fields_of_a_mapping_are_read(void **state)
{
	struct seen seen;

	(void)state;
	assert_int_equal(count("7f3000200000", &seen), 1);
	assert_int_equal(seen.maps[0].start, 0x7f3000200000);
	assert_int_equal(seen.maps[0].end, 0x7f3000300000);
	assert_int_equal(seen.maps[0].offset, 0x100000);
	assert_int_equal(seen.maps[0].dev_major, 0);
	assert_int_equal(seen.maps[0].dev_minor, 1);
	assert_int_equal(seen.maps[0].inode, 2048);
	assert_string_equal(seen.name, "/memfd:pool (deleted)");
}

static void names_match_with_and_without_deleted_and_slash(void **state)
{
	struct seen seen;

	(void)state;
	assert_int_equal(count("/dev/zero", &seen), 1);
	assert_int_equal(count("/dev/zero (deleted)", &seen), 1);
	assert_int_equal(count("/SYSV0052e2c1", &seen), 1);
	assert_int_equal(count("SYSV0052e2c1", &seen), 1);
	assert_int_equal(count("memfd:pool", &seen), 3);
	assert_int_equal(count("/memfd:pool (deleted)", &seen), 3);
	assert_int_equal(count("/dev/shm/a b", &seen), 1);
}

static void parts_of_names_do_not_match(void **state)
{
	static const char *const names[] = {
		"/dev/zer", "zero", "/dev/zero (del", "pool", "/memfd:", "/",
		"//dev/zero", "memfd:pool (deleted) (deleted)", "/dev/shm/a",
	};
	struct seen seen;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(count(names[i], &seen), 0);
}

static void addresses_match(void **state)
{
	struct seen seen;

	(void)state;
	assert_int_equal(count("7f1000000000-7f1010000000", &seen), 1);
	assert_int_equal(count("0x7f1000000000-0x7f1010000000", &seen), 1);
	assert_int_equal(count("7F1000000000", &seen), 1);
	assert_int_equal(count("0x7f100fffffff", &seen), 1);
	assert_int_equal(count("7f1000000000-7f1000001000", &seen), 0);
	assert_int_equal(count("7f1010000000", &seen), 0);	/* private */
	assert_int_equal(count("7f1000000000-", &seen), 0);
	assert_int_equal(count("ffffffffffffffffff", &seen), 0);
}

static void the_callback_can_stop(void **state)
{
	struct seen seen = { .stop = 42 };
	char text[sizeof(canned)];

	(void)state;
	memcpy(text, canned, sizeof(text));
	assert_int_equal(wpfile_maps_text(text, NULL, see, &seen), 42);
	assert_int_equal(seen.nr, 1);
}

static void garbage_is_skipped(void **state)
{
	char text[] = "\n-\nx-y rw-s 0 0:0 0\n1-2 rw-s\n1-2 rw-s 0 0:0\n"
		      "1-2 rw\n11111111111111111-2 rw-s 0 0:0 0 /a\n"
		      "1-2 rw-s 0 0:0 9 /ok\n3-4 rw-s 0 0:0 9";
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(wpfile_maps_text(text, NULL, see, &seen), 0);
	assert_int_equal(seen.nr, 2);
	assert_int_equal(seen.maps[0].end, 2);
	assert_string_equal(seen.name, "");
}

static void a_process_is_read(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	errno = 1234;
	assert_int_equal(wpfile_each_map(getpid(), "/no/such", see, &seen), 0);
	assert_int_equal(wpfile_each_map(getpid(), "", see, &seen), -EINVAL);
	assert_int_equal(wpfile_each_map(0x7fffffff, "/a", see, &seen), -ESRCH);
	assert_int_equal(errno, 1234);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(only_shared_mappings_are_listed),
	cmocka_unit_test(fields_of_a_mapping_are_read),
	cmocka_unit_test(names_match_with_and_without_deleted_and_slash),
	cmocka_unit_test(parts_of_names_do_not_match),
	cmocka_unit_test(addresses_match),
	cmocka_unit_test(the_callback_can_stop),
	cmocka_unit_test(garbage_is_skipped),
	cmocka_unit_test(a_process_is_read),
};

SUITE(maps_suite, tests);
