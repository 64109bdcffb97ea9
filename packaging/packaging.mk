# SPDX-License-Identifier: GPL-2.0-or-later
#
# Units of systemd, for inclusion by the Makefile at the root.
#
#   install-systemd	with UNITDIR, SYSUSERSDIR, TMPFILESDIR and DESTDIR

UNITDIR		?= /lib/systemd/system
SYSUSERSDIR	?= /usr/lib/sysusers.d
TMPFILESDIR	?= /usr/lib/tmpfiles.d

.PHONY: install-systemd

install-systemd:
	$(INSTALL) -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) $(DESTDIR)$(TMPFILESDIR)
	$(INSTALL) -m 644 packaging/systemd/wpfiled.service packaging/systemd/wpfiled.socket $(DESTDIR)$(UNITDIR)/
	$(INSTALL) -m 644 packaging/systemd/wpfile.sysusers $(DESTDIR)$(SYSUSERSDIR)/wpfile.conf
	$(INSTALL) -m 644 packaging/systemd/wpfile.tmpfiles $(DESTDIR)$(TMPFILESDIR)/wpfile.conf
