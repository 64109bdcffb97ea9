// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <urcu/uatomic.h>

#include "daemon.h"

static void head(FILE *file, const char *name, const char *type,
		 const char *help)
{
	fprintf(file, "# TYPE wpfiled_%s %s\n# HELP wpfiled_%s %s\n", name, type,
		name, help);
}

static void counter(FILE *file, const char *name, const char *help,
		    uint64_t value)
{
	head(file, name, "counter", help);
	fprintf(file, "wpfiled_%s_total %lu\n", name, value);
}

static void gauge(FILE *file, const char *name, const char *help, uint64_t value)
{
	head(file, name, "gauge", help);
	fprintf(file, "wpfiled_%s %lu\n", name, value);
}

static void print_requests(FILE *file, const struct metrics *metrics)
{
	static const char *const outcomes[] = { "granted", "refused", "failed" };
	unsigned int type, i;

	head(file, "requests", "counter", "Requests by type and result.");
	for (type = WIRE_HELLO; type < WIRE_EVENTS; type++)
		for (i = 0; i < NR_OUTCOMES; i++)
			fprintf(file, "wpfiled_requests_total{type=\"%s\","
				"result=\"%s\"} %lu\n", wire_table[type].name,
				outcomes[i], metrics->requests[type][i]);
}

struct sums {
	uint64_t monitors[WPFILE_NR_MODES];
	uint64_t captured;
};

static int add(const struct ledger_entry *entry, void *data)
{
	struct sums *sums = data;

	sums->monitors[entry->mode]++;
	sums->captured += entry->bytes;
	return 0;
}

static int print_monitors(FILE *file, struct daemon *daemon)
{
	struct sums sums = { .captured = 0 };
	unsigned int mode;
	int err;

	err = ledger_each(daemon->ledger, add, &sums);
	if (err)
		return err;
	head(file, "monitors", "gauge", "Monitors and snapshots handed out and "
	     "alive, by mode.");
	for (mode = 0; mode < WPFILE_NR_MODES; mode++)
		fprintf(file, "wpfiled_monitors{mode=\"%s\"} %lu\n",
			wpfile_mode_name(mode), sums.monitors[mode]);
	head(file, "captured_reserved_bytes", "gauge",
	     "Sum of their capture limits.");
	fprintf(file, "# UNIT wpfiled_captured_reserved_bytes bytes\n"
		"wpfiled_captured_reserved_bytes %lu\n", sums.captured);
	return 0;
}

/* Of those that are here now, too. */
static uint64_t events_dropped(struct watches *watches)
{
	const struct subscriber *subscriber;
	uint64_t sum = watches->events_dropped;
	struct watch *watch = NULL;

	while ((watch = watch_next(watches, watch)))
		cds_list_for_each_entry(subscriber, &watch->subscribers, siblings)
			sum += queue_dropped(&subscriber->queue);
	return sum;
}

static void print_events(FILE *file, struct watches *watches)
{
	gauge(file, "watches", "Monitors that the daemon reads.",
	      watches->nr_watches);
	gauge(file, "subscriptions", "Subscriptions to them.",
	      watches->nr_subscribers);
	counter(file, "events_in", "Events read from monitors.",
		uatomic_read(&watches->events_in));
	counter(file, "events_out", "Events sent to subscribers.",
		watches->events_out);
	counter(file, "losses", "Times that all that was protected of a file was lost.",
		uatomic_read(&watches->losses));
	counter(file, "events_dropped", "Events that subscribers have lost.", events_dropped(watches));
}

static int print_all(FILE *file, struct daemon *daemon)
{
	const struct metrics *metrics = &daemon->metrics;

	print_requests(file, metrics);
	gauge(file, "clients", "Connections now.", daemon->nr_clients);
	counter(file, "connections", "Connections accepted.",
		metrics->connections);
	counter(file, "connections_refused", "Connections refused.",
		metrics->connections_refused);
	counter(file, "reloads", "Times that the policy was read anew.",
		metrics->reloads);
	counter(file, "reloads_failed", "Times that the old policy stayed.",
		metrics->reloads_failed);
	print_events(file, &daemon->watches);
	return print_monitors(file, daemon);
}

int metrics_print(struct daemon *daemon, char *text, size_t size,
		  size_t *ret_used)
{
	FILE *file = fmemopen(text, size, "w");
	long used;
	int err;

	if (!file)
		return -errno;
	err = print_all(file, daemon);
	fprintf(file, "# EOF\n");
	fflush(file);
	used = ftell(file);
	if (!err && (ferror(file) || used < 0 || (size_t)used >= size))
		err = -EMSGSIZE;
	fclose(file);
	if (!err)
		*ret_used = used;
	return err;
}
