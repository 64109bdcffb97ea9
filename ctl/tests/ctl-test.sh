#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# wpfilectl against the running kernel, as root: ctl-test.sh [WPFILECTL [any]]
# TAP on stdout.  With "any", a kernel without wpfile is no failure: then only
# what needs none is tested.

. "${BASH_SOURCE%/*}/common.sh"
kernel=${2:-wpfile}

# --- on any kernel ---

wrong_usage_is_2() {
	complains 2 "$ctl" &&
	complains 2 "$ctl" frobnicate &&
	complains 2 "$ctl" check now &&
	complains 2 "$ctl" check --path /dev/null &&
	complains 2 "$ctl" stat &&
	complains 2 "$ctl" stat --pid 1 &&
	complains 2 "$ctl" stat --pid 1 --fd 0 --map x &&
	complains 2 "$ctl" stat --pid 1 --fd 0 --path x &&
	complains 2 "$ctl" stat --fd 0 &&
	complains 2 "$ctl" stat --pid -1 --fd 0 &&
	complains 2 "$ctl" stat --pid 4294967297 --fd 0 &&
	complains 2 "$ctl" snapshot --path x &&
	complains 2 "$ctl" snapshot --path x -o &&
	complains 2 "$ctl" snapshot --path x -o y --limit 5q &&
	complains 2 "$ctl" snapshot --path x -o y --limit 0 &&
	complains 2 "$ctl" track --path x --interval 0 &&
	complains 2 "$ctl" track --path x --count 0
}

help_and_version_are_0() {
	status 0 "$ctl" --help &&
	status 0 "$ctl" --version &&
	status 0 "$ctl" snapshot --help &&
	status 0 "$ctl" check -h &&
	status 1 "$ctl" --help >/dev/full
}

what_is_not_there_is_5() {
	complains 5 "$ctl" stat --path "$dir/none" &&
	complains 5 "$ctl" stat --pid 2000000000 --fd 0 &&
	complains 5 "$ctl" stat --pid 2000000000 --map /dev/zero &&
	complains 5 "$ctl" track --pid 2000000000 --fd 0 &&
	complains 5 "$ctl" stat --pid "$pid" --fd 9999 &&
	complains 5 "$ctl" stat --pid "$pid" --map memfd:none &&
	complains 5 "$ctl" stat --pid "$pid" --map 1000
}

memory_of_others_is_4() {
	complains 4 setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$ctl" stat "${by_fd[@]}" &&
	complains 4 setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$ctl" snapshot "${by_map[@]}" -o "$dir/denied" &&
	[ ! -e "$dir/denied" ]
}

check_json_is_json() {
	"$ctl" check --json >"$dir/json"
	is_json "$dir/json"
}

a_name_of_two_files_is_refused_with_a_list() {
	status 1 "$ctl" stat --pid "$pid" --map memfd:ctl-twin 2>"$dir/err" &&
	[ "$(grep -c 'inode.*memfd:ctl-twin' "$dir/err")" = 2 ]
}

only_files_are_overwritten() {
	complains 1 "$ctl" snapshot "${by_fd[@]}" -o /dev/null &&
	complains 1 "$ctl" snapshot "${by_fd[@]}" -o "$dir" &&
	[ -c /dev/null ] && [ -d "$dir" ]
}

# --- on a kernel without wpfile ---

no_kernel_support_is_3() {
	complains 3 "$ctl" check &&
	complains 3 "$ctl" stat "${by_fd[@]}" &&
	complains 3 "$ctl" track "${by_fd[@]}" &&
	complains 3 "$ctl" watch "${by_fd[@]}" &&
	complains 3 "$ctl" protect "${by_fd[@]}" -- true &&
	complains 3 "$ctl" list &&
	complains 3 "$ctl" metrics &&
	complains 3 "$ctl" snapshot "${by_fd[@]}" -o "$dir/three" &&
	[ -z "$(find "$dir" -name '*three*')" ]
}

# --- on a kernel with wpfile ---

