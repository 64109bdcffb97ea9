// SPDX-License-Identifier: GPL-2.0-or-later
/* What comes with a message: nothing is dropped before it is said to be. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* The library has one, too. */
#include "../packet.h"
#include "unit.h"

#define MAX_FDS		3

static int sockets[2];

static int set_up(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets);
}

static int tear_down(void **state)
{
	(void)state;
	close(sockets[0]);
	close(sockets[1]);
	return 0;
}

/* They are then nobody's but the message's. */
static void pass(const int *fds_take, size_t nr)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * MAX_FDS)] = { 0 };
	struct iovec iov = { "hello", 5 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(sizeof(int) * nr),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	size_t i;

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nr);
	memcpy(CMSG_DATA(cmsg), fds_take, sizeof(int) * nr);
	assert_int_equal(sendmsg(sockets[0], &msg, 0), 5);
	for (i = 0; i < nr; i++)
		close(fds_take[i]);
}

/* Has nobody the other end of the pipe? */
static bool has_ended(int reader)
{
	char byte;

	return !read(reader, &byte, 1);
}

static void to_look_drops_nothing(void **state)
{
	int pipes[MAX_FDS][2], writers[MAX_FDS];
	struct incoming incoming;
	size_t nr, i;

	(void)state;
	for (nr = 1; nr <= MAX_FDS; nr++) {
		for (i = 0; i < nr; i++) {
			assert_int_equal(pipe2(pipes[i], O_NONBLOCK), 0);
			writers[i] = pipes[i][1];
		}
		pass(writers, nr);
		assert_int_equal(packet_receive(sockets[1], &incoming), 0);
		assert_int_equal(incoming.size, 5);
		assert_int_equal(incoming.nr_fds, nr < MAX_FDS ? nr : MAX_PASSED);
		assert_int_equal(incoming.unread, nr == MAX_FDS);
		assert_false(incoming.lost_fds);
		for (i = 0; i < nr; i++)
			assert_false(has_ended(pipes[i][0]));
		incoming_drop(sockets[1], &incoming);
		for (i = 0; i < nr; i++) {
			assert_true(has_ended(pipes[i][0]));
			close(pipes[i][0]);
		}
		assert_int_equal(packet_receive(sockets[1], &incoming), -EAGAIN);
	}
}

static bool is_light(int fd_take)
{
	struct incoming incoming;
	bool light;

	pass(&fd_take, 1);
	assert_int_equal(packet_receive(sockets[1], &incoming), 0);
	light = incoming_is_light(&incoming);
	incoming_drop(sockets[1], &incoming);
	return light;
}

static void little_memory_is_light(void **state)
{
	int fd = memfd_create("test", 0);

	(void)state;
	assert_int_equal(ftruncate(fd, 1L << 40), 0);
	assert_int_equal(fallocate(fd, 0, 0, 1 << 20), 0);
	assert_true(is_light(fd));
	fd = memfd_create("test", 0);
	assert_int_equal(fallocate(fd, 0, 0, 17 << 20), 0);
	assert_false(is_light(fd));
	assert_false(is_light(open("/dev/null", O_RDONLY)));
	assert_false(is_light(open("/dev/shm", O_TMPFILE | O_RDWR, 0600)));
	fd = memfd_create("test", MFD_ALLOW_SEALING);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_false(is_light(fd));
	assert_false(is_light(socket(AF_UNIX, SOCK_STREAM, 0)));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(to_look_drops_nothing, set_up, tear_down),
	cmocka_unit_test_setup_teardown(little_memory_is_light, set_up, tear_down),
};

SUITE(packet_suite, tests);
