# SPDX-License-Identifier: GPL-2.0-or-later
#
# wpfile: `make demo` and `make test` do everything, from a fresh Debian 12 on. See README.md.

BUILD		:= build
PREFIX		?= /usr/local
KERNEL		?= vm
ONLY		?=
SECONDS		?= 60
JOBS		?= $(shell nproc)

SUBMAKE		= $(MAKE) --no-print-directory

.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\#.*/\1/p' Makefile)
.DEFAULT_GOAL	:= help
.DELETE_ON_ERROR:

help: ## this text
	@echo 'make TARGET, as root on Debian 12 (otherwise missing packages are only named):'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18
	@echo
	@echo 'KERNEL=vm|debug|stock for kernel; ONLY=REGEX, JOBS=N for test; SECONDS=N for fuzz; PREFIX, DESTDIR for install'

deps: ## install the Debian packages that all targets need
	@scripts/deps build daemon kernel vm man test ctl postgres patches style selftests fuzz deb packages abi

kernel: ## build the kernel KERNEL in build/kernel-$(KERNEL)
	@scripts/deps kernel
	@scripts/kernel-build $(KERNEL)

# Each of these first sees to packages and kernels, and then asks make again: fragments look at what is installed.
demo: ## the main job: a causal snapshot of memory that many processes are writing
	@scripts/deps build kernel vm
	@scripts/kernel-build vm
	@$(SUBMAKE) demo-run

demo-postgres: ## the same of PostgreSQL's shared buffers under pgbench
	@scripts/deps build kernel vm postgres
	@scripts/kernel-build vm
	@$(SUBMAKE) demo-postgres-run

test: ## all tests; the last line is "N passed, M failed, K skipped"
	@scripts/deps build daemon kernel vm man test ctl units
	@scripts/kernel-build vm
	@scripts/kernel-build debug
	@$(SUBMAKE) -j$(JOBS) $(BUILD)/vm/init lib ctl daemon unit-tests daemon-unit kernel-tests random-test torture-build demo-build \
		examples fuzz-replay $(BUILD)/tests/cost/cost
	@tests/run --jobs $(JOBS) --only '$(ONLY)'

test-nightly: ## what is too long for test: every way to write in every mode on debug, wpfiled killed at random
	@scripts/deps build daemon kernel vm test
	@scripts/kernel-build vm
	@scripts/kernel-build debug
	@scripts/kernel-build race
	@$(SUBMAKE) -j$(JOBS) $(BUILD)/vm/init kernel-tests daemon
	@tests/run --jobs $(JOBS) --list tests/nightly.list --only '$(ONLY)'

test-hooks: ## take each hook out of the kernel in turn, and see a test fail
	@scripts/deps build kernel vm test
	@scripts/kernel-build vm
	@scripts/kernel-build debug
	@scripts/kernel-build race
	@$(SUBMAKE) -j$(JOBS) $(BUILD)/vm/init kernel-tests
	@tests/hooks/run

torture: ## cuts under everything that moves memory, MINUTES on each of debug, race, and debug with failing allocations
	@scripts/deps build kernel vm test
	@scripts/kernel-build debug
	@scripts/kernel-build race
	@$(SUBMAKE) -j$(JOBS) torture-run

torture-daemon: ## wpfiled, its clients and writers killed at random for MINUTES (10): every event accounted for
	@scripts/deps build daemon kernel vm
	@scripts/kernel-build vm
	@$(SUBMAKE) $(BUILD)/vm/init torture-daemon-run

test-daemon-checks: ## take each check out of wpfiled in turn, and see a test fail
	@scripts/deps build daemon kernel vm test
	@scripts/kernel-build vm
	@$(SUBMAKE) $(BUILD)/vm/init test-daemon-checks-run

selftests: ## the kernel's own mm and memfd tests, on stock and on vm, compared
	@scripts/deps build kernel vm test selftests
	@scripts/kernel-build stock
	@scripts/kernel-build vm
	@$(SUBMAKE) $(BUILD)/vm/init
	@tests/selftests/build
	@tests/selftests/run

cost: ## instructions per operation, on a stock kernel and on ours with nothing monitored
	@scripts/deps build kernel vm test
	@scripts/kernel-build count-stock
	@scripts/kernel-build count
	@$(SUBMAKE) $(BUILD)/vm/init $(BUILD)/tests/cost/cost
	@tests/cost/run

fuzz: ## each parser of what others wrote, SECONDS long, by libFuzzer
	@scripts/deps build daemon fuzz
	@$(SUBMAKE) -j$(JOBS) fuzz-build
	@fuzz/run $(SECONDS)

fuzz-corpus: ## the seeds of that, once through, with ASan and UBSan
	@scripts/deps build daemon
	@$(SUBMAKE) -j$(JOBS) fuzz-replay
	@fuzz/replay-all

patches: ## write the kernel change as a mailable series to build/patches
	@scripts/deps kernel patches
	@scripts/patches

check-asan: ## the unit tests with AddressSanitizer and UBSan
	@scripts/deps build daemon test
	@$(SUBMAKE) asan-run

check-abi: ## is the ABI of the library what libwpfile/abi says?
	@scripts/deps build abi
	@$(SUBMAKE) abi-run

install: ## install all of user space under $(DESTDIR)$(PREFIX)
	@scripts/deps build man daemon
	@$(SUBMAKE) install-lib install-ctl install-daemon install-python install-systemd

deb: ## Debian packages of library, command, daemon and Python module in build/deb
	@scripts/deps build man daemon deb
	@scripts/deb

deb-kernel: ## Debian packages of the kernel with our change in build/deb-kernel
	@scripts/deps kernel deb-kernel
	@scripts/deb-kernel

test-packages: deb ## install the packages in a clean Debian, use them on our kernel, purge them
	@scripts/deps vm packages
	@scripts/kernel-build vm
	@$(SUBMAKE) $(BUILD)/vm/init
	@tests/packaging/run

test-deb-kernel: deb deb-kernel ## install those of the kernel, too, and boot that as a computer of its own
	@scripts/deps vm packages
	@$(SUBMAKE) $(BUILD)/vm/init
	@tests/packaging/kernel

check-style: ## shellcheck, SPDX lines, checkpatch
	@scripts/deps kernel patches style
	@scripts/check-style

clean: ## remove what is built, but not the kernels
	rm -rf $(filter-out $(wildcard $(BUILD)/linux-* $(BUILD)/kernel-*),$(wildcard $(BUILD)/*))

distclean: ## remove everything that is built
	rm -rf $(BUILD)

# PID 1 of the test machine; tests/vm/run asks for it. Renamed into place: a running test may be reading it.
$(BUILD)/vm/init: tests/vm/init.c
	@mkdir -p $(@D)
	@$(CC) -O2 -Wall -Wextra -Werror -static -o $@.$$$$ $< && mv $@.$$$$ $@

-include libwpfile/libwpfile.mk ctl/ctl.mk daemon/daemon.mk python/python.mk packaging/packaging.mk examples/examples.mk \
	fuzz/fuzz.mk tests/kernel/kernel-tests.mk tests/demo/demo.mk tests/random/random.mk tests/torture/torture.mk tests/cost/cost.mk
