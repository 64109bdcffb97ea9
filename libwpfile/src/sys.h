/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_SYS_H
#define WPFILE_SYS_H

#include <errno.h>
#include <stdint.h>

/*
 * Every libc call that can set errno is made through here: its result, or a
 * negative errno, with errno as it was.
 */
#define sys(call)						\
	({							\
		int sys_errno_ = errno;				\
		int64_t sys_ret_ = (call);			\
								\
		if (sys_ret_ < 0)				\
			sys_ret_ = -errno;			\
		errno = sys_errno_;				\
		sys_ret_;					\
	})

/* The same for what must not be disturbed by signals. */
#define sys_retry(call)						\
	({							\
		int64_t sys_retry_;				\
								\
		do						\
			sys_retry_ = sys(call);			\
		while (sys_retry_ == -EINTR);			\
		sys_retry_;					\
	})

/* The same for allocations. */
#define sys_alloc(call)						\
	({							\
		int sys_errno_ = errno;				\
		void *sys_mem_ = (call);			\
								\
		errno = sys_errno_;				\
		sys_mem_;					\
	})

#endif /* WPFILE_SYS_H */
