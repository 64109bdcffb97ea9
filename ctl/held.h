/* SPDX-License-Identifier: GPL-2.0-or-later */
/* held.c: what wpfiled holds. */
#ifndef WPFILECTL_HELD_H
#define WPFILECTL_HELD_H

#include "holders.h"

int held_list(const struct args *args, const struct filter *filter);
int held_release(const struct args *args);
int held_metrics(const struct args *args);

#endif /* WPFILECTL_HELD_H */
