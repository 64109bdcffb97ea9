// SPDX-License-Identifier: GPL-2.0-or-later
/* The policy as people write it. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy.h"
#include "unit.h"

#define RULE "[rule r]\nwho = any\nfiles = own\nmodes = track\n"

static struct policy *parse(const char *text)
{
	struct policy *policy = policy_new();
	struct complaint complaint;

	assert_non_null(policy);
	assert_int_equal(policy_parse(policy, text, "test", &complaint), 0);
	assert_int_equal(policy_check(policy, &complaint), 0);
	return policy;
}

static void all_keys_are_understood(void **state)
{
	struct policy *policy = parse(
		"# comment\n; comment\n\n[daemon]\n wait_limit_ms=7\n"
		"connections = 8\nuser_connections = 9\nrequests = 10\n"
		"[rule all]\nwho = any user:0 user:17, group:root group:18 "
		"capability:CAP_SYS_ADMIN capability:cap_fowner\n"
		"files = own any user:19 group:20\n"
		"modes = track capture snapshot sync deny watch\n"
		"release = yes\nmonitors = 1\ncaptured = 2G\nqueue = 3\n"
		"subscriptions = 4\nslow = drop\n");
	const struct rule *rule = policy->rule;
	static const struct term who[] = {
		{ TERM_ANY, 0 }, { TERM_USER, 0 }, { TERM_USER, 17 },
		{ TERM_GROUP, 0 }, { TERM_GROUP, 18 }, { TERM_CAPABILITY, 21 },
		{ TERM_CAPABILITY, 3 },
	};
	static const struct term files[] = {
		{ TERM_OWN, 0 }, { TERM_ANY, 0 }, { TERM_USER, 19 },
		{ TERM_GROUP, 20 },
	};

	(void)state;
	assert_int_equal(policy->wait_limit_ms, 7);
	assert_int_equal(policy->connections, 8);
	assert_int_equal(policy->user_connections, 9);
	assert_int_equal(policy->requests, 10);
	assert_int_equal(policy->nr, 1);
	assert_string_equal(rule->name, "all");
	assert_int_equal(rule->who.nr, 7);
	assert_memory_equal(rule->who.term, who, sizeof(who));
	assert_int_equal(rule->files.nr, 4);
	assert_memory_equal(rule->files.term, files, sizeof(files));
	assert_int_equal(rule->rights, (1 << NR_RIGHTS) - 1);
	assert_true(rule->release && rule->drop_slow);
	assert_int_equal(rule->monitors, 1);
	assert_int_equal(rule->captured, 2ULL << 30);
	assert_int_equal(rule->queue, 3);
	assert_int_equal(rule->subscriptions, 4);
	policy_free(policy);
}

static void what_is_not_said_is_modest(void **state)
{
	struct policy *policy = parse(RULE);

	(void)state;
	assert_int_equal(policy->rule->rights, 1 << RIGHT_TRACK);
	assert_false(policy->rule->release);
	assert_false(policy->rule->drop_slow);
	assert_int_equal(policy->rule->monitors, 16);
	assert_int_equal(policy->rule->captured, 1 << 30);
	policy_free(policy);
}

static void modes_may_be_none(void **state)
{
	struct policy *policy = parse("[rule r]\nwho = any\nfiles = any\n"
				      "modes = none\n");

	(void)state;
	assert_int_equal(policy->rule->rights, 0);
	policy_free(policy);
}

static void a_later_line_replaces_an_earlier_one(void **state)
{
	struct policy *policy = parse(RULE "[rule two]\nwho = any\nfiles = any\n"
				      "modes = none\n[rule r]\nwho = user:5\n");

	(void)state;
	assert_int_equal(policy->nr, 2);
	assert_string_equal(policy->rule[0].name, "r");
	assert_int_equal(policy->rule[0].who.nr, 1);
	assert_int_equal(policy->rule[0].who.term->id, 5);
	policy_free(policy);
}

static const struct bad {
	const char *text;
	const char *said;
} bad[] = {
	{ "x", "test:1: neither" },
	{ "\n[rule r\n", "test:2: neither" },
	{ "a = b\n", "test:1: []: the section" },
	{ "[rules]\na = b\n", "test:2: [rules]: the section" },
	{ "[rule ]\nwho = any\n", "a name is" },
	{ "[rule none]\nwho = any\n", "a name is" },
	{ "[rule a b]\nwho = any\n", "a name is" },
	{ "[rule a\"b]\nwho = any\n", "a name is" },
	/* 49 characters, which may have been more. */
	{ "[rule 12345678901234567890123456789012345678901234]\nwho = any\n",
	  "the name is longer" },
	{ "[rule r]\nwhom = any\n", "test:2: [rule r]: the key whom" },
	{ "[daemon]\nwho = any\n", "test:2: [daemon]: the key who" },
	{ "[daemon]\nrequests = 0\n", "test:2: requests: 0 is not a number" },
	{ "[daemon]\nrequests = many\n", "test:2: requests: many" },
	{ "[rule r]\n\nwho = user:who-is-that\n", "test:3: who: user:who-is-that" },
	{ "[rule r]\nwho = group:what-is-that\n", "does not exist here" },
	{ "[rule r]\nwho = capability:CAP_FLY\n", "does not exist here" },
	{ "[rule r]\nwho = capability:sys_admin\n", "does not exist here" },
	{ "[rule r]\nwho = user:4294967295\n", "does not exist here" },
	{ "[rule r]\nwho = user:\n", "does not exist here" },
	{ "[rule r]\nwho = own\n", "who: own is not known" },
	{ "[rule r]\nfiles = capability:CAP_SYS_ADMIN\n", "is not known" },
	{ "[rule r]\nwho = any # all\n", "who: # is not known" },
	{ "[rule r]\nwho =\n", "who: nothing is named" },
	{ "[rule r]\nmodes =\n", "modes: nothing is named" },
	{ "[rule r]\nmodes = track write\n", "modes: write is not one" },
	{ "[rule r]\nmodes = none track\n", "modes: none is not one" },
	{ "[rule r]\nmonitors = -1\n", "monitors: -1" },
	{ "[rule r]\nmonitors = 99999999999\n", "monitors: 99999999999" },
	{ "[rule r]\nqueue = 0\n", "queue: 0" },
	{ "[rule r]\ncaptured = 1.5G\n", "captured: 1.5G is not a size" },
	{ "[rule r]\nrelease = maybe\n", "release: maybe is neither" },
	{ "[rule r]\nslow = fast\n", "slow: fast is neither" },
	{ "[rule r]\nwho = any\n  user:0\n", "test:3: [rule r]: the key user" },
	{ "[rule r]\nwho = any\n  group\n", "test:3: neither" },
};

