/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef WRITERS_H
#define WRITERS_H

#include "demo.h"

void writer_op(struct task *t, uint64_t op);
void writer_quit_if_told(struct task *t);

#endif
