# SPDX-License-Identifier: GPL-2.0-or-later
#
# Units of systemd, for inclusion by the Makefile at the root.
#
#   install-systemd	with PREFIX, SBINDIR, UNITDIR, SYSUSERSDIR, TMPFILESDIR
#			and DESTDIR

SBINDIR		?= $(PREFIX)/sbin
UNITDIR		?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR	?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR	?= $(PREFIX)/lib/tmpfiles.d

.PHONY: install-systemd

install-systemd:
	$(INSTALL) -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) \
		$(DESTDIR)$(TMPFILESDIR)
	sed 's|/usr/sbin/wpfiled|$(SBINDIR)/wpfiled|' \
		packaging/systemd/wpfiled.service \
		>$(DESTDIR)$(UNITDIR)/wpfiled.service
	$(INSTALL) -m 644 packaging/systemd/wpfiled.socket \
		$(DESTDIR)$(UNITDIR)/
	$(INSTALL) -m 644 packaging/systemd/wpfile.sysusers \
		$(DESTDIR)$(SYSUSERSDIR)/wpfile.conf
	$(INSTALL) -m 644 packaging/systemd/wpfile.tmpfiles \
		$(DESTDIR)$(TMPFILESDIR)/wpfile.conf
