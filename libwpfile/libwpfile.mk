# SPDX-License-Identifier: LGPL-2.1-or-later
#
# libwpfile, for inclusion by the Makefile at the root.
#
#   lib			static and shared library, pkg-config file
#   install-lib		with PREFIX, LIBDIR and DESTDIR
#   man			manual pages, build/man/
#   unit-tests		builds build/tests/unit/user-unit, which runs on any host,
#			and build/tests/vm/*, which need the kernel
#   asan-run		the same, and those of daemon and command, with ASan and
#			UBSan, and runs them
#   abi-run		compares the shared library with abi/, and the comparison with
#			a library that has lost a symbol
#   abi-update		writes abi/ anew, after what was added

BUILD		?= build
PREFIX		?= /usr/local
LIBDIR		?= $(PREFIX)/lib
INCLUDEDIR	?= $(PREFIX)/include
MANDIR		?= $(PREFIX)/share/man
PKG_CONFIG	?= pkg-config
SCDOC		?= scdoc
INSTALL		?= install

WPFILE_VERSION	:= 1.0.0
WPFILE_SONAME	:= libwpfile.so.1
WPFILE_SO	:= libwpfile.so.$(WPFILE_VERSION)

USER_CFLAGS	?= -O2 -g
USER_WARN	:= -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes \
		   -Wmissing-prototypes -Wno-unused-result
USER_CPPFLAGS	:= -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Iuapi \
		   -Ilibwpfile/include -DWPFILE_VERSION='"$(WPFILE_VERSION)"'
USER_COMPILE	 = @mkdir -p $(@D) && $(CC) -std=gnu11 $(USER_CPPFLAGS) \
		   $(USER_WARN) $(USER_CFLAGS) -MMD -MP

