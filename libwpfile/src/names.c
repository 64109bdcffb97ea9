// SPDX-License-Identifier: LGPL-2.1-or-later
/* The names of the kernel's numbers. */
#include "wpfile.h"

static const char *const mode_names[] = {
	[WPFILE_TRACK]		= "track",
	[WPFILE_CAPTURE]	= "capture",
	[WPFILE_SYNC]		= "sync",
	[WPFILE_DENY]		= "deny",
};

static const char *const event_names[] = {
	[WPFILE_EVENT_FAILED]	= "failed",
	[WPFILE_EVENT_OVERFLOW]	= "overflow",
	[WPFILE_EVENT_STORE]	= "store",
	[WPFILE_EVENT_WRITE]	= "write",
	[WPFILE_EVENT_DISCARD]	= "discard",
	[WPFILE_EVENT_FILL]	= "fill",
	[WPFILE_EVENT_PIN]	= "pin",
};

static const char *const outcome_names[] = {
	[WPFILE_PASSED]		= "passed",
	[WPFILE_WAITING]	= "waiting",
	[WPFILE_DENIED]		= "denied",
};

static const char *name_of(const char *const *names, size_t nr, unsigned int i)
{
	return i < nr && names[i] ? names[i] : "?";
}

#define NAME_OF(names, i) name_of(names, sizeof(names) / sizeof(names[0]), i)

const char *wpfile_mode_name(unsigned int mode)
{
	return NAME_OF(mode_names, mode);
}

const char *wpfile_event_name(unsigned int type)
{
	return NAME_OF(event_names, type);
}

const char *wpfile_outcome_name(unsigned int outcome)
{
	return NAME_OF(outcome_names, outcome);
}
