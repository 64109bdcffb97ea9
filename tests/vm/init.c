// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PID 1 of the test machine: mounts the host's root read-only under a writable overlay, runs one command there and
 * tells the runner (tests/vm/run) how it ended.
 *
 * Three virtio-serial ports lead to the runner: control, stdout, stderr. On the control port this program says
 *
 *	ready			user space is up
 *	fail TEXT		the command could not be started
 *	end STATUS OUT ERR MS	the command has ended; so many bytes of stdout and stderr were sent before; since ready, it
 *				took so long by the machine's clock
 *
 * so that a machine which stops in any other way has not said "end". Every byte that comes back on the control port
 * is a key for /proc/sysrq-trigger.
 *
 * Run on the host it prints the frequency of the time stamp counter.
 *
 * The runner's request is the file /request of the initramfs: strings KEY=VALUE, each ended by a NUL.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_ITEMS 4096

static char *args[MAX_ITEMS], *env[MAX_ITEMS], *shares[MAX_ITEMS];
static char *keep; /* a directory that stays visible, wherever it is */
static int nr_args, nr_env, nr_shares;
static const char *cwd = "/", *swap;
static int control = -1;

/* A pipe of the command and the port that it goes to. */
struct stream {
	int pipe;
	int port;
	unsigned long long sent;
};

static void die(const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	printf("init: %s\n", text);
	if (control >= 0) {
		dprintf(control, "fail %s\n", text);
		sleep(60); /* the runner stops the machine */
	}
	reboot(RB_AUTOBOOT);
	_exit(1);
}

static void append(char **list, int *nr, char *value)
{
	if (*nr == MAX_ITEMS - 1)
		die("the request is too long");
	list[(*nr)++] = value;
}

static void take_item(char *key)
{
	char *value = strchr(key, '=');

	if (!value)
		die("bad request: %s", key);
	*value++ = '\0';
	if (!strcmp(key, "arg"))
		append(args, &nr_args, value);
	else if (!strcmp(key, "env"))
		append(env, &nr_env, value);
	else if (!strcmp(key, "share"))
		append(shares, &nr_shares, value);
	else if (!strcmp(key, "cwd"))
		cwd = value;
	else if (!strcmp(key, "keep"))
		keep = value;
	else if (!strcmp(key, "swap"))
		swap = value;
	else
		die("bad request: %s", key);
}

static void read_request(void)
{
	FILE *file = fopen("/request", "r");
	char *item = NULL;
	size_t size = 0;

	if (!file)
		die("/request: %m");
	while (getdelim(&item, &size, '\0', file) > 0) {
		take_item(item);
		item = NULL; /* kept */
	}
	fclose(file);
}

static void mount_at(const char *what, const char *where, const char *type, unsigned long flags, const char *options)
{
	mkdir(where, 0755);
	if (mount(what, where, type, flags, options))
		die("mount %s on %s: %m", type, where);
}