LIB		:= $(BUILD)/libwpfile
LIB_SRC		:= $(wildcard libwpfile/src/*.c)
LIB_OBJ		:= $(LIB_SRC:libwpfile/src/%.c=$(LIB)/%.o)
LIB_LINKS	:= $(LIB)/$(WPFILE_SONAME) $(LIB)/libwpfile.so
LIB_FILES	:= $(LIB)/libwpfile.a $(LIB)/$(WPFILE_SO) $(LIB_LINKS) \
		   $(LIB)/libwpfile.pc

MAN		:= $(BUILD)/man
LIB_SCD		:= $(wildcard libwpfile/man/*.3.scd)
LIB_PAGES	:= $(LIB_SCD:libwpfile/man/%.scd=$(MAN)/%)
MAN_PAGES	:= $(LIB_PAGES) $(MAN)/ioctl_wpfile.2 $(MAN)/wpfile.7

.PHONY: lib install-lib man unit-tests asan-run abi-run abi-update user-force

lib: $(LIB_FILES)

$(LIB)/%.o: libwpfile/src/%.c libwpfile/libwpfile.mk
	$(USER_COMPILE) -fPIC -c -o $@ $<

$(LIB)/libwpfile.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcsD $@ $^

$(LIB)/$(WPFILE_SO): $(LIB_OBJ) libwpfile/libwpfile.map
	$(CC) $(USER_CFLAGS) -shared -Wl,-soname,$(WPFILE_SONAME) -Wl,-z,defs \
		-Wl,--version-script=libwpfile/libwpfile.map $(LDFLAGS) \
		-o $@ $(LIB_OBJ)

$(LIB_LINKS): $(LIB)/$(WPFILE_SO)
	@ln -sf $(WPFILE_SO) $@

# The prefix may have changed since the last time.
$(LIB)/libwpfile.pc: libwpfile/libwpfile.pc.in user-force
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
		-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
		-e 's|@VERSION@|$(WPFILE_VERSION)|' $< >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

user-force:

install-lib: lib man
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)/linux \
		$(DESTDIR)$(MANDIR)/man2 $(DESTDIR)$(MANDIR)/man3 \
		$(DESTDIR)$(MANDIR)/man7
	$(INSTALL) -m 644 $(LIB)/libwpfile.a $(DESTDIR)$(LIBDIR)/
	$(INSTALL) -m 755 $(LIB)/$(WPFILE_SO) $(DESTDIR)$(LIBDIR)/
	ln -sf $(WPFILE_SO) $(DESTDIR)$(LIBDIR)/$(WPFILE_SONAME)
	ln -sf $(WPFILE_SONAME) $(DESTDIR)$(LIBDIR)/libwpfile.so
	$(INSTALL) -m 644 $(LIB)/libwpfile.pc $(DESTDIR)$(LIBDIR)/pkgconfig/
	$(INSTALL) -m 644 libwpfile/include/wpfile.h $(DESTDIR)$(INCLUDEDIR)/
	$(INSTALL) -m 644 uapi/linux/wpfile.h $(DESTDIR)$(INCLUDEDIR)/linux/
	$(INSTALL) -m 644 $(MAN)/ioctl_wpfile.2 $(DESTDIR)$(MANDIR)/man2/
	$(INSTALL) -m 644 $(MAN)/*.3 $(DESTDIR)$(MANDIR)/man3/
	$(INSTALL) -m 644 $(MAN)/wpfile.7 $(DESTDIR)$(MANDIR)/man7/

man: $(MAN_PAGES) $(MAN)/.aliases

# A page for each function, which is that of its family.
$(MAN)/.aliases: $(LIB_SCD) libwpfile/man/aliases
	@mkdir -p $(@D)
	libwpfile/man/aliases $(@D) $(LIB_SCD) && touch $@

$(LIB_PAGES): $(MAN)/%: libwpfile/man/%.scd
$(MAN)/ioctl_wpfile.2: man/ioctl_wpfile.2.scd
$(MAN)/wpfile.7: man/wpfile.7.scd

$(MAN_PAGES):
	@mkdir -p $(@D)
	$(SCDOC) <$< >$@.new && mv $@.new $@

VMTEST		:= $(BUILD)/tests/vm
VM_PROGRAMS	:= $(VMTEST)/library $(VMTEST)/broker

# Unit tests of library and command, in one program.  System calls that only
# the kernel with wpfile answers are replaced.
UNIT		:= $(BUILD)/tests/unit
UNIT_SRC	:= $(wildcard libwpfile/tests/*.c)
UNIT_OBJ	:= $(UNIT_SRC:libwpfile/tests/%.c=$(UNIT)/%.o)
UNIT_WRAP	:= -Wl,--wrap=ioctl,--wrap=pread64,--wrap=connect
CMOCKA_LIBS	 = $(shell $(PKG_CONFIG) --libs cmocka)

unit-tests: $(UNIT)/user-unit $(VM_PROGRAMS) $(UNIT)/header-c99.o \
	$(UNIT)/header-c++.o

$(UNIT)/%.o: libwpfile/tests/%.c libwpfile/libwpfile.mk
	$(USER_COMPILE) -Ilibwpfile/src -Ictl -c -o $@ $<

$(UNIT)/user-unit: $(UNIT_OBJ) $(BUILD)/ctl/parse.o $(LIB)/libwpfile.a
	$(CC) $(USER_CFLAGS) $(UNIT_WRAP) -o $@ $^ $(CMOCKA_LIBS) -lpthread

# The same calls against the kernel, in the VM.
$(VMTEST)/%.o: libwpfile/tests/vm/%.c libwpfile/libwpfile.mk
	$(USER_COMPILE) -c -o $@ $<

$(VM_PROGRAMS): %: %.o $(VMTEST)/vm.o $(LIB)/libwpfile.a
	$(CC) $(USER_CFLAGS) -o $@ $^ $(CMOCKA_LIBS) -lpthread

ABI		:= libwpfile/abi/$(WPFILE_SONAME).abi

abi-run: lib
	libwpfile/tests/check-abi $(LIB)/$(WPFILE_SO) $(ABI) $(CC)

abi-update: lib
	libwpfile/tests/check-abi --update $(LIB)/$(WPFILE_SO) $(ABI)

# The same with sanitizers, in a tree of its own.
ASAN_CFLAGS	:= -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
		   -fsanitize=address,undefined

asan-run:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan \
		USER_CFLAGS='$(ASAN_CFLAGS)' unit-tests daemon-unit ctl
	$(BUILD)/asan/tests/unit/user-unit
	$(BUILD)/asan/tests/daemon/unit
	ctl/tests/completion-test.sh $(BUILD)/asan/wpfilectl

$(UNIT)/header-c99.o: libwpfile/include/wpfile.h uapi/linux/wpfile.h
	@mkdir -p $(@D)
	$(CC) -std=c99 -pedantic -Wall -Wextra -Werror -Iuapi -x c -c -o $@ $<

$(UNIT)/header-c++.o: libwpfile/include/wpfile.h uapi/linux/wpfile.h
	@mkdir -p $(@D)
	$(CXX) -std=c++11 -Wall -Wextra -Werror -Iuapi -x c++ -c -o $@ $<

-include $(LIB_OBJ:.o=.d) $(UNIT_OBJ:.o=.d) $(VM_PROGRAMS:=.d) $(VMTEST)/vm.d
