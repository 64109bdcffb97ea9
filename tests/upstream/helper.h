/* SPDX-License-Identifier: GPL-2.0-only */
/* ioctl()s of /sys/kernel/debug/upstream; the argument is a file descriptor. */
#include <linux/ioctl.h>

#define HELPER_WRITE_PROTECT	_IO('w', 1)	/* returns how many entries were writable */
#define HELPER_WRITE_OUT	_IO('w', 2)	/* the folio at 0, if nobody maps it */
#define HELPER_PAGES		512
