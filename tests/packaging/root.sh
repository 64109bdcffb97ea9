# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154  # variables of common.sh, and of who sources this
# A clean Debian in the directory $there, and our packages in it; sourced after common.sh, not run. As root; needs the
# mirror of apt when something is not in build/packaging yet.

packages=(libwpfile1 libwpfile-dev wpfile-tools wpfiled python3-wpfile)
work=$build/packaging
clean=$work/clean.tar

inside() { "$root/tests/packaging/enter" "$there" "$@"; }

# With a compiler, as a user of libwpfile-dev has, and with lists of packages, but with none that ours depend on.
make_clean() {
	[ -f "$clean" ] && return
	mkdir -p "$work"
	say DEBIAN "clean root, log in build/log/packaging-clean" >&2
	# shellcheck disable=SC2016  # for the shell of the hook
	logged packaging-clean mmdebstrap --variant=minbase --include=gcc,libc6-dev,pkgconf --skip=cleanup/apt/lists \
		--customize-hook='chroot "$1" apt-get update' bookworm "${clean%.tar}.new.tar"
	mv "${clean%.tar}.new.tar" "$clean"
}

fresh_root() {
	rm -rf --one-file-system "$there"
	mkdir -p "$there"
	tar -C "$there" -xf "$clean"
}

# inside_apt_install WHAT...: what apt has fetched for an earlier run need not be fetched again.
inside_apt_install() {
	local archives=$there/var/cache/apt/archives

	mkdir -p "$work/archives"
	cp "$work"/archives/*.deb "$archives/" 2>/dev/null || true
	inside apt-get install -y --no-install-recommends -o APT::Sandbox::User=root -o APT::Keep-Downloaded-Packages=true \
		"$@" || return
	cp -u "$archives"/*.deb "$work/archives/"
}

# Of our packages, as the root sees them.
debs() {
	local package

	for package in "${packages[@]}"; do
		compgen -G "$build/deb/${package}_*.deb" | sed "s,^$root,/mnt,"
	done
}

# ours_in ROOT: all names of ours have "wpfile" in them.
ours_in() {
	find "${1%/}/" -xdev -iname '*wpfile*' ! -path '*/var/cache/apt/archives/*' ! -path "${1%/}/mnt/*"
	grep -ls wpfile "${1%/}"/etc/{passwd,group,shadow,gshadow,subuid,subgid} || true
}
