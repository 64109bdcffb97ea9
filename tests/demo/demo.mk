# SPDX-License-Identifier: GPL-2.0-or-later
#
# The demos; see tests/demo/README.md. Included by the top-level Makefile; paths are from there.

DEMO_CFLAGS	:= -O2 -g -Wall -Wextra -Werror -Iuapi
DEMO_SRC	:= $(addprefix tests/demo/,causal.c report.c model.c kinds.c writers.c engine.c check.c spoil.c)
DEMO_HDR	:= $(addprefix tests/demo/,demo.h report.h writers.h) uapi/linux/wpfile.h

.PHONY: demo-build demo-run demo-selftest demo-postgres-run

demo-build: build/demo/causal

build/demo/causal: $(DEMO_SRC) $(DEMO_HDR)
	@mkdir -p $(@D)
	@$(CC) $(DEMO_CFLAGS) -o $@ $(DEMO_SRC)

demo-run: build/demo/causal build/vm/init ## the causal demo, kernel and packages being there
	@tests/vm/run --kernel vm --cpus 2 --mem 1G --timeout 180 -- $<

# On this machine's own kernel: the demo's check, against copies made without wpfile.
demo-selftest: build/demo/causal
	@tests/demo/selftest.sh

demo-postgres-run: build/wpfilectl build/vm/init
	@tests/vm/run --kernel vm --cpus 2 --mem 3G --timeout 400 -- tests/demo/postgres.sh
