// SPDX-License-Identifier: GPL-2.0-or-later
/* Whom a rule names, and which rule decides. */
#include "policy.h"
#include "unit.h"

static const char text[] =
	"[rule user]\nwho = user:10\nfiles = user:20\nmodes = track\n"
	"[rule group]\nwho = group:11\nfiles = group:21\nmodes = sync\n"
	"[rule capability]\nwho = capability:CAP_FOWNER\nfiles = user:22\n"
	"modes = deny\n"
	"[rule own]\nwho = any\nfiles = own\nmodes = capture\n"
	"[rule all]\nwho = user:12\nfiles = any\nmodes = none\n"
	"[rule nobody]\nwho = user:65534\nfiles = own user:30\nmodes = watch\n";

static gid_t more[] = { 5, 11 };

static const struct row {
	struct peer peer;
	struct owner file;
	const char *rule;
} rows[] = {
	{ { .uid = 10 }, { 20, 0 }, "user" },
	{ { .uid = 10 }, { 0, 20 }, NULL },
	{ { .uid = 1, .gid = 10 }, { 20, 0 }, NULL },
	{ { .uid = 1, .gid = 11 }, { 0, 21 }, "group" },
	{ { .uid = 1, .groups = more, .nr_groups = 2 }, { 0, 21 }, "group" },
	{ { .uid = 1, .groups = more, .nr_groups = 1 }, { 0, 21 }, NULL },
	{ { .uid = 11 }, { 0, 21 }, NULL },
	{ { .uid = 1, .capabilities = 1 << 3 }, { 22, 0 }, "capability" },
	{ { .uid = 1, .capabilities = ~(1ULL << 3) }, { 22, 0 }, NULL },
	{ { .uid = 7 }, { 7, 0 }, "own" },
	{ { .uid = 7 }, { 8, 7 }, NULL },
	{ { .uid = 0 }, { 8, 0 }, NULL },
	{ { .uid = 12 }, { 8, 0 }, "all" },
	{ { .uid = 12 }, { 12, 0 }, "own" },
	{ { .uid = 65534, .nobody = true }, { 65534, 0 }, NULL },
	{ { .uid = 65534, .nobody = true }, { 30, 0 }, "nobody" },
	{ { .uid = 65534, .nobody = true, .gid = 11 }, { 0, 21 }, NULL },
	{ { .uid = 65534, .nobody = true, .capabilities = -1 }, { 22, 0 }, NULL },
};

static struct policy *policy_of(const char *lines)
{
	struct policy *policy = policy_new();
	struct complaint complaint;

	assert_int_equal(policy_parse(policy, lines, "test", &complaint), 0);
	return policy;
}

static void the_first_rule_that_names_both_decides(void **state)
{
	struct policy *policy = policy_of(text);
	const struct rule *rule;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rule = policy_match(policy, &rows[i].peer, &rows[i].file);
		if (!rule != !rows[i].rule ||
		    (rule && strcmp(rule->name, rows[i].rule)))
			fail_msg("row %zu: %s", i, rule ? rule->name : "none");
	}
	policy_free(policy);
}

static void a_file_that_is_not_known_is_any_only(void **state)
{
	struct policy *policy = policy_of(text);
	const struct peer peer = { .uid = 12 }, other = { .uid = 10 };

	(void)state;
	assert_string_equal(policy_match(policy, &peer, NULL)->name, "all");
	assert_null(policy_match(policy, &other, NULL));
	policy_free(policy);
}

static void no_rule_gives_nothing(void **state)
{
	const struct rule rule = { .rights = 1 << RIGHT_DENY };

	(void)state;
	assert_false(rule_gives(NULL, RIGHT_TRACK));
	assert_true(rule_gives(&rule, RIGHT_DENY));
	assert_false(rule_gives(&rule, RIGHT_WATCH));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_first_rule_that_names_both_decides),
	cmocka_unit_test(a_file_that_is_not_known_is_any_only),
	cmocka_unit_test(no_rule_gives_nothing),
};

SUITE(policy_suite, tests);
