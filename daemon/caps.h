/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon itself may do: as little as there is. */
#ifndef WPFILED_CAPS_H
#define WPFILED_CAPS_H

/*
 * Keeps CAP_FOWNER (files of others) and CAP_SYS_PTRACE (writers of others wait for
 * the daemon), gives up all else, for ever.  Before any thread is made.  -EPERM,
 * after a line in the log that tells what is missing.
 */
int caps_confine(void);

#endif /* WPFILED_CAPS_H */