static void make_path(const char *path)
{
	char part[4096];
	size_t i;

	for (i = 1; path[i - 1] && i < sizeof(part); i++) {
		if (path[i] && path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		mkdir(part, 0755);
	}
}

static int open_port(int nr)
{
	char path[32];
	int fd, i;

	snprintf(path, sizeof(path), "/dev/vport0p%d", nr);
	for (i = 0; i < 1000; i++) { /* the driver finds its ports asynchronously */
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		usleep(10000);
	}
	die("%s: %m", path);
	return -1;
}

/* The root stays read-only below; what is written goes to memory, a quarter of it at most. */
static void enter_root(void)
{
	mount_at("root", "/lower", "9p", MS_RDONLY, "trans=virtio,version=9p2000.L,cache=loose,msize=262144");
	mount_at("rw", "/rw", "tmpfs", 0, "size=25%");
	mkdir("/rw/upper", 0755);
	mkdir("/rw/work", 0755);
	mount_at("root", "/newroot", "overlay", 0, "lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work");
	mount_at("/dev", "/newroot/dev", NULL, MS_MOVE, NULL);
	if (chdir("/newroot") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		die("cannot enter the new root: %m");
}

static void mount_all(void)
{
	static const struct {
		const char *type, *where, *options;
	} mounts[] = {
		{ "proc", "/proc", NULL },
		{ "sysfs", "/sys", NULL },
		{ "debugfs", "/sys/kernel/debug", NULL },
		{ "tracefs", "/sys/kernel/tracing", NULL },
		{ "cgroup2", "/sys/fs/cgroup", NULL },
		{ "devpts", "/dev/pts", "ptmxmode=0666,mode=0620,gid=5" },
		{ "tmpfs", "/dev/shm", "mode=1777,size=50%" },
		{ "mqueue", "/dev/mqueue", NULL },
		{ "tmpfs", "/tmp", "mode=1777,size=25%" },
		{ "tmpfs", "/run", "mode=0755,size=10%" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mounts); i++)
		mount_at(mounts[i].type, mounts[i].where, mounts[i].type, 0, mounts[i].options);
	mkdir("/run/lock", 01777);
}

/* A checkout below /tmp is hidden by the guest's own /tmp. */
static void bring_back(const char *path, int fd)
{
	char from[32];

	if (!access(path, F_OK))
		return;
	make_path(path);
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	if (mount(from, path, NULL, MS_BIND, NULL))
		die("%s: %m", path);
}

static void mount_shares(void)
{
	char tag[32];
	int i;

	for (i = 0; i < nr_shares; i++) {
		snprintf(tag, sizeof(tag), "share%d", i);
		make_path(shares[i]);
		mount_at(tag, shares[i], "9p", 0, "trans=virtio,version=9p2000.L,cache=mmap,msize=262144");
	}
}

static void unmount_shares(void)
{
	int i;

	for (i = nr_shares - 1; i >= 0; i--)
		if (umount(shares[i]))
			die("umount %s: %m", shares[i]);
}

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s: %m", path);
	close(fd);
}

static void raise_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		die("lo: %m");
	close(fd);
}

/* What a distribution's init would have done and programs expect. */
static void set_up(void)
{
	struct rlimit files = { .rlim_cur = 1024, .rlim_max = 524288 };
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(links); i++)
		if (symlink(links[i][0], links[i][1]))
			die("%s: %m", links[i][1]);
	sethostname("wpfile-vm", strlen("wpfile-vm"));
	setrlimit(RLIMIT_NOFILE, &files);
	raise_loopback();
	write_to("/sys/fs/cgroup/cgroup.subtree_control", "+memory +pids +cpu +cpuset");
	if (swap && swapon(swap, 0))
		die("swapon %s: %m", swap);
}

static void exec_command(int out, int err)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	dup2(null, 0);
	dup2(out, 1);
	dup2(err, 2);
	close(null);
	environ = env;
	if (chdir(cwd))
		dprintf(2, "tests/vm/run: %s in the guest: %m\n", cwd);
	else {
		execvp(args[0], args);
		dprintf(2, "tests/vm/run: %s in the guest: %m\n", args[0]);
	}
	_exit(errno == ENOENT ? 127 : 126);
}

static pid_t start_command(struct stream *out, struct stream *err)
{
	int out_pipe[2], err_pipe[2];
	pid_t pid;

	if (pipe2(out_pipe, O_CLOEXEC) || pipe2(err_pipe, O_CLOEXEC))
		die("pipe: %m");
	pid = fork();
	if (pid < 0)
		die("fork: %m");
	if (!pid)
		exec_command(out_pipe[1], err_pipe[1]);
	close(out_pipe[1]);
	close(err_pipe[1]);
	out->pipe = out_pipe[0];
	err->pipe = err_pipe[0];
	return pid;
}

static void write_all(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t done = write(fd, data, length);

		if (done < 0)
			die("port: %m");
		data += done;
		length -= done;
	}
}

