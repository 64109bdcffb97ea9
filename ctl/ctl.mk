# SPDX-License-Identifier: GPL-2.0-or-later
#
# wpfilectl, for inclusion by the Makefile at the root, after libwpfile.mk.
#
#   ctl			build/wpfilectl
#   install-ctl		with PREFIX, BINDIR and DESTDIR
#   man			manual pages, build/man/

BINDIR		?= $(PREFIX)/bin
CTL		:= $(BUILD)/ctl
CTL_SRC		:= $(wildcard ctl/*.c)
CTL_OBJ		:= $(CTL_SRC:ctl/%.c=$(CTL)/%.o)
JANSSON_LIBS	 = $(shell $(PKG_CONFIG) --libs jansson)

.PHONY: ctl install-ctl man

ctl: $(BUILD)/wpfilectl

$(CTL)/%.o: ctl/%.c ctl/ctl.mk libwpfile/libwpfile.mk
	$(USER_COMPILE) -c -o $@ $<

$(BUILD)/wpfilectl: $(CTL_OBJ) $(LIB)/libwpfile.a
	$(CC) $(USER_CFLAGS) $(LDFLAGS) -o $@ $^ $(JANSSON_LIBS)

install-ctl: ctl $(BUILD)/man/wpfilectl.1
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1
	$(INSTALL) -m 755 $(BUILD)/wpfilectl $(DESTDIR)$(BINDIR)/
	$(INSTALL) -m 644 $(BUILD)/man/wpfilectl.1 $(DESTDIR)$(MANDIR)/man1/

man: $(BUILD)/man/wpfilectl.1

$(BUILD)/man/wpfilectl.1: ctl/wpfilectl.1.scd
	@mkdir -p $(@D)
	$(SCDOC) <$< >$@.new && mv $@.new $@

-include $(CTL_OBJ:.o=.d)
