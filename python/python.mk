# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Python module, for inclusion by the Makefile at the root.
#
#   install-python	with PYTHONDIR and DESTDIR

PYTHON3		?= /usr/bin/python3
PYTHONDIR	?= $(shell $(PYTHON3) -c \
		   'import sysconfig; print(sysconfig.get_path("purelib"))')

.PHONY: install-python

install-python:
	$(INSTALL) -d $(DESTDIR)$(PYTHONDIR)/wpfile
	$(INSTALL) -m 644 python/wpfile/*.py $(DESTDIR)$(PYTHONDIR)/wpfile/
