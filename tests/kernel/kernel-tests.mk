# SPDX-License-Identifier: GPL-2.0-only
# The tests of the kernel part: a fragment of the top-level Makefile.
#
# make kernel-tests: builds them to build/tests/kernel/ (gcc, gcc-multilib and the unpacked kernel source are needed).

KTEST_OUT := $(BUILD)/tests/kernel
KTEST_HARNESS := $(BUILD)/linux-stock/tools/testing/selftests

KTEST_PLAIN := basic holes capture track self abuse abuse_ranges abuse_file rights races collapse mirror life limits race reuse snapmap coredump attach throttle
KTEST_PLAIN += sync sync_tasks sync_locks discards deny deny_events flips domain attack join_forbid rights_sync quotas monitors charges arming
KTEST_WITH_WAYS := stores events kinds gates sites pins sync_calls
KTEST_COMMON := ioctl pages area system memory hint loop overlay uffd worker wait watch tries passing who
KTEST_WAYS := ways_map ways_gup ways_uring ways_event ways_file

KTEST_FLAGS := -O2 -g -Wall -Wextra -Werror -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -pthread \
	-Iuapi -isystem $(KTEST_HARNESS)
KTEST_PROGRAMS := $(addprefix $(KTEST_OUT)/,$(KTEST_PLAIN) $(KTEST_WITH_WAYS) compat32)

kernel-tests: $(KTEST_PROGRAMS)
.PHONY: kernel-tests

$(KTEST_OUT)/%.o: tests/kernel/%.c | $(BUILD)/linux-stock.stamp
	@mkdir -p $(@D)
	@$(CC) $(KTEST_FLAGS) -MMD -MP -c -o $@ $<

$(KTEST_OUT)/%.o32: tests/kernel/%.c | $(BUILD)/linux-stock.stamp
	@mkdir -p $(@D)
	@$(CC) -m32 $(KTEST_FLAGS) -MMD -MP -MF $@.d -c -o $@ $<

$(addprefix $(KTEST_OUT)/,$(KTEST_WITH_WAYS)): $(KTEST_WAYS:%=$(KTEST_OUT)/%.o)
$(addprefix $(KTEST_OUT)/,$(KTEST_WITH_WAYS)): KTEST_LIBS := -luring
$(addprefix $(KTEST_OUT)/,$(KTEST_PLAIN) $(KTEST_WITH_WAYS)): $(KTEST_OUT)/%: $(KTEST_OUT)/%.o \
		$(KTEST_COMMON:%=$(KTEST_OUT)/%.o)
	@$(CC) $(KTEST_FLAGS) -o $@ $^ $(KTEST_LIBS)

$(KTEST_OUT)/compat32: $(KTEST_OUT)/compat32.o32 $(KTEST_COMMON:%=$(KTEST_OUT)/%.o32)
	@$(CC) -m32 $(KTEST_FLAGS) -o $@ $^

-include $(wildcard $(KTEST_OUT)/*.d)
