/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WPFILE_MAPS_H
#define WPFILE_MAPS_H

#include <stdbool.h>

#include "wpfile.h"

/* Pure functions on the text of /proc/PID/maps. */

/* @name as in wpfile_each_map(), not NULL. */
bool wpfile_map_matches(const struct wpfile_map *map, const char *name);

/* wpfile_each_map() for @text, whose line ends are overwritten. */
int wpfile_maps_text(char *text, const char *name, wpfile_map_fn fn, void *data);

#endif /* WPFILE_MAPS_H */
