#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# wpfilectl through wpfiled, as root on a kernel with wpfile:
# daemon-test.sh [WPFILECTL [WPFILED]].  TAP on stdout.

. "${BASH_SOURCE%/*}/common.sh"
daemon=$(readlink -f "${2:-build/wpfiled}")
socket=$dir/socket
other=/dev/shm/ctl-test.$$
through=(--daemon="$socket")

# Everything may be done to files of root, so that it is the command that is tested.
start_daemon() {
	printf '[rule all]\nwho = any\nfiles = user:root\nmodes = %s\nrelease = yes\n' \
		'track capture snapshot sync deny watch' >"$dir/conf"
	"$daemon" --config "$dir/conf" --socket "$socket" 2>"$dir/daemon" &
	helpers+=("$!")
	daemon_pid=$!
	# Or bash tells of its death on the stderr of another command.
	disown "$!"
	until_true "$ctl" check "${through[@]}" >"$dir/check" 2>&1
}

held() {
	"$ctl" list "${through[@]}" --json "$@" >"$dir/list" 2>"$dir/err" &&
		is_json "$dir/list"
}

# subscribed MODE [N]: the daemon has a monitor of the file, of that mode, for one
# subscription, or N.
subscribed() {
	held "${by_fd[@]}" && is_json "$dir/list" ".monitors | length == 1 and
		.[0].mode == \"$1\" and .[0].subscribers == ${2:-1}"
}

watch() {
	"$ctl" watch "${through[@]}" --json "${by_fd[@]}" "$@" \
		>"$dir/out" 2>"$dir/err" &
	job=$!
	helpers+=("$job")
}

ended() {
	[ "$1" = - ] || kill "-$1" "$job"
	status "$2" wait "$job"
	local ret=$?

	tail -n 5 "$dir/list" "$dir/out" "$dir/err" "$dir/daemon"
	return $ret
}

lines() {
	[ "$(grep -c '' "$dir/out")" -ge "$1" ]
}

the_daemon_answers() {
	status 0 "$ctl" check "${through[@]}" >"$dir/out"
}

snapshot_through_the_daemon_equals_the_memory() {
	says dump "$dir/plain" &&
	status 0 "$ctl" snapshot "${through[@]}" "${by_fd[@]}" -o "$dir/snapshot" &&
	cmp "$dir/plain" "$dir/snapshot"
}

stat_and_track_work_through_the_daemon() {
	"$ctl" stat "${through[@]}" --json "${by_fd[@]}" >"$dir/json" &&
	is_json "$dir/json" '.size == 8388608' &&
	status 0 "$ctl" track "${through[@]}" --interval 0.1 -n 2 "${by_fd[@]}"
}

# The daemon has answered: to us the write has passed.
watch_by_subscription_tells_who_writes_where() {
	watch --range 8k+4k --range 1M-
	until_true subscribed sync 2 &&
	says pwrite 0 1 && says pwrite 8192 1 && says pwrite 1048576 1 &&
	until_true lines 2
	local ret=$?

	ended INT 0 && [ $ret = 0 ] &&
	[ "$(jq -c "[.offset, .length, .type, .outcome, .tid == $pid]" "$dir/out")" = \
'[8192,4096,"write","passed",true]
[1048576,4096,"write","passed",true]' ]
}

watch_by_subscription_can_refuse() {
	watch --deny
	until_true subscribed deny &&
	answers refused pwrite 0 1 && until_true lines 1
	local ret=$?

	ended INT 0 && [ $ret = 0 ] &&
	is_json "$dir/out" '.outcome == "denied" and .offset == 0'
}

watch_ends_when_the_daemon_has_lost_all() {
	local group=$cgroups/ctl-test.$$

	make_cgroup "$group" && truncate -s 2G "$other" &&
	echo "$daemon_pid" >"$group/cgroup.procs" || return
	"$ctl" watch "${through[@]}" --path "$other" >"$dir/out" 2>"$dir/err" &
	job=$!
	helpers+=("$job")
	starve "$group" "$other" &&
	until_true grep -q 'nothing is protected any more' "$dir/err" &&
	ended - 1 && grep -q 'the log of wpfiled' "$dir/err" &&
	grep -q 'has lost what was protected' "$dir/daemon"
}

protect_works_through_the_daemon() {
	status 0 "$ctl" protect "${through[@]}" "${by_fd[@]}" -- sh -c \
		"! echo x | dd conv=notrunc of=/proc/$pid/fd/$fd" &&
	says pwrite 0 1
}

release_by_id_ends_a_subscription() {
	local id

	watch --deny
	until_true subscribed deny &&
	id=$(jq '.monitors[0].id' "$dir/list") && [ "$id" != 0 ] &&
	status 0 "$ctl" release "${through[@]}" --json --id "$id" >"$dir/json" &&
	is_json "$dir/json" ".released[0].id == $id" &&
	says pwrite 0 1 &&
	complains 5 "$ctl" release "${through[@]}" --id "$id"
	local ret=$?

	kill -INT "$job"
	wait "$job"
	return $ret
}

# Of 32 bits of milliseconds nothing would be left.
a_time_too_long_for_the_daemon_is_refused() {
	complains 2 "$ctl" watch "${through[@]}" "${by_fd[@]}" --again 4294967.296
}

the_metrics_of_the_daemon_are_openmetrics() {
	status 0 "$ctl" metrics "${through[@]}" >"$dir/metrics" &&
	[ "$(tail -n 1 "$dir/metrics")" = '# EOF' ] &&
	grep -q '^# TYPE ' "$dir/metrics" &&
	complains 2 "$ctl" metrics "${through[@]}" --json
}

what_policy_refuses_is_4() {
	head -c 65536 /dev/zero >"$other" && chown 65534 "$other" &&
	complains 4 "$ctl" watch "${through[@]}" --path "$other" &&
	grep -q 'policy' "$dir/complaint" &&
	complains 4 "$ctl" snapshot "${through[@]}" --path "$other" -o "$dir/refused" &&
	complains 4 setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$ctl" list "${through[@]}"
}

watch_says_that_the_daemon_has_gone() {
	watch
	until_true subscribed sync &&
	kill -KILL "${helpers[1]}" &&
	ended - 1 && grep -q 'wpfiled has gone' "$dir/err" &&
	says pwrite 0 1 &&
	complains 5 "$ctl" list "${through[@]}"
}

tests=(the_daemon_answers snapshot_through_the_daemon_equals_the_memory
stat_and_track_work_through_the_daemon
watch_by_subscription_tells_who_writes_where watch_by_subscription_can_refuse
watch_ends_when_the_daemon_has_lost_all
protect_works_through_the_daemon release_by_id_ends_a_subscription
a_time_too_long_for_the_daemon_is_refused
the_metrics_of_the_daemon_are_openmetrics what_policy_refuses_is_4
watch_says_that_the_daemon_has_gone)

[ -x "$daemon" ] || { echo "1..0 # SKIP no $daemon: make daemon"; exit 0; }
echo "1..${#tests[@]}"
start_helper
start_daemon || sed 's/^/# /' "$dir/check" "$dir/daemon"
run_all "${tests[@]}"
