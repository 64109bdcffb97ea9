// SPDX-License-Identifier: GPL-2.0-or-later
/* What shells read to complete verbs and options: made from the tables. */
#include <string.h>

#include "ctl.h"

static bool has_option(const struct verb *verb, const struct option_row *row)
{
	return strchr(verb->options, row->key);
}

/* --- bash --- */

/* --option=value are three words to bash. */
static const char bash_head[] =
"# bash completion: wpfilectl --print-completion bash\n"
"_wpfilectl()\n"
"{\n"
"	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
"	local options='' i\n"
"\n"
"	COMPREPLY=()\n"
"	if [ \"$before\" = = ]; then\n"
"		before=${COMP_WORDS[COMP_CWORD-2]}=\n"
"	elif [ \"$word\" = = ]; then\n"
"		before=\"$before=\" word=''\n"
"	fi\n"
"	for ((i = 2; i < COMP_CWORD; i++)); do\n"
"		if [ \"${COMP_WORDS[i]}\" = -- ]; then\n"
"			mapfile -t COMPREPLY < <(compgen -c -- \"$word\")\n"
"			return\n"
"		fi\n"
"	done\n";

static const char bash_pids[] =
"		mapfile -t COMPREPLY < <(compgen -W \"$(cd /proc && echo [0-9]*)\" -- \"$word\")\n"
"		return ;;\n";

static const char bash_files[] =
"		mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
"		compopt -o filenames 2>/dev/null\n"
"		return ;;\n";

static const char bash_tail[] =
"	esac\n"
"	mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
"}\n"
"complete -F _wpfilectl wpfilectl\n";

/* A pattern of the words before a value of that kind. */
static void bash_case(bool (*is_kind)(enum takes takes), const char *action)
{
	const struct option_row *row;
	const char *bar = "\t";

	for (row = option_table; row->key; row++) {
		if (!is_kind(row->takes))
			continue;
		printf("%s--%s=", bar, row->name);
		bar = " | ";
		if (row->takes != VALUE_OPTIONAL)
			printf(" | --%s", row->name);
		if (row->is_short)
			printf(" | -%c", row->key);
	}
	printf(")\n%s", action);
}

static bool is_pid(enum takes takes)
{
	return takes == VALUE_PID;
}

static bool is_file(enum takes takes)
{
	return takes == VALUE_FILE || takes == VALUE_OPTIONAL;
}

static bool is_other(enum takes takes)
{
	return takes == VALUE_OTHER || takes == VALUE_MANY;
}

static void bash_verb(const struct verb *verb)
{
	const struct option_row *row;

	printf("\t1,%s) options='%s", verb->name,
	       verb->takes_command ? "--" : "");
	for (row = option_table; row->key; row++) {
		if (!has_option(verb, row))
			continue;
		printf(" --%s", row->name);
		if (row->is_short)
			printf(" -%c", row->key);
	}
	puts("' ;;");
}

static int print_bash(void)
{
	const struct verb *verb;

	fputs(bash_head, stdout);
	puts("\tcase $before in");
	bash_case(is_pid, bash_pids);
	bash_case(is_file, bash_files);
	bash_case(is_other, "\t\treturn ;;\n");
	puts("\tesac");
	puts("\tcase $((COMP_CWORD > 1)),${COMP_WORDS[1]} in");
	fputs("\t0,*) options='--help --version", stdout);
	for (verb = verb_table; verb->name; verb++)
		printf(" %s", verb->name);
	puts("' ;;");
	for (verb = verb_table; verb->name; verb++)
		bash_verb(verb);
	fputs(bash_tail, stdout);
	return CTL_OK;
}

/* --- zsh --- */

static const char zsh_head[] =
"#compdef wpfilectl\n"
"# zsh completion: wpfilectl --print-completion zsh\n"
"_wpfilectl()\n"
"{\n"
"	local -a verbs\n"
"	verbs=(\n";

static const char zsh_middle[] =
"	)\n"
"	if ((CURRENT == 2)); then\n"
"		_describe -t verbs verb verbs\n"
"		_arguments --help --version\n"
"		return\n"
"	fi\n"
"	shift words\n"
"	((CURRENT--))\n"
"	case $words[1] in\n";

static const char zsh_tail[] =
"	esac\n"
"}\n"
"_wpfilectl \"$@\"\n";

/* What _arguments takes for its own is escaped. */
static void zsh_text(const char *text)
{
	for (; *text; text++) {
		if (strchr("[]:\\", *text))
			putchar('\\');
		putchar(*text);
	}
}

static void zsh_spec(const struct option_row *row, const char *dashes,
		     const char *name)
{
	static const char *const joins[] = {
		[VALUE_NONE] = "", [VALUE_OPTIONAL] = "=-", [VALUE_FILE] = "=",
		[VALUE_PID] = "=", [VALUE_OTHER] = "=", [VALUE_MANY] = "=",
	};
	static const char *const actions[] = {
		[VALUE_OPTIONAL] = "_files", [VALUE_FILE] = "_files",
		[VALUE_PID] = "_pids", [VALUE_OTHER] = " ", [VALUE_MANY] = " ",
	};

	printf("\t\t\t'%s%s%s%s[", row->takes == VALUE_MANY ? "*" : "", dashes,
	       name, dashes[1] ? joins[row->takes] : "");
	zsh_text(row->help);
	putchar(']');
	if (row->value)
		printf(":%s%s:%s", row->takes == VALUE_OPTIONAL ? ":" : "",
		       row->value, actions[row->takes]);
	puts("' \\");
}

static void zsh_verb(const struct verb *verb)
{
	const struct option_row *row;

	printf("\t%s)\n\t\t_arguments \\\n", verb->name);
	for (row = option_table; row->key; row++) {
		if (!has_option(verb, row))
			continue;
		zsh_spec(row, "--", row->name);
		if (row->is_short)
			zsh_spec(row, "-", (const char[]){ row->key, '\0' });
	}
	printf("\t\t\t%s\n\t\t;;\n",
	       verb->takes_command ? "'*::command:_normal'" : "&& return");
}

static int print_zsh(void)
{
	const struct verb *verb;

	fputs(zsh_head, stdout);
	for (verb = verb_table; verb->name; verb++) {
		printf("\t\t'%s:", verb->name);
		zsh_text(verb->summary);
		puts("'");
	}
	fputs(zsh_middle, stdout);
	for (verb = verb_table; verb->name; verb++)
		zsh_verb(verb);
	fputs(zsh_tail, stdout);
	return CTL_OK;
}

int complete_print(const char *shell)
{
	if (!strcmp(shell, "bash"))
		return print_bash();
	if (!strcmp(shell, "zsh"))
		return print_zsh();
	return fail_usage("--print-completion %s: bash or zsh", shell);
}
