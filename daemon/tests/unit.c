// SPDX-License-Identifier: GPL-2.0-or-later
/* All suites as one TAP stream. */
#include <stdlib.h>

#include "unit.h"

int main(void)
{
	static const struct suite *const suites[] = {
		&caps_suite, &chore_suite, &config_suite, &policy_suite,
		&ledger_suite, &log_suite, &packet_suite, &peer_suite,
		&queue_suite, &span_suite, &store_suite, &tend_suite,
	};
	struct CMUnitTest tests[128] = { 0 };
	size_t i, nr = 0;

	for (i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		if (nr + suites[i]->nr > sizeof(tests) / sizeof(tests[0]))
			abort();
		memcpy(&tests[nr], suites[i]->tests,
		       suites[i]->nr * sizeof(tests[0]));
		nr += suites[i]->nr;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests("wpfiled", tests, nr, NULL, NULL) != 0;
}
