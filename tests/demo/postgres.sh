#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# An unmodified PostgreSQL 15 under pgbench, and snapshots of its shared buffers while transactions go on:
#
#   tests/vm/run --kernel vm --cpus 2 --mem 3G -- tests/demo/postgres.sh
#
# The buffers are one anonymous shared mapping of the postmaster and all backends ("/dev/zero (deleted)" in their
# maps). Each snapshot is judged page by page by pgcheck.py, after the run, so that judging takes no time from it.
#
# --engine stop   stops the whole server for each copy instead: what one does without wpfile; runs on any kernel
# --engine read   copies while it runs: not of one instant, only for comparison
# --seconds N     length of the pgbench runs before and after; the one with snapshots is twice as long
# --scale N       pgbench's; 100000 accounts each
# shellcheck disable=SC2317 # functions are called by ok() and the trap
set -euo pipefail
export LC_ALL=C PGTZ=UTC

top=$(cd "$(dirname "$0")/../.." && pwd)
bin=/usr/lib/postgresql/15/bin
engine=wpfile seconds=8 scale=3 buffers=64MB
number=0 failed=0

usage() {
	sed -n '3,/^set/{s/^# \?//p}' "$0"
	exit 2
}

while [ $# -gt 0 ]; do
	case $1 in
	--engine) engine=$2; shift 2;;
	--seconds) seconds=$2; shift 2;;
	--scale) scale=$2; shift 2;;
	*) usage;;
	esac
done

die() { echo "postgres.sh: $*" >&2; exit 1; }
say() { echo "# $*"; }

# ok NAME COMMAND...: one line of the report
ok() {
	local name=$1
	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		failed=1
	fi
}

as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; }
sql() { as_postgres "$bin/psql" -h "$dir" -d bench -XAtq -c "$1"; }

#-------------------------------------------------------------------------------- the server

clean_up() {
	[ -z "${postmaster-}" ] || signal_server CONT || true
	[ ! -e "$dir/data/postmaster.pid" ] ||
		as_postgres "$bin/pg_ctl" -D "$dir/data" -m immediate -s stop || true
	rm -rf "$dir"
}

configure() {
	cat >> "$dir/data/postgresql.conf" <<-END
		listen_addresses = ''
		unix_socket_directories = '$dir'
		shared_buffers = $buffers
		shared_memory_type = mmap
		huge_pages = off
		max_wal_size = 256MB
	END
}

start_server() {
	dir=$(mktemp -d -p /dev/shm wpfile-postgres.XXXXXX)
	trap clean_up EXIT
	chown postgres:postgres "$dir"
	cd "$dir"
	as_postgres "$bin/initdb" -D "$dir/data" -A trust --no-sync > "$dir/initdb.log" 2>&1 ||
		die "initdb: $(tail -3 "$dir/initdb.log")"
	configure
	as_postgres "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -s start || die "$(tail -5 "$dir/log")"
	postmaster=$(head -1 "$dir/data/postmaster.pid")
	as_postgres "$bin/createdb" -h "$dir" bench
	as_postgres "$bin/pgbench" -h "$dir" -i -q -s "$scale" bench 2> "$dir/init.log" ||
		die "pgbench -i: $(tail -3 "$dir/init.log")"
}

# The postmaster first, so that no new backend starts unseen.
signal_server() {
	kill -s "$1" "$postmaster"
	pkill -"$1" -P "$postmaster" || true
}

is_stopped() {
	local pid
	for pid in "$postmaster" $(pgrep -P "$postmaster"); do
		case $(ps -o stat= -p "$pid") in T*|Z*|"") ;; *) return 1;; esac
	done
}

stop_server() {
	signal_server STOP
	until is_stopped; do sleep 0.05; done
}

# OFFSET,SIZE of a structure in the segment, from the server itself. (Size as asked for, without padding.)
structure() { sql "select off || ',' || size from pg_shmem_allocations where name = '$1'"; }

#-------------------------------------------------------------------------------- snapshots

# The file behind the buffers, as root can open it.
map_file() {
	awk '$2 ~ /s$/ && /\/dev\/zero \(deleted\)$/ { print $1; exit }' "/proc/$postmaster/maps"
}

plain_copy() {
	dd if="/proc/$postmaster/map_files/$(map_file)" of="$1" bs=1M conv=sparse status=none
}

snapshot() {
	case $engine in
	wpfile)
		"$top/build/wpfilectl" snapshot --pid "$postmaster" --map "/dev/zero (deleted)" -o "$1";;
	stop)
		stop_server
		plain_copy "$1"
		[ -n "${stay_stopped-}" ] || signal_server CONT;;
	read)
		plain_copy "$1";;
	*)
		die "no such engine: $engine";;
	esac
}

