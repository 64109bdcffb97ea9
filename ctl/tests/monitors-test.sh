#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# wpfilectl's verbs for monitors that hold up or refuse, as root on a kernel with
# wpfile: monitors-test.sh [WPFILECTL].  TAP on stdout.

. "${BASH_SOURCE%/*}/common.sh"

# --- a verb that runs meanwhile ---

# started VERB...: in the background, as $job; its stdout is $dir/out.
started() {
	"$ctl" "$@" >"$dir/out" 2>"$dir/err" &
	job=$!
	helpers+=("$job")
}

# ended SIGNAL STATUS: and is gone
ended() {
	[ "$1" = - ] || kill "-$1" "$job"
	status "$2" wait "$job"
	local ret=$?

	tail -n 5 "$dir/out" "$dir/err"
	return $ret
}

# pages MODE N: there is one monitor of the file in that mode, with N pages.
pages() {
	"$ctl" list --json "${by_fd[@]}" >"$dir/list"
	is_json "$dir/list" ".monitors | length == 1 and
		.[0].mode == \"$1\" and .[0].protected_pages == $2"
}

fd_of_job() {
	"$ctl" list --json --pid "$job" | jq '.monitors[0].fd'
}

denied_by_path() {
	"$ctl" stat --path "$1" | grep -qx 'deny-monitors 1'
}

lines() {
	[ "$(grep -c '' "$dir/out")" -ge "$1" ]
}

# --- list and metrics ---

