# SPDX-License-Identifier: BSD-3-Clause
# The front door: verbs only. Each delegates to the room that knows how.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

run: ## boot a guest, page it to remote memory, verify, print; REMOTE=0 GUEST_KERNEL= RAM= WORKING_SET= PEERS=1 FAULT=1
	@scripts/setup base backend driver guest qemu
	@scripts/run

soak: ## faults at random while a guest pages and verifies; MINUTES= SEED= SERVERS= GUEST_KERNEL= RAM=
	@scripts/setup base backend driver guest qemu
	@$(if $(QEMU),,scripts/qemu-build)
	@$(MAKE) driver backend
	@tests/e2e/soak

test-debug-kernel: ## the driver's tests in a kernel with KASAN, lockdep, kmemleak, ...; KERNEL=6.1|6.12; an hour
	@scripts/setup base driver guest qemu kselftest debug-kernel
	@scripts/qemu-build
	@scripts/debug-kernel $(or $(KERNEL),6.1)
	@$(MAKE) driver
	@tests/kselftest/run $(or $(KERNEL),6.1)-debug

shell: ## the same guest with a shell (exit or ^A x leaves it); REMOTE=0 GUEST_KERNEL= RAM= SMP=
	@scripts/setup base backend driver guest qemu
	@scripts/shell

test: ## every test; last line 'N passed, N failed, N skipped'
	@scripts/setup
	@KNOWN_SEEDS=1 scripts/test-all

check: ## the fast tests: unit, simulator (a minute of fresh seeds), spec, models, lint; no root, no guest
	@scripts/setup base unit backend models lint driver
	@scripts/guest-kernel 6.1 && scripts/guest-kernel 6.12
	@scripts/test-all unit sim spec models lint

sim: ## simulate client, servers and remote store under faults; SEED= RUNS=
	@scripts/setup base unit
	@tests/sim/run

sim-mutants: ## break the engine on purpose: the simulator must find each of the bugs; some minutes
	@scripts/setup base unit
	@tests/sim/mutate

mutants: ## small mistakes made by machine, and the share that the tests find; FILES= SAMPLE=
	@scripts/setup base unit backend
	@tests/mutants/run --sample $(or $(SAMPLE),100) $(if $(FILES),--files $(FILES))

unit: ## unit tests of engine and rings, under ASan and UBSan
	@scripts/setup base unit backend
	@scripts/test-all unit

lint: ## sparse, checkpatch, clang-tidy, cppcheck
	@scripts/setup base lint backend driver
	@scripts/guest-kernel 6.1 && scripts/guest-kernel 6.12
	@scripts/test-all lint

fuzz: ## fuzz the engine from the guest's side; SECONDS= how long
	@scripts/setup base fuzz backend
	@tests/fuzz/run $(or $(SECONDS),60)

fuzz-qemu: ## fuzz the device by QEMU's own fuzzer; MINUTES= how long (after a build of 10 minutes)
	@scripts/setup base qemu fuzz
	@scripts/qemu-build fuzz
	@tests/fuzz/qemu/run $(or $(MINUTES),10)

perf: ## measure against the peers, side by side; writes build/perf/; QUICK=1 RUNS=host,guest,cost,scale GUEST_KERNEL= ROUNDS=
	@scripts/setup base backend driver guest qemu perf
	@$(if $(QEMU),,$(MAKE) qemu)
	@$(MAKE) driver && $(MAKE) backend
	@$(MAKE) -s -f host-backend/Makefile bench scale && $(MAKE) -s -C tests/perf
	@tests/perf/run

scale: ## what pages and a server's failure cost as the fleet grows, under a virtual clock; writes build/scale/; QUICK=1
	@scripts/setup base perf
	@$(MAKE) -s -f host-backend/Makefile scale
	@RUNS=scale OUT=$(or $(OUT),build/scale) tests/perf/run

perf-compare: ## what changed since an earlier make perf, noise apart; BASE=its directory
	@tests/perf/compare $(or $(BASE),$(error BASE= is missing: the directory of an earlier 'make perf', such as BASE=/tmp/perf-before))

qemu: ## QEMU with the device, from Debian's source package; QEMU_VERSION=7.2|10.0 QEMU_SRC=tree
	@scripts/setup base qemu
	@scripts/qemu-build $(QEMU_VERSION)

driver: ## rmnic.ko for the stock kernels; KDIR=headers for another one
	@$(if $(KDIR),,scripts/setup base driver && scripts/guest-kernel 6.1 && scripts/guest-kernel 6.12)
	@$(MAKE) -C guest-driver

backend: ## rmnicd, rmnic-memd, rmnicctl, rmnic-bench, under build/host-backend
	@scripts/setup base backend
	@$(MAKE) -f host-backend/Makefile programs

install: ## install the driver for the running kernel (in the guest)
	@$(MAKE) -C guest-driver install

install-host: ## install rmnicd, rmnic-memd, rmnicctl, their units and configurations; PREFIX= DESTDIR=
	@scripts/setup base backend
	@$(MAKE) -s -f host-backend/Makefile install

clean: ## remove all that was built
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile

.PHONY: test-debug-kernel run soak shell test check sim sim-mutants mutants unit lint fuzz fuzz-qemu perf scale perf-compare qemu driver backend install install-host clean help
