#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Does the causal demo's check find what it must, and nothing else? Runs on any kernel, in about 20 seconds: good
# copies, of the stopped writers, pass; each kind of damage to one fails exactly the lines of the report that it must.
set -uo pipefail

causal=$(cd "$(dirname "$0")/../.." && pwd)/build/demo/causal
number=0 failed=0

# expect NAME "NUMBERS OF THE LINES THAT FAIL, A REGEX" OPTION...
expect() {
	local name=$1 want=$2 said status=0 got
	shift 2
	said=$("$causal" --settle 20 --size 128 --quiet "$@" 2>&1) || status=$?
	got=$(sed -n 's/^not ok \([0-9]*\) .*/\1/p' <<< "$said" | xargs)
	number=$((number + 1))
	if [[ $got =~ ^($want)$ ]] && grep -q '^ok 7' <<< "$said" && [ "$status" = $((${#want} > 0)) ]; then
		echo "ok $number - $name"
	else
		echo "# ${said//$'\n'/$'\n# '}"
		echo "not ok $number - $name (wrong lines: ${got:-none}, expected: ${want:-none}, status $status)"
		failed=1
	fi
}

expect copies_of_stopped_writers_pass "" --engine stop --rounds 10
expect more_processes_pass "" --engine stop --rounds 3 --processes 23
expect plain_reading_fails "(1 )?2( 3)?" --engine read --rounds 3
expect copying_from_a_mapping_fails "(1 )?2( 3)?" --engine memcpy --rounds 3
expect one_bit_is_found "2" --engine stop --rounds 1 --spoil bit
expect a_written_hole_is_found "2" --engine stop --rounds 1 --spoil hole
# Whether a wrong page also stands before its cause depends on where its chain is at that time.
expect a_page_one_write_behind_is_found "(1 )?2" --engine stop --rounds 1 --spoil old
expect a_page_one_write_ahead_is_found "(1 )?2" --engine stop --rounds 1 --spoil new
expect one_store_too_many_is_found "(1 )?2" --engine stop --rounds 1 --spoil word
expect one_process_behind_the_others_is_found "1 3" --engine stop --rounds 1 --spoil skew
expect a_picture_from_before_the_call_is_found "3" --engine stop --rounds 1 --spoil stale
echo "1..$number"
exit "$failed"
