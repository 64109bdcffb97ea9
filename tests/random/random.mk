# SPDX-License-Identifier: GPL-2.0-only
# The random tester: a fragment of the top-level Makefile, behind tests/kernel/kernel-tests.mk.
#
# make random-test: builds it to build/tests/random/random.

RANDOM_OUT := $(BUILD)/tests/random
RANDOM_SRC := $(wildcard tests/random/*.c)
RANDOM_OBJ := $(RANDOM_SRC:tests/random/%.c=$(RANDOM_OUT)/%.o)

random-test: $(RANDOM_OUT)/random
.PHONY: random-test

$(RANDOM_OUT)/%.o: tests/random/%.c
	@mkdir -p $(@D)
	@$(CC) $(KTEST_FLAGS) -MMD -MP -c -o $@ $<

$(RANDOM_OUT)/random: $(RANDOM_OBJ) $(KTEST_COMMON:%=$(KTEST_OUT)/%.o)
	@$(CC) $(KTEST_FLAGS) -o $@ $^

-include $(wildcard $(RANDOM_OUT)/*.d)
