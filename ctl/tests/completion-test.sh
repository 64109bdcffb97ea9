#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Do the completions of bash and zsh know every verb and option that --help tells
# of?  On any host: completion-test.sh [WPFILECTL].  TAP on stdout.

. "${BASH_SOURCE%/*}/common.sh"

# Known here by what the help says, which the parser has, too.
mapfile -t verbs < <("$ctl" --help | sed -n 's/^  \([a-z]\+\) .*/\1/p')

options_of() {
	"$ctl" "$1" --help | grep -oE '^ +(-[a-z], )?--[a-z]+' | grep -oE -- '-+[a-z]+'
}

# completed WORD...: what bash offers for the last word, sorted.
completed() {
	COMP_WORDS=(wpfilectl "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_wpfilectl
	printf '%s\n' "${COMPREPLY[@]}" | sort
}

same() {
	diff <(sort <<<"$1") <(sort <<<"$2")
}

the_help_tells_of_all_verbs() {
	[ ${#verbs[@]} -ge 10 ]
}

bash_reads_it() {
	"$ctl" --print-completion bash >"$dir/bash" && bash -n "$dir/bash" || return
	# shellcheck disable=SC1091 # made just now
	. "$dir/bash"
	complete -p wpfilectl | grep -q -- '-F _wpfilectl'
}

bash_completes_every_verb() {
	same "$(completed '')" "$(printf '%s\n' --help --version "${verbs[@]}")" &&
	[ "$(completed sn)" = snapshot ]
}

bash_completes_every_option() {
	local verb extra

	for verb in "${verbs[@]}"; do
		extra=
		[ "$verb" = protect ] && extra=$'\n--'
		same "$(completed "$verb" '')" "$(options_of "$verb")$extra" || return
	done
}

bash_completes_values() {
	touch "$dir/a file" "$dir/another"
	[ "$(completed stat --path "$dir/a ")" = "$dir/a file" ] &&
	[ "$(completed check --daemon = "$dir/an")" = "$dir/another" ] &&
	completed stat --path = | grep -qx ctl &&
	completed stat --pid '' | grep -qx "$$" &&
	completed stat --pid = "$$" | grep -qx "$$" &&
	[ -z "$(completed stat --fd '')" ] &&
	completed check --daemon '' | grep -qx -- --json &&
	completed protect --path x -- mkdi | grep -qx mkdir
}

what_bash_offers_is_taken() {
	local verb option

	for verb in "${verbs[@]}"; do
		for option in $(completed "$verb" ''); do
			"$ctl" "$verb" --help "$option" 2>&1 |
				grep 'no such option' && return 1
		done
	done
	return 0
}

zsh_reads_it() {
	"$ctl" --print-completion zsh >"$dir/_wpfilectl" && zsh -n "$dir/_wpfilectl"
}

# The functions of zsh that would draw a menu tell what they are given.
zsh_completes_every_verb_and_option() {
	local verb option

	cat >"$dir/zshrc" <<-'EOS'
		_describe() { print -l -- ${verbs%%:*}; }
		_arguments() { print -rl -- "$@"; }
		words=(wpfilectl "$2" '') CURRENT=$(($# + 1))
		. "$1"
	EOS
	zsh -f "$dir/zshrc" "$dir/_wpfilectl" >"$dir/out" || return
	printf '%s\n' "${verbs[@]}" | diff - <(grep -v '^--' "$dir/out") || return
	for verb in "${verbs[@]}"; do
		zsh -f "$dir/zshrc" "$dir/_wpfilectl" "$verb" >"$dir/out" || return
		for option in $(options_of "$verb"); do
			grep -q -- "^\**${option}[=[]" "$dir/out" && continue
			echo "$verb $option is missing"
			return 1
		done
	done
}

other_shells_are_2() {
	complains 2 "$ctl" --print-completion fish &&
	complains 2 "$ctl" --print-completion
}

tests=(the_help_tells_of_all_verbs bash_reads_it bash_completes_every_verb
bash_completes_every_option bash_completes_values what_bash_offers_is_taken
other_shells_are_2)
zsh_tests=(zsh_reads_it zsh_completes_every_verb_and_option)

echo "1..$((${#tests[@]} + ${#zsh_tests[@]}))"
for test in "${zsh_tests[@]}"; do
	if command -v zsh >/dev/null; then
		check "$test"
	else
		skip "$test" "no zsh here"
	fi
done
run_all "${tests[@]}"
