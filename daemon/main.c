// SPDX-License-Identifier: GPL-2.0-or-later
/* wpfiled: makes monitors for those whom policy allows to have them. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "caps.h"
#include "client.h"
#include "log.h"
#include "store.h"

#define CONFIG "/etc/wpfile/wpfiled.conf"

enum { DONE = 0, FAILED = 1, USAGE = 2 };

struct options {
	const char *config;
	const char *socket;
	const char *group;
	bool check;
	bool verbose;
};

static const char help[] =
	"wpfiled [--config FILE] [--socket PATH [--group NAME]] [--verbose]\n"
	"wpfiled --check-config [FILE]\n"
	"\n"
	"Makes monitors of shared memory for those whom its policy allows to have\n"
	"them.  The socket comes from systemd, or is made.  See wpfiled(8).\n"
	"\n"
	"  -c, --config FILE      the policy (" CONFIG ");\n"
	"                         FILE.d/*.conf are read after it\n"
	"  -s, --socket PATH      where clients come to (" WIRE_SOCKET ")\n"
	"  -g, --group NAME       who may connect; without it, nobody else may\n"
	"      --check-config     read the policy, say what is wrong, and end\n"
	"  -v, --verbose          log granted requests, too\n"
	"  -h, --help             this help\n"
	"  -V, --version\n";

/* --- options --- */

static int bad_usage(const char *what)
{
	fprintf(stderr, "wpfiled: %s: try wpfiled --help\n", what);
	return USAGE;
}

/* -1: go on; otherwise the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "socket", required_argument, NULL, 's' },
		{ "group", required_argument, NULL, 'g' },
		{ "check-config", no_argument, NULL, 'C' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int key;

	opterr = 0;
	while ((key = getopt_long(argc, argv, "c:s:g:vhV", longs, NULL)) != -1) {
		switch (key) {
		case 'c':
			options->config = optarg;
			break;
		case 's':
			options->socket = optarg;
			break;
		case 'g':
			options->group = optarg;
			break;
		case 'C':
			options->check = true;
			break;
		case 'v':
			options->verbose = true;
			break;
		case 'h':
			fputs(help, stdout);
			return DONE;
		case 'V':
			puts("wpfiled " WPFILE_VERSION);
			return DONE;
		default:
			return bad_usage(argv[optind - 1]);
		}
	}
	if (options->check && optind < argc)
		options->config = argv[optind++];
	return optind < argc ? bad_usage(argv[optind]) : -1;
}

static int check_config(const char *config)
{
	struct complaint complaint;
	struct policy *policy;

	if (policy_load(config, &policy, &complaint)) {
		fprintf(stderr, "wpfiled: %s\n", complaint.text);
		return FAILED;
	}
	printf("%s: %zu rules\n", config, policy->nr);
	policy_free(policy);
	return DONE;
}

/* --- the start --- */

/* Says what could not be done. */
static int fail(const char *what, int err)
{
	log_say(LOG_ERR, "%s: %s", what, strerror(-err));
	return err;
}

static int check_kernel(void)
{
	const uint64_t needed = WPFILE_FEATURE_SYNC | WPFILE_FEATURE_DENY;
	struct wpfile_query query = { .size = sizeof(query) };
	int fd = memfd_create("wpfiled", MFD_CLOEXEC);
	int err = 0;

	/* Not /dev/wpfile, which a sandbox may hide. */
	if (fd < 0 || ioctl(fd, WPFILE_IOC_QUERY, &query) < 0)
		err = -errno;
	else if ((query.ret_features & needed) != needed)
		err = -ENOSYS;
	if (fd >= 0)
		close(fd);
	if (err)
		log_say(LOG_ERR, "this kernel has not what is needed: try "
			"wpfilectl check (%s)", strerrorname_np(-err));
	return err;
}