check_says_yes() {
	status 0 "$ctl" check >"$dir/check" &&
	grep -qx 'track yes' "$dir/check" &&
	grep -qx 'capture yes' "$dir/check" &&
	grep -qx 'snapshot yes' "$dir/check" &&
	grep -qx 'scan-protect yes' "$dir/check"
}

snapshot_by_descriptor_equals_the_memory() {
	says dump "$dir/plain" &&
	status 0 "$ctl" snapshot "${by_fd[@]}" -o "$dir/by-fd" &&
	cmp "$dir/plain" "$dir/by-fd"
}

snapshot_by_mapping_equals_the_memory() {
	status 0 "$ctl" snapshot "${by_map[@]}" -o "$dir/by-map" &&
	cmp "$dir/plain" "$dir/by-map"
}

snapshot_by_address_equals_the_memory() {
	local range

	range=$(awk '/memfd:ctl-test/ { print $1; exit }' "/proc/$pid/maps")
	status 0 "$ctl" snapshot --pid "$pid" --map "$range" -o "$dir/by-range" &&
	cmp "$dir/plain" "$dir/by-range" &&
	status 0 "$ctl" snapshot --pid "$pid" --map "0x${range%-*}" -o "$dir/by-start" &&
	cmp "$dir/plain" "$dir/by-start"
}

snapshot_of_anonymous_memory_equals_it() {
	says dump-anonymous "$dir/plain-anonymous" &&
	status 0 "$ctl" snapshot --pid "$pid" --map /dev/zero -o "$dir/anonymous" &&
	cmp "$dir/plain-anonymous" "$dir/anonymous"
}

snapshot_by_path_equals_the_file() {
	head -c 100000 /dev/urandom >"/dev/shm/ctl-test.$$" &&
	status 0 "$ctl" snapshot --path "/dev/shm/ctl-test.$$" -o "$dir/by-path" &&
	cmp "/dev/shm/ctl-test.$$" "$dir/by-path"
}

output_is_sparse_and_private_and_alone() {
	[ "$(stat -c %s "$dir/by-fd")" = $((8 << 20)) ] &&
	[ "$(stat -c %b "$dir/by-fd")" -lt $((2 << 11)) ] &&
	[ "$(stat -c %a "$dir/by-fd")" = 600 ] &&
	[ -z "$(find "$dir" -name '.*')" ]
}

summary_tells_pages_and_bytes() {
	"$ctl" snapshot "${by_fd[@]}" -o "$dir/again" 2>"$dir/err" &&
	grep -q '^117 pages, 479232 data bytes of 8388608 file bytes, cut ' "$dir/err" &&
	"$ctl" snapshot --json "${by_fd[@]}" -o "$dir/again" >"$dir/json" &&
	is_json "$dir/json" &&
	grep -q '"pages":117' "$dir/json"
}

stream_equals_the_memory() {
	"$ctl" snapshot "${by_fd[@]}" -o - 2>"$dir/err" | cat >"$dir/stream"
	[ "${PIPESTATUS[0]}" = 0 ] && cmp "$dir/plain" "$dir/stream"
}

snapshot_with_limit_works() {
	status 0 "$ctl" snapshot --limit 1M "${by_fd[@]}" -o "$dir/limited" &&
	cmp "$dir/plain" "$dir/limited"
}

failed_snapshot_leaves_the_old_file() {
	echo old >"$dir/old"
	( ulimit -S -f 16; complains 1 "$ctl" snapshot "${by_fd[@]}" -o "$dir/old" ) &&
	[ "$(cat "$dir/old")" = old ] &&
	[ -z "$(find "$dir" -name '.*')" ]
}

what_is_not_shared_memory_is_1() {
	complains 1 "$ctl" stat --path /proc/version &&
	complains 1 "$ctl" snapshot --path /proc/version -o "$dir/version" &&
	grep -q 'not shared memory' "$dir/complaint"
}

tracking() {
	[ "$("$ctl" stat "${by_fd[@]}" | awk '$1 == "track-monitors" { print $2 }')" = 1 ]
}