# Until pgbench ends, or there are enough; each followed by a control. One that failed is left empty: see judge_all().
snapshots_while() {
	local i
	for i in 1 2 3; do
		kill -0 "$1" 2> /dev/null || break
		snapshot "$dir/snapshot.$i" 2>&1 | sed "s/^/# snapshot $i: /" || : > "$dir/snapshot.$i"
		plain_copy "$dir/control.$i"
	done
}

#-------------------------------------------------------------------------------- throughput

bench() { as_postgres "$bin/pgbench" -h "$dir" -n -c 4 -j 2 -T "$1" -P 2 bench; }
tps() { sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$1"; }
no_failures() { grep -q '^number of failed transactions: 0 ' "$1" && [ -n "$(tps "$1")" ]; }

bench_with_snapshots() {
	bench $((seconds * 2)) > "$dir/during" 2>&1 &
	local pid=$!
	sleep 1
	snapshots_while "$pid"
	wait "$pid"
}

report_throughput() {
	say "transactions per second: $(tps "$dir/before") before, $(tps "$dir/during") during," \
		"$(tps "$dir/after") after"
	say "during, every two seconds: $(grep -o 'progress: .*lat' "$dir/during" |
		sed 's/progress: \([0-9.]*\) s, \([0-9.]*\) tps.*/\1s: \2/' | tr '\n' ' ')"
	no_failures "$dir/before" && no_failures "$dir/during" && no_failures "$dir/after"
}

#-------------------------------------------------------------------------------- what must hold

judge() {
	local said status=0
	said=$("$top/tests/demo/pgcheck.py" --blocks "$blocks" --descriptors "$descriptors" --log "$log" \
		"${@:2}" "$1") || status=$?
	sed -e '/^#/!s/^/# '"${1##*/}"': pages: /' <<< "$said"
	return "$status"
}

judge_all() {
	local copy status=0 count=0
	for copy in "$dir"/snapshot.[0-9]; do
		[ -s "$copy" ] || return 1
		judge "$copy" || status=1
		count=$((count + 1))
	done
	[ "$count" -ge 2 ] && return "$status"
}

# The check has teeth if it finds out a copy that is made by reading while the server runs.
control_is_found_out() {
	local copy
	for copy in "$dir"/control.[0-9]; do
		judge "$copy" || return 0
	done
	return 1
}

# While nothing moves, a snapshot and a plain copy are the same bytes, all of the segment.
stopped_agrees() {
	local status=0
	sql checkpoint
	log_before=$(sql 'select pg_current_wal_insert_lsn()')
	stop_server
	stay_stopped=1 snapshot "$dir/stopped" 2>&1 | sed 's/^/# stopped: /' || status=1
	plain_copy "$dir/plain" || status=1
	signal_server CONT
	log_after=$(sql 'select pg_current_wal_insert_lsn()')
	say "stopped: $(stat -c %s "$dir/plain") bytes by a plain copy, $(stat -c %s "$dir/stopped") by snapshot"
	cmp "$dir/plain" "$dir/stopped" && return "$status"
}

# pgbench's own invariant: all balances moved by the same sum. Reads every account again.
balances_agree() {
	local sums
	sums=$(sql "select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers),
		(select sum(bbalance) from pgbench_branches), (select coalesce(sum(delta), 0) from pgbench_history)")
	say "sums of accounts, tellers, branches, history: $sums"
	awk -F'|' '{ exit !($1 == $2 && $2 == $3 && $3 == $4) }' <<< "$sums"
}

[ "$(id -u)" = 0 ] || die "must be root, to open /proc/PID/map_files"
[ -x "$bin/postgres" ] || die "no PostgreSQL 15: apt install postgresql postgresql-contrib"
start_server
blocks=$(structure 'Buffer Blocks')
descriptors=$(structure 'Buffer Descriptors')
log=$(structure 'XLOG Ctl')
say "$("$bin/postgres" --version), shared_buffers $buffers at $blocks of the segment, engine $engine"
bench "$seconds" > "$dir/before" 2>&1 || die "pgbench: $(tail -3 "$dir/before")"
bench_with_snapshots || die "pgbench: $(tail -3 "$dir/during")"
bench "$seconds" > "$dir/after" 2>&1 || die "pgbench: $(tail -3 "$dir/after")"
ok "pgbench ran before, during and after the snapshots; no transaction failed" report_throughput
ok "in each snapshot every page of the buffers is sane or empty, and none is ahead of the log" judge_all
ok "control: plain copies of the running server are not of one instant, and found out" control_is_found_out
ok "of the stopped server: a snapshot and a plain copy agree byte for byte" stopped_agrees
ok "of the stopped server: the same, and the log is where the server says" judge "$dir/stopped" \
	--log-between "$log_before,$log_after"
ok "the server went on, and lost nothing" balances_agree
echo "1..$number"
exit "$failed"