/* As many as root lets us have: a few for each client and watch. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_socket(struct daemon *daemon, const struct options *options)
{
	const char *path = options->socket ?: WIRE_SOCKET;

	if (daemon->listener >= 0)
		return 0;
	daemon->listener = listen_at(path, options->group);
	if (daemon->listener == -EINVAL)
		log_say(LOG_ERR, "the group %s does not exist: create it, or name "
			"another one", options->group);
	if (daemon->listener < 0)
		return fail(path, daemon->listener);
	daemon->socket = path;
	return 0;
}

static int open_ledger(struct daemon *daemon)
{
	if (daemon->ledger < 0) {
		daemon->ledger = ledger_open();
		if (daemon->ledger < 0)
			return fail("the ledger", daemon->ledger);
		store_keep_ledger(daemon->ledger);
	}
	users_init(&daemon->users, daemon->ledger);
	return 0;
}

/* What needs the rights that are then given up. */
static int take_up(struct daemon *daemon, const struct options *options)
{
	struct complaint complaint;
	struct stored stored;
	int err;

	if (policy_load(options->config, &daemon->policy, &complaint)) {
		log_say(LOG_ERR, "%s", complaint.text);
		return -EINVAL;
	}
	err = store_load(&daemon->watches, &stored);
	if (err)
		return fail("the descriptors that were passed", err);
	daemon->ledger = stored.ledger;
	daemon->listener = stored.listener;
	err = open_ledger(daemon);
	return err ? err : open_socket(daemon, options);
}

static int on_hangup(sd_event_source *source,
		     const struct signalfd_siginfo *info, void *data)
{
	(void)source;
	(void)info;
	reload_policy(data);
	return 0;
}

/* Blocked before there are threads, which inherit that. */
static int take_signals(struct daemon *daemon)
{
	sigset_t signals;
	int err;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	err = sd_event_add_signal(daemon->event, NULL, SIGTERM, NULL, NULL);
	if (err >= 0)
		err = sd_event_add_signal(daemon->event, NULL, SIGINT, NULL, NULL);
	if (err >= 0)
		err = sd_event_add_signal(daemon->event, NULL, SIGHUP, on_hangup,
					  daemon);
	return err;
}

static int start(struct daemon *daemon, const struct options *options)
{
	int err;

	raise_limit();
	err = check_kernel();
	if (!err)
		err = take_up(daemon, options);
	if (!err)
		err = caps_confine();
	if (err)
		return err;
	err = take_signals(daemon);
	if (err >= 0)
		err = chores_begin(&daemon->chores);
	if (err >= 0)
		err = clients_init(daemon);
	if (err >= 0)
		err = listen_start(daemon);
	if (err >= 0)
		err = watches_start(&daemon->watches);
	if (err >= 0)
		err = watchdog_start(daemon);
	return err < 0 ? fail("the start", err) : 0;
}

static void finish(struct daemon *daemon)
{
	sd_notify(0, "STOPPING=1");
	store_close();
	clients_destroy(daemon);
	watches_destroy(&daemon->watches);
	if (daemon->socket)
		unlink(daemon->socket);
	policy_free(daemon->policy);
}

static int run(const struct options *options)
{
	static struct daemon daemon = { .ledger = -1, .listener = -1, .spare = -1 };
	int err;

	/* Who reads our stderr may go. */
	signal(SIGPIPE, SIG_IGN);
	daemon.config = options->config;
	CDS_INIT_LIST_HEAD(&daemon.clients);
	rcu_register_thread();
	err = sd_event_new(&daemon.event);
	if (err >= 0)
		err = chores_init(&daemon.chores, daemon.event);
	if (err >= 0)
		err = watches_init(&daemon.watches, daemon.event, &daemon.chores);
	if (err < 0)
		return fail("the start", err);
	err = start(&daemon, options);
	if (!err) {
		log_say(LOG_INFO, "ready: %zu rules", daemon.policy->nr);
		sd_notifyf(0, "READY=1\nSTATUS=%zu rules", daemon.policy->nr);
		err = sd_event_loop(daemon.event);
	}
	finish(&daemon);
	sd_event_unref(daemon.event);
	rcu_unregister_thread();
	return err;
}

int main(int argc, char **argv)
{
	struct options options = { .config = CONFIG };
	int status = parse_options(argc, argv, &options);

	if (status >= 0)
		return status;
	if (options.check)
		return check_config(options.config);
	log_open(options.verbose ? LOG_DEBUG : LOG_INFO);
	return run(&options) ? FAILED : DONE;
}
