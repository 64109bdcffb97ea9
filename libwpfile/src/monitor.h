/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_MONITOR_H
#define WPFILE_MONITOR_H

#include "wpfile.h"

struct wpfile_mon {
	int fd;		/* owned */
};

#endif /* WPFILE_MONITOR_H */
