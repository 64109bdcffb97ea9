// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wpfilectl release: lifts what monitors of others hold up or refuse.  They go on
 * having their monitors, and may protect again.
 */
#include <string.h>
#include <unistd.h>

#include "held.h"
#include "holders.h"

/* The others keep content, or count: releasing them helps nobody. */
static bool holds_somebody(const struct holder *holder)
{
	return holder->info.mode == WPFILE_SYNC ||
	       holder->info.mode == WPFILE_DENY;
}

static void keep_wanted(struct holders *holders, bool all)
{
	size_t i, kept = 0;

	for (i = 0; i < holders->nr; i++)
		if (all || holds_somebody(&holders->list[i]))
			holders->list[kept++] = holders->list[i];
	holders->nr = kept;
}

static void describe(const struct holder *holder, FILE *to, const char *result)
{
	char command[COMMAND_SIZE];

	memcpy(command, holder->command, sizeof(command));
	make_printable(command);
	fprintf(to, "process %d (%s), descriptor %d, %s%s%s\n", (int)holder->pid,
		command, holder->fd, wpfile_mode_name(holder->info.mode),
		*result ? ": " : "", result);
}

static int confirm(const struct holders *holders)
{
	char answer[8];
	size_t i;

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return fail_usage("nobody to ask here: use --yes");
	for (i = 0; i < holders->nr; i++)
		describe(&holders->list[i], stderr, "");
	fprintf(stderr, "Lift the protection of these %zu? [y/N] ", holders->nr);
	if (fgets(answer, sizeof(answer), stdin) && (*answer | 0x20) == 'y')
		return CTL_OK;
	return fail_hint(CTL_FAILED, NULL, "nothing is released");
}

static int release_all(const struct holders *holders, json_t *json)
{
	int code = CTL_OK, err;
	json_t *result;
	size_t i;

	for (i = 0; i < holders->nr; i++) {
		struct holder *holder = &holders->list[i];

		err = holder_unprotect(holder, NULL, 0);
		if (err)
			code = fail_errno(err, "process %d, descriptor %d",
					  (int)holder->pid, holder->fd);
		if (!json && !err)
			describe(holder, stdout, "released");
		if (!json)
			continue;
		result = holder_json(holder);
		json_object_set_new(result, "error",
				    json_text(err ? error_text(err) : NULL));
		json_array_append_new(json, result);
	}
	return code;
}

static int release_found(const struct args *args, struct holders *holders)
{
	json_t *json = args->json ? json_array() : NULL;
	int ret = CTL_OK, printed = CTL_OK;

	if (!args->yes)
		ret = confirm(holders);
	if (ret) {
		json_decref(json);
		return ret;
	}
	ret = release_all(holders, json);
	if (json)
		printed = print_json(stdout,
				     json_pack("{s:o}", "released", json));
	return ret ? ret : printed;
}

static int release_file(const struct args *args)
{
	struct holders holders;
	struct filter filter;
	char name[256];
	int ret;

	ret = target_check(args);
	if (!ret)
		ret = filter_make(args, &filter);
	if (!ret)
		ret = holders_find(&filter, &holders);
	if (ret)
		return ret;
	keep_wanted(&holders, args->all);
	if (holders.nr)
		ret = release_found(args, &holders);
	else
		ret = fail_hint(CTL_NOT_FOUND,
				"as root one sees those of all processes; wpfilectl stat counts them",
				"%s: nobody holds up or refuses writes to it",
				target_name(args, name, sizeof(name)));
	holders_free(&holders);
	return ret;
}

int verb_release(const struct args *args)
{
	bool has_target = args->path || args->pid >= 0 || args->fd >= 0 ||
			  args->map;

	if (!args->daemon && !args->id)
		return release_file(args);
	if (!args->daemon || !args->id || has_target)
		return fail_usage("--daemon goes with --id, and without a file");
	return held_release(args);
}
