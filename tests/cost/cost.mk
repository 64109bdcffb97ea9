# SPDX-License-Identifier: GPL-2.0-or-later
# What the hooks cost, in instructions; see tests/cost/run. A fragment of the top-level Makefile, after kernel-tests.mk.

COST_OUT := $(BUILD)/tests/cost

# One binary for all kernels: another layout of it would count differently. Static: no work of a loader's in it.
$(COST_OUT)/cost: tests/cost/cost.c tests/kernel/common.h $(patsubst %,$(KTEST_OUT)/%.o,ioctl system uffd)
	@mkdir -p $(@D)
	@$(CC) $(KTEST_FLAGS) -static -o $@ $(filter %.c %.o,$^)
