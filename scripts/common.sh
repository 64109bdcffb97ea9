# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the build scripts share; sourced, not run.

# shellcheck disable=SC2034  # used by those who source this
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
stock=$build/linux-stock	# Debian's source as it is unpacked
tree=$build/linux-wpfile	# the same with our change

# The scripts start make themselves, with their own -j: a jobserver inherited from the caller's make is of no use.
unset MAKEFLAGS MFLAGS MAKELEVEL

# Debian's source, and what tells one version of it from another.
tarball=/usr/src/linux-source-6.12.tar.xz
tarball_id() { stat -Lc '%s %Y' "$tarball" 2>/dev/null || die "$tarball is missing: run 'make deps'"; }

say() { printf '  %-9s%s\n' "$1" "$2"; }

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# logged NAME COMMAND...: the output goes to build/log/NAME, and on failure what matters of it to stderr. A parallel make
# goes on with other jobs after an error, so that the end of the log alone would not show it.
logged() {
	local log=$build/log/$1
	shift
	mkdir -p "${log%/*}"
	"$@" >"$log" 2>&1 && return
	grep -nE -A4 'rror: |\*\*\* |undefined reference|^E: ' "$log" | head -n 60 >&2 || tail -n 40 "$log" >&2
	die "'$*' failed, the whole output is in $log"
}

# Fixed, so that the same source gives the same image, and ccache hits; a miss does not preprocess first.
export KBUILD_BUILD_TIMESTAMP='Thu Jan 1 00:00:00 UTC 1970' KBUILD_BUILD_USER=wpfile KBUILD_BUILD_HOST=wpfile
export KBUILD_BUILD_VERSION=1 CCACHE_DEPEND=1
kernel_cc=gcc
! command -v ccache >/dev/null || kernel_cc='ccache gcc'

# kernel_image SOURCE OUT: builds what is configured in OUT. The image without ccache: with CCACHE_DEPEND it does not see
# what .incbin takes in, and gives back the compressed kernel of another build that was as long.
kernel_image() {
	kernel_make "$1" "$2" vmlinux || return
	CCACHE_DISABLE=1 kernel_make "$1" "$2" bzImage
}
kernel_make() { make -C "$1" O="$2" CC="$kernel_cc" HOSTCC="$kernel_cc" -j"$(nproc)" "$3"; }

# Version of an unpacked kernel, such as 6.12.117.
kernel_version() {
	awk -F' = ' '$1 == "VERSION" { v = $2 } $1 == "PATCHLEVEL" { p = $2 }
		$1 == "SUBLEVEL" { print v "." p "." $2; exit }' "$1/Makefile"
}

# Patches in order of application: the patch lines of kernel/series, or without that file all, by name.
patch_files() {
	local dir=$root/kernel/patches
	if [ -f "$root/kernel/series" ]; then
		awk -v dir="$dir/" '/^[^#]/ && $1 != "new" { print dir $1 }' "$root/kernel/series"
	elif [ -d "$dir" ]; then
		find "$dir" -name '*.patch' | LC_ALL=C sort
	fi
}

# Files that a patch edits.
patched_files() { sed -n 's,^+++ b/\([^\t]*\).*,\1,p' "$1"; }

# One after the other: two makes must not prepare or build the same tree.
serialise() {
	mkdir -p "$build"
	exec 9>"$build/.lock"
	flock -n 9 || { say WAIT "another kernel build is running"; flock 9; }
}
