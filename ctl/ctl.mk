# SPDX-License-Identifier: GPL-2.0-or-later
#
# wpfilectl, for inclusion by the Makefile at the root, after libwpfile.mk.
#
#   ctl			build/wpfilectl
#   install-ctl		with PREFIX, BINDIR, BASHCOMPDIR, ZSHCOMPDIR and DESTDIR
#   man			manual pages, build/man/

BINDIR		?= $(PREFIX)/bin
CTL		:= $(BUILD)/ctl
CTL_SRC		:= $(wildcard ctl/*.c)
CTL_OBJ		:= $(CTL_SRC:ctl/%.c=$(CTL)/%.o)
BASHCOMPDIR	?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR	?= $(PREFIX)/share/zsh/site-functions
JANSSON_LIBS	 = $(shell $(PKG_CONFIG) --libs jansson)

.PHONY: ctl install-ctl man

ctl: $(BUILD)/wpfilectl

$(CTL)/%.o: ctl/%.c ctl/ctl.mk libwpfile/libwpfile.mk
	$(USER_COMPILE) -c -o $@ $<

$(BUILD)/wpfilectl: $(CTL_OBJ) $(LIB)/libwpfile.a
	$(CC) $(USER_CFLAGS) $(LDFLAGS) -o $@ $^ $(JANSSON_LIBS)

# It writes them from its own tables.
$(CTL)/completion.%: $(BUILD)/wpfilectl
	$< --print-completion $* >$@.new && mv $@.new $@

install-ctl: ctl $(BUILD)/man/wpfilectl.1 $(CTL)/completion.bash \
		$(CTL)/completion.zsh
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 \
		$(DESTDIR)$(BASHCOMPDIR) $(DESTDIR)$(ZSHCOMPDIR)
	$(INSTALL) -m 755 $(BUILD)/wpfilectl $(DESTDIR)$(BINDIR)/
	$(INSTALL) -m 644 $(BUILD)/man/wpfilectl.1 $(DESTDIR)$(MANDIR)/man1/
	$(INSTALL) -m 644 $(CTL)/completion.bash $(DESTDIR)$(BASHCOMPDIR)/wpfilectl
	$(INSTALL) -m 644 $(CTL)/completion.zsh $(DESTDIR)$(ZSHCOMPDIR)/_wpfilectl

man: $(BUILD)/man/wpfilectl.1

$(BUILD)/man/wpfilectl.1: ctl/wpfilectl.1.scd
	@mkdir -p $(@D)
	$(SCDOC) <$< >$@.new && mv $@.new $@

-include $(CTL_OBJ:.o=.d)
