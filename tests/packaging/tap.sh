# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Results as TAP; sourced, not run.

number=0
failed=0

# The function of that name is the test: it passes if it returns 0.
check() {
	local word=ok output

	number=$((number + 1))
	output=$("$1" 2>&1) || word="not ok"
	[ "$word" = ok ] || printf '%s\n' "$output" | sed 's/^/# /'
	echo "$word $number - $1"
	[ "$word" = ok ] || failed=$((failed + 1))
}

skip() {
	number=$((number + 1))
	echo "ok $number - $1 # SKIP $2"
}

# The last command: the plan, and the exit status.
finish() {
	echo "1..$number"
	[ $failed = 0 ]
}