list_names_holder_mode_and_file() {
	started protect "${by_fd[@]}" --range 0+64k --range 1M-1028k
	until_true pages deny 17 &&
	is_json "$dir/list" ".monitors[0] | .pid == $job and
		.command == \"wpfilectl\" and .waiting == 0 and
		.captured_bytes == 0 and (.file | startswith(\"/memfd:ctl-test\"))" &&
	"$ctl" list --json --pid "$job" >"$dir/list" &&
	is_json "$dir/list" '.monitors | length == 1' &&
	"$ctl" list --json --pid "$pid" >"$dir/list" &&
	is_json "$dir/list" '.monitors | length == 0' &&
	"$ctl" list --json --pid "$pid" --map /dev/zero >"$dir/list" &&
	is_json "$dir/list" '.monitors | length == 0' &&
	"$ctl" list >"$dir/list" && cat "$dir/list" &&
	grep -Eq "^$job +wpfilectl +[0-9]+ deny +17 +0 +0 +0  /memfd:ctl-test" "$dir/list" &&
	complains 5 "$ctl" list --pid 2000000000
	local ret=$?

	ended INT 0 && return $ret
}

metrics_add_up() {
	started protect "${by_fd[@]}" --range 0+64k
	until_true pages deny 16 &&
	"$ctl" metrics >"$dir/metrics" && cat "$dir/metrics" &&
	grep -qx 'wpfile_monitors{mode="deny"} 1' "$dir/metrics" &&
	grep -qx 'wpfile_monitors{mode="sync"} 0' "$dir/metrics" &&
	grep -qx 'wpfile_protected_pages{mode="deny"} 16' "$dir/metrics" &&
	[ "$(tail -n 1 "$dir/metrics")" = '# EOF' ] &&
	"$ctl" metrics --json >"$dir/json" &&
	is_json "$dir/json" '.deny.monitors == 1 and .deny.protected_pages == 16'
	local ret=$?

	ended INT 0 && return $ret
}

stat_counts_monitors_of_all_modes() {
	started protect "${by_fd[@]}"
	until_true pages deny 2048 &&
	"$ctl" stat "${by_fd[@]}" | grep -qx 'deny-monitors 1' &&
	"$ctl" stat --json "${by_fd[@]}" >"$dir/json" &&
	is_json "$dir/json" '.monitors.deny == 1 and .monitors.sync == 0 and (.forbidden | not)'
	local ret=$?

	ended INT 0 && return $ret
}

# --- protect ---

protect_refuses_writes_until_it_ends() {
	started protect "${by_fd[@]}" --range 0+64k
	until_true pages deny 16 &&
	answers refused pwrite 0 1 &&
	says pwrite 65536 1
	local ret=$?

	ended INT 0 && [ $ret = 0 ] &&
	grep -q ' 1 refused, 0 missed' "$dir/err" &&
	[ ! -s "$dir/out" ] &&
	says pwrite 0 1
}

protect_tells_of_refused_writes() {
	started protect "${by_fd[@]}" --events --json --count 2
	until_true pages deny 2048 &&
	answers refused pwrite 8192 1 &&
	answers refused pwrite 12288 1 &&
	ended - 0 &&
	is_json "$dir/out" ".pid == $pid and .outcome == \"denied\" and
		.type == \"write\" and .offset == 12288 and .uid == 0" &&
	says pwrite 0 1
}

protect_ends_after_a_while() {
	started protect "${by_fd[@]}" --for 0.3
	ended - 0 && says pwrite 0 1
}

protect_lasts_as_long_as_its_command() {
	local by=(protect "${by_fd[@]}")

	# shellcheck disable=SC2016 # the command's own $$
	status 7 "$ctl" "${by[@]}" -- sh -c 'exit 7' &&
	status 137 "$ctl" "${by[@]}" -- sh -c 'kill -9 $$' &&
	status 0 "$ctl" "${by[@]}" -- sh -c \
		"! echo x | dd conv=notrunc of=/proc/$pid/fd/$fd" &&
	status 0 "$ctl" "${by[@]}" --range 4k+4k -- sh -c \
		"echo x | dd conv=notrunc of=/proc/$pid/fd/$fd" &&
	status 5 "$ctl" "${by[@]}" -- "$dir/none" &&
	says pwrite 0 1
}

signals_are_handed_on_to_the_command() {
	started protect "${by_fd[@]}" -- sleep 1000
	until_true pages deny 2048 &&
	ended TERM 143 && says pwrite 0 1
}

# --- unprotect and release ---

unprotect_lifts_ranges_of_another_process() {
	started protect "${by_fd[@]}"
	until_true pages deny 2048 &&
	status 0 "$ctl" unprotect --pid "$job" --fd "$(fd_of_job)" --range 4k+4k &&
	pages deny 2047 &&
	says pwrite 4096 1 && answers refused pwrite 0 1 &&
	status 0 "$ctl" unprotect --pid "$job" --fd "$(fd_of_job)" &&
	pages deny 0
	local ret=$?

	ended INT 0 && return $ret
}

what_is_no_monitor_is_not_unprotected() {
	complains 1 "$ctl" unprotect "${by_fd[@]}" &&
	grep -q 'not a monitor' "$dir/complaint" &&
	complains 5 "$ctl" unprotect --pid "$pid" --fd 9999 &&
	complains 5 "$ctl" unprotect --pid 2000000000 --fd 0 &&
	complains 2 "$ctl" unprotect --pid "$pid" &&
	complains 4 setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$ctl" unprotect "${by_fd[@]}"
}

release_lifts_what_is_held() {
	started protect "${by_fd[@]}"
	until_true pages deny 2048 &&
	status 0 "$ctl" release --yes --json "${by_fd[@]}" >"$dir/json" &&
	is_json "$dir/json" ".released | length == 1 and .[0].pid == $job and
		.[0].error == null" &&
	says pwrite 0 1 && pages deny 0
	local ret=$?

	ended INT 0 && return $ret
}

release_and_unprotect_are_in_the_journal() {
	local journal line

	"$here/journal.py" "$dir/journal" &
	journal=$!
	helpers+=("$journal")
	until_true [ -S /dev/log ] || return
	started protect "${by_fd[@]}"
	until_true pages deny 2048 &&
	"$ctl" release --yes "${by_fd[@]}" &&
	"$ctl" unprotect --pid "$job" --fd "$(fd_of_job)" &&
	! "$ctl" unprotect --pid "$job" --fd 0 &&
	until_true grep -q 'result=not a monitor' "$dir/journal"
	local ret=$?

	kill "$journal"
	rm -f /dev/log
	cat "$dir/journal"
	line="uid=0 loginuid=[0-9-]+ holder=$job fd=[0-9]+ command=\"wpfilectl\" mode=deny device=[0-9a-f:]+ inode=[0-9]+ result=ok"
	ended INT 0 && [ $ret = 0 ] &&
	grep -Eq "release $line" "$dir/journal" &&
	grep -Eq "unprotect $line" "$dir/journal"
}

release_asks_on_a_terminal_only() {
	local asks="$ctl release ${by_fd[*]}"

	started protect "${by_fd[@]}"
	until_true pages deny 2048 &&
	complains 2 "$ctl" release "${by_fd[@]}" &&
	status 1 script -qec "$asks" /dev/null <<<n && pages deny 2048 &&
	status 0 script -qec "$asks" /dev/null <<<y && pages deny 0
	local ret=$?

	ended INT 0 && return $ret
}

release_spares_who_holds_up_nobody() {
	started track "${by_fd[@]}" --interval 60
	until_true pages track 2048 &&
	complains 5 "$ctl" release --yes "${by_fd[@]}" && pages track 2048 &&
	status 0 "$ctl" release --all --yes "${by_fd[@]}" && pages track 0
	local ret=$?

	ended INT 0 && return $ret
}

# --- watch ---

watch_names_who_writes_where() {
	started watch --json "${by_fd[@]}"
	until_true pages sync 2048 &&
	says pwrite 8192 1 && says write 12288 1 && says pwrite 8192 1 &&
	dd if=/dev/zero of="/proc/$pid/fd/$fd" bs=4096 count=1 seek=4 conv=notrunc &&
	until_true lines 3
	local ret=$?

	ended INT 0 && [ $ret = 0 ] &&
	is_json "$dir/out" &&
	[ "$(jq -c "[.type, .outcome, .offset, .length, .tid == $pid, .uid, .command]" "$dir/out")" = \
'["write","allowed",8192,4096,true,0,"'"$(cat "/proc/$pid/comm")"'"]
["store","allowed",12288,4096,true,0,"'"$(cat "/proc/$pid/comm")"'"]
["write","allowed",16384,4096,false,0,"dd"]' ] &&
	grep -q '^3 writes allowed, 0 passed, 0 refused, 0 missed' "$dir/err"
}

watch_looks_at_ranges_alone() {
	started watch "${by_fd[@]}" --range 8k+4k --range 0x100000- -n 2
	until_true pages sync 1793 &&
	says pwrite 0 2 && says pwrite 8192 1 && says pwrite 1048576 1 &&
	ended - 0 &&
	[ "$(cut -d ' ' -f 2-5 "$dir/out")" = "0x0000002000 4096 write allowed
0x0000100000 4096 write allowed" ]
}

watch_tells_again_of_what_was_protected_again() {
	started watch "${by_fd[@]}" --again 0.2 --count 2
	until_true pages sync 2048 &&
	says pwrite 0 1 && until_true pages sync 2048 && says pwrite 0 1 &&
	ended - 0 && [ "$(grep -c '' "$dir/out")" = 2 ]
}

watch_can_refuse() {
	started watch "${by_fd[@]}" --deny
	until_true pages deny 2048 &&
	answers refused pwrite 0 1 && until_true lines 1
	local ret=$?

	ended INT 0 && [ $ret = 0 ] &&
	grep -q " 0x0000000000 4096 write denied pid $pid tid $pid uid 0 " "$dir/out"
}

# starved VERB OPTION...: in the background, as $job, on a file of his own, until there is no memory for what root writes there.
starved() {
	local group=$cgroups/ctl-test.$$ file=/dev/shm/ctl-test.$$

	make_cgroup "$group" &&
	truncate -s 2G "$file" && chown 65534 "$file" && chmod 600 "$file" || return
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		exec setpriv --reuid=65534 --regid=65534 --clear-groups \
			"$ctl" "$1" --path "$file" "${@:2}"
	) >"$dir/out" 2>"$dir/err" &
	job=$!
	helpers+=("$job")
	starve "$group" "$file"
}

watch_ends_when_nothing_is_protected_any_more() {
	starved watch &&
	until_true grep -q 'nothing is protected any more' "$dir/err" &&
	ended - 1 && grep -q 'start it again' "$dir/err"
}

watch_goes_on_if_it_is_protected_again() {
	starved watch --again 3600 &&
	until_true grep -q 'nothing is protected until it is again' "$dir/err" &&
	ended INT 0
}

protect_waits_for_its_command_when_nothing_is_protected_any_more() {
	chmod 755 "$dir" && rm -f "$dir/fifo" && mkfifo -m 666 "$dir/fifo" &&
	starved protect -- cat "$dir/fifo" &&
	until_true grep -q 'nothing is protected any more' "$dir/err" &&
	sleep 0.5 && kill -0 "$job" && : >"$dir/fifo" && ended - 1
}

# A fifo that is full of empty lines, at descriptor 7.
make_full_fifo() {
	rm -f "$dir/fifo"
	mkfifo "$dir/fifo" && exec 7<>"$dir/fifo" &&
	head -c 65536 /dev/zero | tr '\0' '\n' >&7
}

# The pipe of the printer has less room than these 2048 lines need.
a_stdout_that_blocks_holds_up_nobody() {
	make_full_fifo || return
	"$ctl" watch --json "${by_fd[@]}" >&7 2>"$dir/err" &
	job=$!
	helpers+=("$job")
	until_true pages sync 2048 && says pwrite 0 2048
	local ret=$?

	cat "$dir/fifo" >"$dir/out" 7>&- &
	exec 7>&-
	ended INT 0 && [ $ret = 0 ] || return
	wait
	grep -q '^2048 writes allowed' "$dir/err" &&
	[ "$(jq -s 'map(.events // 1) | add' "$dir/out")" = 2048 ] &&
	is_json "$dir/out" '.type == "overflow" and .events > 0'
}

a_reader_who_has_gone_ends_watch() {
	"$ctl" watch "${by_fd[@]}" 2>"$dir/err" > >(head -n 1 >"$dir/out") &
	job=$!
	helpers+=("$job")
	until_true pages sync 2048 &&
	says pwrite 0 1 && until_true lines 1 && says pwrite 4096 1 &&
	until_true [ -s "$dir/err" ] && ended - 0
}

# stdout blocks, so that the printer lives on: it has no descriptor of the monitor.
who_is_killed_leaves_nothing_behind() {
	make_full_fifo || return
	"$ctl" watch "${by_fd[@]}" >&7 2>"$dir/err" &
	job=$!
	helpers+=("$job")
	until_true pages sync 2048 && says pwrite 0 1
	local ret=$?

	kill -KILL "$job"
	status 137 wait "$job" && [ $ret = 0 ] &&
	"$ctl" list --json "${by_fd[@]}" >"$dir/list" &&
	is_json "$dir/list" '.monitors | length == 0'
	ret=$?
	exec 7>&-
	return $ret
}

# Root is not whom nobody could stop: he is not named, and not held up.
who_is_not_in_the_domain_passes() {
	local file="/dev/shm/ctl-test.$$"

	head -c 65536 /dev/zero >"$file" && chown 65534 "$file" &&
	chmod 600 "$file" || return
	setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$ctl" watch --deny --json --limit 4k --path "$file" >"$dir/out" 2>"$dir/err" &
	job=$!
	helpers+=("$job")
	until_true denied_by_path "$file"
	dd if=/dev/zero of="$file" bs=1 count=1 seek=4096 conv=notrunc
	local ret=$?

	# That what they had is lost is no matter.
	dd if=/dev/zero of="$file" bs=4096 count=2 seek=2 conv=notrunc
	until_true lines 3
	ended INT 0 && [ $ret = 0 ] && rm "$file" &&
	head -n 1 "$dir/out" >"$dir/first" &&
	is_json "$dir/first" '.outcome == "passed" and .offset == 4096 and
		.pid == null and .tid == null and .uid == null and .command == null'
}

who_is_stopped_holds_up_nobody() {
	started watch "${by_fd[@]}"
	until_true pages sync 2048 &&
	kill -TSTP "$job" &&
	until_true grep -q '^State:.T' "/proc/$job/status" &&
	pages sync 0 && says pwrite 0 1 &&
	kill -CONT "$job" &&
	until_true pages sync 2048 && says pwrite 4096 1 && until_true lines 1
	local ret=$?

	ended INT 0 && [ $ret = 0 ] && [ "$(grep -c '' "$dir/out")" = 1 ]
}

wrong_use_changes_nothing() {
	complains 2 "$ctl" watch "${by_fd[@]}" --range 1+4096 &&
	complains 2 "$ctl" watch "${by_fd[@]}" --range 4096 &&
	complains 2 "$ctl" watch &&
	complains 2 "$ctl" protect "${by_fd[@]}" --for 1 -- true &&
	complains 2 "$ctl" protect "${by_fd[@]}" true &&
	complains 2 "$ctl" protect "${by_fd[@]}" --json &&
	complains 2 "$ctl" release "${by_fd[@]}" --id 1 &&
	complains 2 "$ctl" release --daemon &&
	complains 2 "$ctl" release &&
	complains 1 "$ctl" watch "${by_fd[@]}" --range 8M+4k &&
	complains 1 "$ctl" protect --path /proc/version &&
	complains 5 "$ctl" list --daemon="$dir/none" &&
	complains 5 "$ctl" watch --daemon="$dir/none" "${by_fd[@]}" &&
	pages none 0; [ "$(jq '.monitors | length' "$dir/list")" = 0 ]
}

# Of a file that is another's: tracking is allowed to who may write, this is not.
who_does_not_own_the_file_is_4() {
	local other="/dev/shm/ctl-test.$$"

	head -c 65536 /dev/zero >"$other" && chmod 666 "$other" &&
	complains 4 setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$ctl" watch --path "$other" &&
	complains 4 setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$ctl" protect --path "$other"
}

# Ends the helper: the last one.
watch_ends_with_the_process() {
	started watch "${by_fd[@]}"
	until_true pages sync 2048 && says pwrite 0 1 &&
	kill -KILL "$pid" && ended - 0 && [ "$(grep -c '' "$dir/out")" = 1 ]
}

tests=(list_names_holder_mode_and_file metrics_add_up
stat_counts_monitors_of_all_modes protect_refuses_writes_until_it_ends
protect_tells_of_refused_writes protect_ends_after_a_while
protect_lasts_as_long_as_its_command signals_are_handed_on_to_the_command
unprotect_lifts_ranges_of_another_process what_is_no_monitor_is_not_unprotected
release_lifts_what_is_held release_and_unprotect_are_in_the_journal
release_asks_on_a_terminal_only release_spares_who_holds_up_nobody
watch_names_who_writes_where watch_looks_at_ranges_alone
watch_tells_again_of_what_was_protected_again watch_can_refuse
watch_ends_when_nothing_is_protected_any_more
watch_goes_on_if_it_is_protected_again
protect_waits_for_its_command_when_nothing_is_protected_any_more
a_stdout_that_blocks_holds_up_nobody a_reader_who_has_gone_ends_watch
who_is_stopped_holds_up_nobody who_is_killed_leaves_nothing_behind
who_is_not_in_the_domain_passes wrong_use_changes_nothing
who_does_not_own_the_file_is_4 watch_ends_with_the_process)

echo "1..${#tests[@]}"
start_helper
run_all "${tests[@]}"
