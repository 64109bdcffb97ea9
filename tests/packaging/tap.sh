# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Results as TAP; sourced, not run.

number=0
failed=0

# result STATUS NAME
result() {
	local word=ok

	number=$((number + 1))
	if [ "$1" != 0 ]; then
		word="not ok"
		failed=$((failed + 1))
	fi
	echo "$word $number - $2"
}

# The function of that name is the test: it passes if it returns 0.
check() {
	local status=0 output

	output=$("$1" 2>&1) || status=$?
	[ $status = 0 ] || printf '%s\n' "$output" | sed 's/^/# /'
	result $status "$1"
}

# The same, of a function that speaks TAP itself.
check_with_subtests() {
	local status=0

	"$1" | sed 's/^/    /' || status=$?
	result $status "$1"
}

# skip NAME REASON
skip() {
	result 0 "$1 # SKIP $2"
}

# The last command: the plan, and the exit status.
finish() {
	echo "1..$number"
	[ $failed = 0 ]
}
