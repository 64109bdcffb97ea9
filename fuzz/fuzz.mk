# SPDX-License-Identifier: GPL-2.0-or-later
#
# Fuzzing of everything that parses what somebody else wrote, for inclusion by the Makefile at the root.
#
#   fuzz-build		build/fuzz/NAME, with libFuzzer (clang)
#   fuzz-replay		build/fuzz/replay/NAME, which runs over files, with whatever CC is
#
# A target is fuzz/NAME.c and what it is linked with; ASan and UBSan are in both.

FUZZ		:= $(BUILD)/fuzz
FUZZ_CC		?= clang
FUZZ_CFLAGS	:= -std=gnu11 -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
		   -Wall -Wextra -Werror -Wshadow $(USER_CPPFLAGS) -Ilibwpfile/src -Ictl -Idaemon -Ifuzz

FUZZ_TARGETS	:= event fdinfo maps parse policy range wire
FUZZ_OF_event	:= $(addprefix libwpfile/src/,event.c backlog.c)
FUZZ_OF_fdinfo	:= $(addprefix libwpfile/src/,fdinfo.c number.c names.c)
FUZZ_OF_maps	:= $(addprefix libwpfile/src/,maps.c number.c)
FUZZ_OF_parse	:= ctl/parse.c
FUZZ_OF_policy	:= $(addprefix daemon/,config.c policy.c rule.c) ctl/parse.c
FUZZ_OF_range	:= ctl/parse.c
FUZZ_OF_wire	:= $(addprefix libwpfile/src/,wire.c event.c backlog.c)
FUZZ_LIBS_policy := -linih -lcap-ng

FUZZ_PROGRAMS	:= $(FUZZ_TARGETS:%=$(FUZZ)/%)
FUZZ_REPLAYS	:= $(FUZZ_TARGETS:%=$(FUZZ)/replay/%)
FUZZ_HEADERS	:= $(wildcard fuzz/*.h libwpfile/include/*.h libwpfile/src/*.h ctl/*.h daemon/*.h uapi/linux/*.h)

.PHONY: fuzz-build fuzz-replay

fuzz-build: $(FUZZ_PROGRAMS)
fuzz-replay: $(FUZZ_REPLAYS)

define FUZZ_RULES
$(FUZZ)/$(1): fuzz/$(1).c $(FUZZ_OF_$(1)) $(FUZZ_HEADERS) fuzz/fuzz.mk
	@mkdir -p $$(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer -o $$@ $$(filter %.c,$$^) $(FUZZ_LIBS_$(1))

$(FUZZ)/replay/$(1): fuzz/$(1).c $(FUZZ_OF_$(1)) fuzz/replay.c $(FUZZ_HEADERS) fuzz/fuzz.mk
	@mkdir -p $$(@D)
	$(CC) $(FUZZ_CFLAGS) -o $$@ $$(filter %.c,$$^) $(FUZZ_LIBS_$(1))
endef

$(foreach target,$(FUZZ_TARGETS),$(eval $(call FUZZ_RULES,$(target))))
