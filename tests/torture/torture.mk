# SPDX-License-Identifier: GPL-2.0-or-later
#
# The torture; see tests/torture/README.md. Included by the top-level Makefile, after tests/kernel/kernel-tests.mk, whose
# helpers and flags it uses; paths are from there.

TORTURE_OUT	:= $(BUILD)/tests/torture
TORTURE_OBJ	:= $(addprefix $(TORTURE_OUT)/,$(patsubst tests/torture/%.c,%.o,$(wildcard tests/torture/*.c)))
MINUTES		?= 60

# What SLUB is to note for --exits: of all caches would take much longer.
TORTURE_NOTES	= slab_debug=U,kmalloc-cg-*,maple_node,filp,shmem_inode_cache

# 64 processes that KASAN slows down queue for four inode locks: on a busy machine with emulated CPUs more than 180 s.
TORTURE_PATIENCE = sysctl.kernel.hung_task_timeout_secs=900

# Each run ends when MINUTES have passed and everything has happened once.
TORTURE_SECONDS	= $(shell echo $$(($(MINUTES) * 60)))
TORTURE_IN	= tests/vm/run --cpus 4 --mem 2G --numa 2 --swap 512M --timeout $$(($(TORTURE_SECONDS) + 1200)) \
		  --append '$(TORTURE_PATIENCE)'

.PHONY: torture-build torture-run

torture-build: $(TORTURE_OUT)/torture

$(TORTURE_OUT)/%.o: tests/torture/%.c | $(BUILD)/linux-stock.stamp
	@mkdir -p $(@D)
	@$(CC) $(KTEST_FLAGS) -MMD -MP -c -o $@ $<

$(TORTURE_OUT)/torture: $(TORTURE_OBJ) $(KTEST_COMMON:%=$(KTEST_OUT)/%.o)
	@$(CC) $(KTEST_FLAGS) -o $@ $^

torture-run: torture-build $(BUILD)/vm/init ## each error exit, then all three for MINUTES each, kernels being there
	$(TORTURE_IN) --kernel debug --append '$(TORTURE_PATIENCE) $(TORTURE_NOTES)' -- $(TORTURE_OUT)/torture --exits
	$(TORTURE_IN) --kernel debug -- $(TORTURE_OUT)/torture --seconds $(TORTURE_SECONDS)
	$(TORTURE_IN) --kernel race -- $(TORTURE_OUT)/torture --seconds $(TORTURE_SECONDS)
	$(TORTURE_IN) --kernel debug -- $(TORTURE_OUT)/torture --seconds $(TORTURE_SECONDS) --faults

-include $(wildcard $(TORTURE_OUT)/*.d)
