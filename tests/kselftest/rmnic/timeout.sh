#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# timeout.sh - completions that come late or never, interrupts that are lost
. ./rmnic_lib.sh

# The driver polls, aborts, resets and drives again before it fails a request (STYLE 7).
# dropped OPCODE: one completion never comes.
dropped() {
	local resets
	need_device
	need_host
	resets=$(stat resets)
	swap_on
	load_start memory 48 4 16
	fault opcode "$1"
	fault cqe 6
	fault cqe-nth 20
	wait_until 60 resets_above "$resets" || fail "no reset within 60 s of a completion that never came"
	load_progress 2000 60
	load_verify
	no_io_error
}

resets_above() { [ "$(stat resets)" -gt "$1" ]; }

dropped_page_in() { dropped 2; }
dropped_page_out() { dropped 1; }

# Every seventh interrupt is lost; the timeout finds the completion in the queue.
lost_interrupts() {
	local resets
	need_device
	need_host
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
	local resets
	need_device
	need_host
	resets=$(stat resets)
	swap_on
	load_start memory 24 4 12
	fault delay-us 300000
	load_progress 20 60
	fault delay-us 0
	load_progress 2000
	load_verify
	no_io_error
	equal "resets because of a slow device" "$(stat resets)" "$resets"
}

# Answers of class RETRY are driven again, not handed up.
retried() {
	need_device
	need_host
	swap_on
	load_start memory 32 4 12
	fault status 513
	fault permille 50
	load_progress 5000 120
	at_least "commands answered BUSY" "$(stat retried)" 10
	faults_clear
	load_verify
	no_io_error
}

plan 5
run_case dropped_page_in "a page-in that is never completed is aborted or reset, and driven again"
run_case dropped_page_out "a page-out that is never completed is aborted or reset, and driven again"
run_case lost_interrupts "lost interrupts cost time, not data and no reset"
run_case slow "a slow device is waited for"
run_case retried "a twentieth of the commands answered BUSY is tried again"
finish