/* Passes on what one read gives; false at the end of the pipe. */
static bool pump(struct stream *stream)
{
	static char buffer[65536];
	ssize_t length = read(stream->pipe, buffer, sizeof(buffer));

	if (length <= 0) {
		close(stream->pipe);
		stream->pipe = -1; /* poll() skips it */
		return false;
	}
	write_all(stream->port, buffer, length);
	stream->sent += length;
	return true;
}

/*
 * Reaps what has ended, as PID 1 must; true when nothing is left. When the command ends, what it left running is
 * killed: it would hold the pipes open, and its exit paths belong to the test.
 */
static bool reap(pid_t command, int *status)
{
	int this;
	pid_t pid;

	while ((pid = waitpid(-1, &this, WNOHANG)) > 0) {
		if (pid != command)
			continue;
		*status = WIFEXITED(this) ? WEXITSTATUS(this) : 128 + WTERMSIG(this);
		kill(-1, SIGKILL);
	}
	return pid < 0;
}

static void press_sysrq(void)
{
	char key[2] = "";

	if (read(control, key, 1) == 1)
		write_to("/proc/sysrq-trigger", key);
}

static int run_command(struct stream *out, struct stream *err)
{
	struct signalfd_siginfo info;
	sigset_t child;
	pid_t command;
	int signals, status = 0;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	signals = signalfd(-1, &child, SFD_CLOEXEC);
	if (signals < 0)
		die("signalfd: %m");

	command = start_command(out, err);
	for (;;) {
		struct pollfd polled[] = {
			{ .fd = out->pipe, .events = POLLIN },
			{ .fd = err->pipe, .events = POLLIN },
			{ .fd = control, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
		};

		if (poll(polled, ARRAY_SIZE(polled), -1) < 0)
			die("poll: %m");
		if (polled[0].revents)
			pump(out);
		if (polled[1].revents)
			pump(err);
		if (polled[2].revents & POLLIN)
			press_sysrq();
		if (polled[3].revents) {
			if (read(signals, &info, sizeof(info)) < 0)
				die("signalfd: %m");
			if (reap(command, &status))
				break;
		}
	}

	while (out->pipe >= 0)
		pump(out);
	while (err->pipe >= 0)
		pump(err);
	return status;
}

static unsigned long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* The clock and the time stamp counter at one instant: of many tries, the one that took least. */
static void read_both(unsigned long long *ns, unsigned long long *ticks)
{
	unsigned long long before, after, counter, least = -1ULL;
	int i;

	for (i = 0; i < 100; i++) {
		before = now_ns();
		counter = __builtin_ia32_rdtsc();
		after = now_ns();
		if (after - before >= least)
			continue;
		least = after - before;
		*ns = before;
		*ticks = counter;
	}
}

/* On the host: in kHz, how fast its counter runs, which emulated CPUs have as theirs. */
static int print_tsc_khz(void)
{
	unsigned long long ns[2], ticks[2];

	read_both(&ns[0], &ticks[0]);
	usleep(100000);
	read_both(&ns[1], &ticks[1]);
	return printf("%llu\n", (ticks[1] - ticks[0]) * 1000000 / (ns[1] - ns[0])) < 0;
}

int main(void)
{
	struct stream out, err;
	unsigned long long start = now_ns();
	int kept, status;

	if (getpid() != 1)
		return print_tsc_khz();
	mount_at("dev", "/dev", "devtmpfs", 0, NULL);
	control = open_port(1);
	dprintf(control, "ready\n");
	out = (struct stream){ .port = open_port(2) };
	err = (struct stream){ .port = open_port(3) };
	read_request();
	enter_root();
	kept = open(keep, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (kept < 0)
		die("%s: %m", keep);
	mount_all();
	bring_back(keep, kept);
	set_up();
	mount_shares();
	status = run_command(&out, &err);
	unmount_shares();
	sync();
	dprintf(control, "end %d %llu %llu %llu\n", status, out.sent, err.sent, (now_ns() - start) / 1000000);
	for (;;)
		pause(); /* the runner stops the machine */
}
