# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the tests of wpfilectl share, for inclusion: TAP, exit codes, and a process
# that has shared memory.  $1 is the command.

here=$(dirname "$(readlink -f "$0")")
ctl=$(readlink -f "${1:-build/wpfilectl}")
dir=$(mktemp -d /tmp/ctl-test.XXXXXX) || exit 1
chmod 755 "$dir"
number=0
failed=0
helpers=()

cleanup() {
	kill "${helpers[@]}" 2>/dev/null
	rm -rf "$dir" "/dev/shm/ctl-test.$$"
}
trap cleanup EXIT

# --- TAP ---

# The function of that name is the test: it passes if it returns 0.
check() {
	local word=ok

	number=$((number + 1))
	"$1" >"$dir/log" 2>&1 || word="not ok"
	echo "$word $number - $1"
	[ "$word" = ok ] && return
	failed=$((failed + 1))
	sed 's/^/# /' "$dir/log"
}

skip() {
	number=$((number + 1))
	echo "ok $number - $1 # SKIP $2"
}

# status N COMMAND...: the command ends with N.
status() {
	local want=$1 got

	shift
	"$@"
	got=$?
	[ $got = "$want" ] && return
	echo "exit status $got, not $want: $*"
	return 1
}

# The same, and what it says is one line that names the command.
complains() {
	status "$@" >"$dir/out" 2>"$dir/complaint"
	local ret=$?

	cat "$dir/out" "$dir/complaint"
	[ $ret = 0 ] && [ "$(wc -l <"$dir/complaint")" = 1 ] &&
		grep -q '^wpfilectl: .*: ' "$dir/complaint"
}

# is_json FILE [FILTER]: one value or more, and the last is neither null nor false.
is_json() {
	[ -s "$1" ] && jq -e "${2:-.}" "$1" >"$dir/jq"
}

# --- the process with the memory ---

# Starts it, and sets how to find it; says talks to it.
start_helper() {
	coproc HELPER { exec python3 "$here/memory.py"; }
	pid=$HELPER_PID
	disown "$pid"
	helpers+=("$pid")
	read -r _ fd <&"${HELPER[0]}"
	by_fd=(--pid "$pid" --fd "$fd")
	by_map=(--pid "$pid" --map memfd:ctl-test)
}

# answers ANSWER VERB...
answers() {
	local want=$1 answer

	shift
	echo "$*" >&"${HELPER[1]}"
	read -r answer <&"${HELPER[0]}"
	[ "$answer" = "$want" ] && return
	echo "answer to $*: $answer, not $want"
	return 1
}

says() {
	answers "done" "$@"
}

# until_true COMMAND...: within half a minute
until_true() {
	local i

	for ((i = 0; i < 300; i++)); do
		"$@" && return
		sleep 0.1
	done
	return 1
}

# --- memory cgroups ---

cgroups=/sys/fs/cgroup

make_cgroup() {
	echo +memory >"$cgroups/cgroup.subtree_control" && mkdir "$1"
}

# What a monitor needs is charged to where its maker was.
leave_cgroup() {
	local member

	while read -r member; do
		echo "$member" >"$cgroups/cgroup.procs"
	done < <(cat "$1/cgroup.procs")
}

has_monitor() {
	"$ctl" stat --path "$1" | grep -Eqx '(sync|deny)-monitors 1'
}

# Far apart, so that each needs memory for itself.
write_to_many_places() {
	python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for place in range(1, 1000):
    os.pwrite(fd, b"x", place << 21)' "$1"
}

# starve GROUP FILE: when there is a monitor of the file, those in the group leave it, and there is no memory left for that.
starve() {
	until_true has_monitor "$2"
	local ret=$?

	leave_cgroup "$1"
	[ $ret = 0 ] && echo 0 >"$1/memory.swap.max" && echo 0 >"$1/memory.max" && write_to_many_places "$2"
	ret=$?
	rmdir "$1"
	rm "$2"
	return $ret
}

# run_all TEST...
run_all() {
	local test

	for test; do
		check "$test"
	done
	[ $failed = 0 ]
}
