# SPDX-License-Identifier: GPL-2.0-or-later
#
# Fuzzing of everything that parses what somebody else wrote, for inclusion by the Makefile at the root.
#
#   fuzz-build		build/fuzz/NAME, with libFuzzer (clang)
#   fuzz-replay		build/fuzz/replay/NAME, which runs over files, with whatever CC is
#
# A target is fuzz/NAME.c, and takes what it needs from an archive of all that is to be fuzzed.

FUZZ		:= $(BUILD)/fuzz
FUZZ_CC		?= clang
FUZZ_COMPILE	 = -std=gnu11 -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
		   -Wall -Wextra -Werror -Wshadow $(USER_CPPFLAGS) -Ilibwpfile/src -Ictl -Idaemon -Ifuzz -MMD -MP
FUZZ_LIBS	 = $(shell $(PKG_CONFIG) --libs inih libcap-ng)

FUZZ_TARGETS	:= event fdinfo maps parse policy range wire
FUZZ_OF		:= $(LIB_SRC) ctl/parse.c $(addprefix daemon/,config.c policy.c rule.c)

FUZZ_PROGRAMS	:= $(FUZZ_TARGETS:%=$(FUZZ)/%)
FUZZ_REPLAYS	:= $(FUZZ_TARGETS:%=$(FUZZ)/replay/%)

.PHONY: fuzz-build fuzz-replay

fuzz-build: $(FUZZ_PROGRAMS)
fuzz-replay: $(FUZZ_REPLAYS)

$(FUZZ)/obj/%.o: %.c fuzz/fuzz.mk
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(FUZZ_COMPILE) -fsanitize=fuzzer-no-link -c -o $@ $<

$(FUZZ)/replay/obj/%.o: %.c fuzz/fuzz.mk
	@mkdir -p $(@D)
	@$(CC) $(FUZZ_COMPILE) -c -o $@ $<

$(FUZZ)/obj/all.a: $(FUZZ_OF:%.c=$(FUZZ)/obj/%.o)
$(FUZZ)/replay/obj/all.a: $(FUZZ_OF:%.c=$(FUZZ)/replay/obj/%.o)

$(FUZZ)/obj/all.a $(FUZZ)/replay/obj/all.a:
	@rm -f $@
	@$(AR) rcs $@ $^

$(FUZZ_PROGRAMS): $(FUZZ)/%: $(FUZZ)/obj/fuzz/%.o $(FUZZ)/obj/all.a
	$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -o $@ $^ $(FUZZ_LIBS)

$(FUZZ_REPLAYS): $(FUZZ)/replay/%: $(FUZZ)/replay/obj/fuzz/%.o $(FUZZ)/replay/obj/fuzz/replay.o $(FUZZ)/replay/obj/all.a
	$(CC) -fsanitize=address,undefined -o $@ $^ $(FUZZ_LIBS)

-include $(wildcard $(FUZZ)/obj/*/*.d $(FUZZ)/obj/*/*/*.d $(FUZZ)/replay/obj/*/*.d $(FUZZ)/replay/obj/*/*/*.d)
