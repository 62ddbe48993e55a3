#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# timeout.sh - completions that come late or never, interrupts that are lost
. ./rmnic_lib.sh

# DRV-4, the ladder of a late command: look into the queue, abort, reset, drive again.
# lose OPCODE: one completion of it never comes.
lose() {
	fault opcode "$1"
	fault cqe 6
	fault cqe-nth 1
	wait_until 20 fault_done || fail "the device had no completion of opcode $1 to lose in 20 s"
}

lost_completion() {
	local resets aborted
	need_host
	driver_with timeout_ms=1000
	aborted=$(stat aborted) resets=$(stat resets)
	swap_on
	load_start memory 24 2 8
	lose "$1"
	wait_until 30 aborted_above "$aborted" || fail "no abort within 30 s of a completion that never came"
	load_progress 1000 60
	load_verify
	no_io_error
	equal "resets, where an abort is enough" "$(stat resets)" "$resets"
}

aborted_above() { [ "$(stat aborted)" -gt "$1" ]; }
resets_above() { [ "$(stat resets)" -gt "$1" ]; }

# The driver's parameter timeout_ms is a second here, where the device allows itself many.
lost_page_in() { lost_completion 2; }
lost_page_out() { lost_completion 1; }

# The abort is not answered either, nor are later ones: then there is a reset.
lost_abort() {
	local resets
	need_host
	# The abort must not be sent before its loss is arranged.
	driver_with timeout_ms=$((3000 * ${SLOWNESS:-1}))
	resets=$(stat resets)
	swap_on
	load_start memory 24 2 8
	lose 2
	lose 133
	lose 2
	wait_until 40 resets_above "$resets" || fail "no reset within 40 s of an abort that never ended and another late command"
	load_progress 1000 60
	load_verify
	no_io_error
}

# Every seventh interrupt is lost; the timeout finds the completion in the queue.
lost_interrupts() {
	local resets
	need_host
	driver_with timeout_ms=1000
	resets=$(stat resets)
	load_start $RMNIC_DISK 32 2
	fault drop-irq-nth 7
	load_progress 2000 120
	fault drop-irq-nth 0
	load_verify
	no_io_error
	equal "resets because of lost interrupts" "$(stat resets)" "$resets"
}

# Slow is not broken: 300 ms a command stays below the time-out.
slow() {
	local resets aborted
	need_host
	driver_with timeout_ms=10000
	resets=$(stat resets) aborted=$(stat aborted)
	swap_on
	load_start memory 24 4 8
	fault delay-us 300000
	load_progress 20 60
	fault delay-us 0
	load_progress 2000
	load_verify
	no_io_error
	equal "resets because of a slow device" "$(stat resets)" "$resets"
	equal "commands aborted because of a slow device" "$(stat aborted)" "$aborted"
}

# Answers of class RETRY are driven again, not handed up.
retried() {
	need_device
	need_host
	swap_on
	load_start memory 24 2 8
	fault status 513
	fault permille 50
	load_progress 5000 120
	at_least "commands answered BUSY" "$(stat retried)" 10
	faults_clear
	load_verify
	no_io_error
}

# A device that is beyond hope is given up: errors and no hang. The administrator may try again,
# and what was written before is still there.
given_up() {
	local status=0 sum
	need_host
	driver_with timeout_ms=1000 max_resets=2
	dd if=/dev/urandom of=$RMNIC_DISK bs=1M count=4 seek=64 conv=fsync 2>/dev/null
	sum=$(dd if=$RMNIC_DISK bs=1M count=4 skip=64 iflag=direct 2>/dev/null | md5sum)
	load_start $RMNIC_DISK 32 2
	while kernel_alive; do
		fault cqe 3
		fault cqe-nth 1
		sleep 0.2
	done
	wait_until 20 load_gone || fail "the load hangs on a device that was given up"
	wait "$LOAD" || status=$?
	rm -f "$RMNIC_RUN/load.pid"
	equal "the load's exit status (3: errors, nothing wrong read)" $status 3
	faults_clear
	echo 1 >"$DEVICE/rmnic/reset"
	equal "the state after a reset by hand" "$(cat "$DEVICE/rmnic/state")" live
	equal "what was written before" "$(dd if=$RMNIC_DISK bs=1M count=4 skip=64 iflag=direct 2>/dev/null | md5sum)" "$sum"
}

kernel_alive() { [ "$(cat "$DEVICE/rmnic/state")" != dead ]; }
load_gone() { ! kill -0 "$LOAD" 2>/dev/null; }

# The parameters of the driver as they were.
defaults() {
	driver_with
	load_start $RMNIC_DISK 16 2
	load_verify
}

plan 8
run_case lost_page_in "a page-in that is never completed is aborted and driven again"
run_case lost_page_out "a page-out that is never completed is aborted and driven again"
run_case lost_abort "an abort that is never completed leads to a reset, and all is driven again"
run_case lost_interrupts "lost interrupts cost time, not data and no reset"
run_case slow "a slow device is waited for"
run_case retried "a twentieth of the commands answered BUSY is tried again"
run_case given_up "a device beyond hope is given up, and can be brought back"
run_case defaults "the driver with its defaults again"
finish
