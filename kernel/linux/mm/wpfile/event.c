// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events: what a monitor tells whoever reads it.
 *
 * The state of a monitor is its bits and those who wait, never this queue.  What
 * does not fit, or finds no memory, is told by one event OVERFLOW, and nothing is
 * unprotected for it.  An event that somebody waits for is part of his hold
 * (hold.c), which there is memory for or he does not wait: it always fits.  So do
 * FAILED and OVERFLOW, which are parts of the mark and of the monitor.
 */
#include <linux/pid.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "wpfile.h"

/* @mark: NULL if it concerns the monitor as a whole. */
void wpfile_note_init(struct wpfile_note *note, struct wpfile_mark *mark,
		      u32 type, pgoff_t index)
{
	*note = (struct wpfile_note) {
		.event = {
			.length = sizeof(note->event),
			.type = type,
			.offset = (u64)index << PAGE_SHIFT,
			.bytes = mark ? PAGE_SIZE : 0,
			.cookie = mark ? mark->cookie : 0,
		},
	};
	INIT_LIST_HEAD(&note->list);
}

/* The caller is the writer, and in the domain: the event may name him. */
void wpfile_note_writer(struct wpfile_note *note)
{
	note->tid = get_pid(task_pid(current));
	note->tgid = get_pid(task_tgid(current));
	note->uid = current_uid();
}

void wpfile_note_destroy(struct wpfile_note *note)
{
	put_pid(note->tid);
	put_pid(note->tgid);
}

static void post_locked(struct wpfile_mon *mon, struct wpfile_note *note)
{
	lockdep_assert_held(&mon->lock);
	note->event.id = ++mon->last_id;
	note->event.time_ns = ktime_get_ns();
	list_add_tail(&note->list, &mon->events);
	wake_up_interruptible(&mon->wait);
}

/* Puts a note into the queue, where it is not yet; keeps it. */
void wpfile_note_post(struct wpfile_mon *mon, struct wpfile_note *note)
{
	guard(spinlock)(&mon->lock);
	if (list_empty(&note->list))
		post_locked(mon, note);
}

/*
 * The capture of a page has failed, or all is lost: where, of the first since the
 * last was read.  The worst is told, where it happened among the others.
 */
void wpfile_note_failure(struct wpfile_mark *mark, pgoff_t index, u64 bytes)
{
	struct wpfile_note *note = &mark->failure;

	guard(spinlock)(&mark->mon->lock);
	if (list_empty(&note->list))
		note->event.offset = (u64)index << PAGE_SHIFT;
	else if (note->event.bytes >= bytes)
		return;
	list_del_init(&note->list);
	note->event.bytes = bytes;
	post_locked(mark->mon, note);
}

/* Takes a note out of the queue, if it is there. */
void wpfile_note_withdraw(struct wpfile_mon *mon, struct wpfile_note *note)
{
	guard(spinlock)(&mon->lock);
	list_del_init(&note->list);
}

static void note_overflow(struct wpfile_mon *mon)
{
	guard(spinlock)(&mon->lock);
	mon->overflows++;
	if (list_empty(&mon->overflow.list))
		post_locked(mon, &mon->overflow);
}

static bool has_room(struct wpfile_mon *mon)
{
	guard(spinlock)(&mon->lock);
	if (mon->nr_queued >= mon->queue_limit)
		return false;
	mon->nr_queued++;
	return true;
}

static struct wpfile_note *note_new(struct wpfile_mark *mark, u32 type,
				    pgoff_t index)
{
	struct wpfile_mon *mon = mark->mon;
	struct wpfile_note *note;

	CLASS(wpfile_debt, debt)();
	if (!has_room(mon))
		return NULL;
	note = kmalloc(sizeof(*note), WPFILE_GFP);
	if (note) {
		wpfile_note_init(note, mark, type, index);
		note->queued = true;
		return note;
	}
	scoped_guard(spinlock, &mon->lock)
		mon->nr_queued--;
	return NULL;
}

/**
 * wpfile_tell - post an event that nobody waits for
 * @mark: of the monitor
 * @type: WPFILE_EVENT_*
 * @outcome: WPFILE_PASSED or WPFILE_DENIED
 * @index: the page
 * @name: the writer is in the domain
 */
void wpfile_tell(struct wpfile_mark *mark, u32 type, u32 outcome,
		 pgoff_t index, bool name)
{
	struct wpfile_mon *mon = mark->mon;
	struct wpfile_note *note = note_new(mark, type, index);

	if (!note) {
		note_overflow(mon);
		return;
	}
	note->event.outcome = outcome;
	if (name)
		wpfile_note_writer(note);
	wpfile_note_post(mon, note);
}

/* The first event, out of the queue, as a copy for the reader.  False: none. */
static bool take(struct wpfile_mon *mon, struct wpfile_event *event)
{
	struct wpfile_note *note;
	bool queued;

	scoped_guard(spinlock, &mon->lock) {
		note = list_first_entry_or_null(&mon->events,
						struct wpfile_note, list);
		if (!note)
			return false;
		list_del_init(&note->list);
		*event = note->event;
		if (note->tid) {
			event->tid = pid_vnr(note->tid);
			event->tgid = pid_vnr(note->tgid);
			event->uid = from_kuid_munged(current_user_ns(),
						      note->uid);
		}
		queued = note->queued;
		if (queued)
			mon->nr_queued--;
	}
	if (queued) {
		wpfile_note_destroy(note);
		kfree(note);
	}
	return true;
}

/**
 * wpfile_read_events - as many events as there are and fit
 * @mon: the monitor
 * @buf: where to
 * @count: bytes
 *
 * An event is gone when it is taken: a reader whose buffer is bad has lost it,
 * so the buffer is tried first.
 *
 * Return: bytes, 0 for no event, or -EFAULT.
 */
ssize_t wpfile_read_events(struct wpfile_mon *mon, char __user *buf,
			   size_t count)
{
	struct wpfile_event event;
	size_t done = 0;

	while (count - done >= sizeof(event)) {
		if (clear_user(buf + done, sizeof(event)))
			return done ?: -EFAULT;
		if (!take(mon, &event))
			break;
		if (copy_to_user(buf + done, &event, sizeof(event)))
			return done ?: -EFAULT;
		done += sizeof(event);
	}
	return done;
}

void wpfile_events_destroy(struct wpfile_mon *mon)
{
	struct wpfile_note *note, *next;

	list_for_each_entry_safe(note, next, &mon->events, list) {
		if (!note->queued)
			continue;
		wpfile_note_destroy(note);
		kfree(note);
	}
}
