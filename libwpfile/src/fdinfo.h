/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_FDINFO_H
#define WPFILE_FDINFO_H

#include "wpfile.h"

/*
 * A pure function on the text of /proc/PID/fdinfo/FD.  0, -ENOTTY if it is not that
 * of a monitor or a snapshot, -EBADMSG if it is not understood.
 */
int wpfile_fdinfo_text(const char *text, struct wpfile_mon_info *ret_info);

#endif /* WPFILE_FDINFO_H */
