# SPDX-License-Identifier: GPL-2.0-or-later
#
# The examples, for inclusion by the Makefile at the root, after libwpfile.mk.
#
#   examples		build/examples/live-snapshot, poolguard, writers

EXAMPLES	:= $(BUILD)/examples
EXAMPLE_NAMES	:= live-snapshot poolguard writers
EXAMPLE_HEADERS	:= $(wildcard examples/*.h) libwpfile/include/wpfile.h uapi/linux/wpfile.h

.PHONY: examples

examples: $(EXAMPLE_NAMES:%=$(EXAMPLES)/%)

$(EXAMPLES)/poolguard: examples/pool.c

# As a program of somebody else's is built: nothing of the library but its header.
$(EXAMPLES)/%: examples/%.c $(EXAMPLE_HEADERS) $(LIB)/libwpfile.a examples/examples.mk
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE $(USER_WARN) $(USER_CFLAGS) -Iuapi -Ilibwpfile/include -o $@ $(filter %.c %.a,$^)
