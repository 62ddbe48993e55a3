#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# suspend.sh - suspend and resume under load; hibernation onto the device is refused
. ./rmnic_lib.sh

# Suspend to idle is ended by a byte from the host, S3 by QEMU's wake-up. A byte that comes before
# the port is armed for it is an ordinary one and wakes nobody, and an alarm of this machine's own clock
# may go off before it sleeps: the host rings again and again, from a few seconds on until it is told
# that this machine is awake.
set_the_bell() {
	need_host
	[ -w /sys/class/tty/ttyS1/power/wakeup ] || skip "the port to the host cannot wake this machine"
	echo enabled >/sys/class/tty/ttyS1/power/wakeup
	host bell on >/dev/null || fail "the host does not ring"
}

# sleep_as STATE. On a slow machine the wake-up may come while it is falling asleep, which the kernel
# answers with "busy": it is tried again.
sleep_as() {
	local before tries=0
	before=$(cat /sys/power/suspend_stats/success)
	until echo "$1" >/sys/power/state; do
		[ "$(cat /sys/power/suspend_stats/last_failed_errno)" = -16 ] && [ $((tries += 1)) -lt 5 ] ||
			fail "suspend to '$1' was refused"
	done
	at_least "suspends that succeeded" "$(cat /sys/power/suspend_stats/success)" $((before + 1))
}

under_load() {
	need_device
	swap_on
	load_start memory 32 2 12
	set_the_bell
	sleep_as "$1"
	note "awake: $(host bell off)"
	load_progress 2000 60
	load_verify
	no_io_error
}

need_state() { [ -w /sys/power/state ] && grep -qw "$1" /sys/power/state || skip "this kernel has no state '$1' (CONFIG_SUSPEND)"; }

idle() { need_state freeze; under_load freeze; }

memory() {
	need_state mem
	grep -qw deep /sys/power/mem_sleep 2>/dev/null || skip "this machine has no S3"
	echo deep >/sys/power/mem_sleep
	under_load mem
}

# DRV-7, RULES L8: an image on a device whose pages end with the machine would be lost.
hibernation_refused() {
	need_device
	grep -qw disk /sys/power/state || skip "this kernel has no hibernation"
	swap_on
	! echo disk >/sys/power/state 2>/dev/null || fail "hibernation was not refused"
	kernel_said 'rmnic.*hibernat' || fail "the driver did not say that it refused"
	load_start memory 32 2 12
	load_verify
}

plan 3
run_case idle "suspend to idle under paging load"
run_case hibernation_refused "hibernation is refused"
run_case memory "suspend to RAM under paging load: the device is reset by it"
finish