static void what_is_wrong_is_named_with_its_line(void **state)
{
	struct complaint complaint;
	struct policy *policy;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		policy = policy_new();
		assert_int_equal(policy_parse(policy, bad[i].text, "test",
					      &complaint), -EINVAL);
		if (!strstr(complaint.text, bad[i].said))
			fail_msg("%s: %s", bad[i].said, complaint.text);
		policy_free(policy);
	}
}

static void a_long_line_is_refused_not_split(void **state)
{
	char text[400] = "[rule r]\nwho = ";
	struct policy *policy = policy_new();
	struct complaint complaint;

	(void)state;
	memset(text + strlen(text), ' ', 190);
	strcat(text, "any\n");
	assert_int_equal(policy_parse(policy, text, "test", &complaint), -EINVAL);
	assert_non_null(strstr(complaint.text, "test:2: the line is longer"));
	policy_free(policy);
}

static void a_rule_says_who_files_and_modes(void **state)
{
	static const char *const lines[] = {
		"who = any\n", "files = any\n", "modes = none\n",
	};
	struct complaint complaint;
	struct policy *policy;
	char text[128];
	size_t i, j;

	(void)state;
	for (i = 0; i < 3; i++) {
		strcpy(text, "[rule r]\n");
		for (j = 0; j < 3; j++)
			if (j != i)
				strcat(text, lines[j]);
		policy = policy_new();
		assert_int_equal(policy_parse(policy, text, "test", &complaint), 0);
		assert_int_equal(policy_check(policy, &complaint), -EINVAL);
		assert_non_null(strstr(complaint.text, "it has no line"));
		policy_free(policy);
	}
}

static void put(const char *path, const char *text, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	fclose(file);
}

static void drop_ins_follow_in_the_order_of_their_names(void **state)
{
	static const char two[] = "[rule two]\nwho = any\nfiles = any\n"
				  "modes = none\n";
	static const char one[] = "[rule r]\nmodes = watch\n[rule one]\n"
				  "who = any\nfiles = any\nmodes = none\n";
	static const char other[] = "this is not read";
	struct complaint complaint;
	struct policy *policy;
	char dir[] = "/tmp/wpfiled-unit.XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("p.d", 0700), 0);
	put("p", RULE, strlen(RULE));
	put("p.d/2.conf", two, strlen(two));
	put("p.d/1.conf", one, strlen(one));
	put("p.d/3.orig", other, strlen(other));
	assert_int_equal(policy_load("p", &policy, &complaint), 0);
	assert_int_equal(policy->nr, 3);
	assert_int_equal(policy->rule[0].rights, 1 << RIGHT_WATCH);
	assert_string_equal(policy->rule[1].name, "one");
	assert_string_equal(policy->rule[2].name, "two");
	policy_free(policy);
	put("p.d/4.conf", "\n[x]\na = b\n", 11);
	assert_int_equal(policy_load("p", &policy, &complaint), -EINVAL);
	assert_non_null(strstr(complaint.text, "p.d/4.conf:3: [x]"));
	put("p.d/4.conf", "#\0[x]\n", 6);
	assert_int_equal(policy_load("p", &policy, &complaint), -EILSEQ);
	assert_int_equal(policy_load("none", &policy, &complaint), -ENOENT);
	assert_non_null(strstr(complaint.text, "none: No such file"));
}

/* Even root cannot read this one. */
static void drop_ins_that_cannot_be_read_are_not_left_out(void **state)
{
	struct complaint complaint;
	struct policy *policy;
	char dir[] = "/tmp/wpfiled-unit.XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	put("p", RULE, strlen(RULE));
	assert_int_equal(symlink("p.d", "p.d"), 0);
	assert_int_equal(policy_load("p", &policy, &complaint), -ELOOP);
	assert_non_null(strstr(complaint.text, "p.d: "));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(all_keys_are_understood),
	cmocka_unit_test(what_is_not_said_is_modest),
	cmocka_unit_test(modes_may_be_none),
	cmocka_unit_test(a_later_line_replaces_an_earlier_one),
	cmocka_unit_test(what_is_wrong_is_named_with_its_line),
	cmocka_unit_test(a_long_line_is_refused_not_split),
	cmocka_unit_test(a_rule_says_who_files_and_modes),
	cmocka_unit_test(drop_ins_follow_in_the_order_of_their_names),
	cmocka_unit_test(drop_ins_that_cannot_be_read_are_not_left_out),
};

SUITE(config_suite, tests);
