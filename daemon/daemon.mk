# SPDX-License-Identifier: GPL-2.0-or-later
#
# wpfiled, for inclusion by the Makefile at the root, after libwpfile.mk and ctl.mk.
#
#   daemon		build/wpfiled
#   install-daemon	with PREFIX, SBINDIR, SYSCONFDIR and DESTDIR
#   man			manual pages, build/man/
#   daemon-unit		build/tests/daemon/unit, which runs on any host
#   torture-daemon-run, test-daemon-checks-run	in the virtual machine

SBINDIR		?= $(PREFIX)/sbin
SYSCONFDIR	?= /etc
DAEMON		:= $(BUILD)/daemon
DAEMON_SRC	:= $(wildcard daemon/*.c)
DAEMON_OBJ	:= $(DAEMON_SRC:daemon/%.c=$(DAEMON)/%.o)
DAEMON_MAN	:= $(BUILD)/man/wpfiled.8 $(BUILD)/man/wpfiled.conf.5
DAEMON_LIBS	 = $(shell $(PKG_CONFIG) --libs libsystemd inih libcap-ng \
			liburcu liburcu-cds)
# What the daemon has in common with the others: the decoder, and numbers.
DAEMON_COMPILE	 = $(USER_COMPILE) -Ilibwpfile/src -Ictl

.PHONY: daemon install-daemon daemon-unit torture-daemon-run test-daemon-checks-run

daemon: $(BUILD)/wpfiled

$(DAEMON)/%.o: daemon/%.c daemon/daemon.mk libwpfile/libwpfile.mk
	$(DAEMON_COMPILE) -c -o $@ $<

$(BUILD)/wpfiled: $(DAEMON_OBJ) $(BUILD)/ctl/parse.o $(LIB)/libwpfile.a
	$(CC) $(USER_CFLAGS) $(LDFLAGS) -o $@ $^ $(DAEMON_LIBS) -lpthread

install-daemon: daemon $(DAEMON_MAN)
	$(INSTALL) -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(SYSCONFDIR)/wpfile \
		$(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8
	$(INSTALL) -m 755 $(BUILD)/wpfiled $(DESTDIR)$(SBINDIR)/
	[ -e $(DESTDIR)$(SYSCONFDIR)/wpfile/wpfiled.conf ] || $(INSTALL) -m 644 \
		daemon/wpfiled.conf $(DESTDIR)$(SYSCONFDIR)/wpfile/
	$(INSTALL) -m 644 $(BUILD)/man/wpfiled.conf.5 $(DESTDIR)$(MANDIR)/man5/
	$(INSTALL) -m 644 $(BUILD)/man/wpfiled.8 $(DESTDIR)$(MANDIR)/man8/

man: $(DAEMON_MAN)

$(DAEMON_MAN): $(BUILD)/man/%: daemon/%.scd
	@mkdir -p $(@D)
	$(SCDOC) <$< >$@.new && mv $@.new $@

# Unit tests: all but main(), against the host.
DAEMON_UNIT	:= $(BUILD)/tests/daemon
DAEMON_UNIT_SRC	:= $(wildcard daemon/tests/*.c)
DAEMON_UNIT_OBJ	:= $(DAEMON_UNIT_SRC:daemon/tests/%.c=$(DAEMON_UNIT)/%.o)
DAEMON_UNIT_WRAP := -Wl,--wrap=poll,--wrap=capng_get_caps_process,--wrap=ioctl,--wrap=client_finish,--wrap=client_doom

daemon-unit: $(DAEMON_UNIT)/unit

$(DAEMON_UNIT)/%.o: daemon/tests/%.c daemon/daemon.mk libwpfile/libwpfile.mk
	$(DAEMON_COMPILE) -Idaemon -c -o $@ $<

$(DAEMON_UNIT)/unit: $(DAEMON_UNIT_OBJ) $(filter-out $(DAEMON)/main.o,$(DAEMON_OBJ)) \
		$(BUILD)/ctl/parse.o $(LIB)/libwpfile.a
	$(CC) $(USER_CFLAGS) $(DAEMON_UNIT_WRAP) -o $@ $^ $(DAEMON_LIBS) \
		$(CMOCKA_LIBS) -lpthread

# In the virtual machine.  MINUTES as told, or 10.
DAEMON_MINUTES	= $(if $(findstring command,$(origin MINUTES)),$(MINUTES),10)

torture-daemon-run: daemon
	@tests/vm/run --kernel vm --cpus 2 --mem 1G \
		--timeout $$(($(DAEMON_MINUTES) * 60 + 300)) -- \
		daemon/tests/torture.py --minutes $(DAEMON_MINUTES)

test-daemon-checks-run: daemon daemon-unit
	@daemon/tests/checks build
	@tests/vm/run --kernel vm --cpus 2 --mem 1G --timeout 3600 -- \
		daemon/tests/checks run

-include $(DAEMON_OBJ:.o=.d) $(DAEMON_UNIT_OBJ:.o=.d)
