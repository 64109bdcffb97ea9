/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM wpfile

#if !defined(_TRACE_WPFILE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_WPFILE_H

#include <linux/fs.h>
#include <linux/tracepoint.h>
#include <uapi/linux/wpfile.h>

#define show_wpfile_mode(mode)				\
	__print_symbolic(mode,				\
		{ WPFILE_TRACK,		"track" },	\
		{ WPFILE_CAPTURE,	"capture" },	\
		{ WPFILE_SYNC,		"sync" },	\
		{ WPFILE_DENY,		"deny" })

/* A protected page is about to be written. */
TRACE_EVENT(wpfile_write,
	TP_PROTO(struct inode *inode, u32 mode, pgoff_t index),
	TP_ARGS(inode, mode, index),
	TP_STRUCT__entry(
		__field(dev_t,		dev)
		__field(ino_t,		ino)
		__field(u32,		mode)
		__field(pgoff_t,	index)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->mode = mode;
		__entry->index = index;
	),
	TP_printk("dev %d:%d ino 0x%lx mode %s index 0x%lx",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  (unsigned long)__entry->ino, show_wpfile_mode(__entry->mode),
		  (unsigned long)__entry->index)
);

/* A cut has ended. */
TRACE_EVENT(wpfile_cut,
	TP_PROTO(struct inode *inode, loff_t size, u64 ns, int err),
	TP_ARGS(inode, size, ns, err),
	TP_STRUCT__entry(
		__field(dev_t,		dev)
		__field(ino_t,		ino)
		__field(loff_t,		size)
		__field(u64,		ns)
		__field(int,		err)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->size = size;
		__entry->ns = ns;
		__entry->err = err;
	),
	TP_printk("dev %d:%d ino 0x%lx size %lld ns %llu err %d",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  (unsigned long)__entry->ino, __entry->size, __entry->ns,
		  __entry->err)
);

/* Content was lost. */
TRACE_EVENT(wpfile_fail,
	TP_PROTO(struct inode *inode, pgoff_t index, int err),
	TP_ARGS(inode, index, err),
	TP_STRUCT__entry(
		__field(dev_t,		dev)
		__field(ino_t,		ino)
		__field(pgoff_t,	index)
		__field(int,		err)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->index = index;
		__entry->err = err;
	),
	TP_printk("dev %d:%d ino 0x%lx index 0x%lx err %d",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  (unsigned long)__entry->ino, (unsigned long)__entry->index,
		  __entry->err)
);

#endif /* _TRACE_WPFILE_H */

#include <trace/define_trace.h>