track_sees_writes_and_ends_at_a_signal() {
	local tracker looks

	"$ctl" track "${by_fd[@]}" --interval 0.2 >"$dir/track" 2>"$dir/err" &
	tracker=$!
	until_true tracking && sleep 0.5
	says write $((256 * 4096)) 100
	says write $((259 * 4096)) 4096
	until_true grep -q ' 0x0000103000 4096$' "$dir/track"
	kill -INT $tracker
	status 0 wait $tracker || return
	cat "$dir/track" "$dir/err"
	# A look may come between the stores to a page, which is then written twice.
	looks=$(grep -c '' "$dir/track")
	[ "$(cut -d ' ' -f 2- "$dir/track" | sort -u | grep -c '')" = 2 ] &&
	[ "$looks" -le 4 ] &&
	grep -q ' 0x0000100000 4096$' "$dir/track" &&
	grep -q " $looks ranges, $((looks * 4096)) bytes" "$dir/err"
}

track_counts_looks() {
	status 0 "$ctl" track "${by_fd[@]}" --interval 0.05 --count 3 \
		>"$dir/track" 2>"$dir/err" &&
	[ ! -s "$dir/track" ] &&
	grep -q '^3 looks, 0 ranges' "$dir/err"
}

track_json_is_json() {
	local tracker

	"$ctl" track --json "${by_map[@]}" --interval 0.2 \
		>"$dir/json" 2>"$dir/err" &
	tracker=$!
	until_true tracking && sleep 0.5
	says write 0 1
	says write 8192 1
	until_true grep -q '"offset":8192,"length":4096' "$dir/json"
	kill -TERM $tracker
	status 0 wait $tracker && is_json "$dir/json"
}

stat_tells_size_and_monitors() {
	status 0 "$ctl" stat "${by_fd[@]}" >"$dir/stat" &&
	grep -qx 'size 8388608' "$dir/stat" &&
	grep -qx 'track-monitors 0' "$dir/stat" &&
	grep -qx 'capture-monitors 0' "$dir/stat" &&
	"$ctl" stat --json "${by_map[@]}" >"$dir/json" &&
	is_json "$dir/json"
}

# Ends the helper: the last one.
track_ends_with_the_process_and_looks_once_more() {
	local tracker

	"$ctl" track "${by_fd[@]}" --interval 60 >"$dir/track" 2>"$dir/err" &
	tracker=$!
	until_true tracking && sleep 0.5
	says write $((3 * 4096)) 1
	kill -KILL "$pid"
	status 0 wait $tracker || return
	cat "$dir/track" "$dir/err"
	grep -q ' 0x0000003000 4096$' "$dir/track"
}

always=(wrong_usage_is_2 help_and_version_are_0 what_is_not_there_is_5
memory_of_others_is_4 check_json_is_json
a_name_of_two_files_is_refused_with_a_list only_files_are_overwritten)

without=(no_kernel_support_is_3)

with=(check_says_yes snapshot_by_descriptor_equals_the_memory
snapshot_by_mapping_equals_the_memory snapshot_by_address_equals_the_memory
snapshot_of_anonymous_memory_equals_it snapshot_by_path_equals_the_file
output_is_sparse_and_private_and_alone summary_tells_pages_and_bytes
stream_equals_the_memory snapshot_with_limit_works
failed_snapshot_leaves_the_old_file what_is_not_shared_memory_is_1
track_sees_writes_and_ends_at_a_signal track_counts_looks
track_json_is_json stat_tells_size_and_monitors
track_ends_with_the_process_and_looks_once_more)

echo "1..$((${#always[@]} + ${#without[@]} + ${#with[@]}))"
start_helper
for test in "${always[@]}"; do
	check "$test"
done
"$ctl" check >/dev/null 2>&1
if [ $? = 3 ] && [ "$kernel" = any ]; then
	check "${without[0]}"
	for test in "${with[@]}"; do
		skip "$test" "this kernel has no wpfile"
	done
else
	skip "${without[0]}" "this kernel has wpfile"
	for test in "${with[@]}"; do
		check "$test"
	done
fi
[ $failed = 0 ]
