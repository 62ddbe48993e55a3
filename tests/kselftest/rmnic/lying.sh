#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# lying.sh - DRV-1: a device that breaks its contract: logged, reset, and the data intact
. ./rmnic_lib.sh

# lie KIND WHAT: completions of that kind (x-fault-cqe) under paging load.
lie() {
	local resets
	need_device
	need_host
	resets=$(stat resets)
	swap_on
	load_start memory 24 2 8
	fault cqe "$1"
	fault cqe-nth 20
	wait_until 60 reset_or_said "$resets" || fail "neither a message of the driver nor a reset after $2"
	load_progress 1000 60
	load_verify
	no_io_error
	kernel_said 'rmnic .*: completion ' || fail "the driver logged nothing about $2"
	at_least "resets" "$(stat resets)" $((resets + 1))
}

reset_or_said() { [ "$(stat resets)" -gt "$1" ]; }

bad_cid() { lie 1 "a cid that is not in flight"; }
double_completion() { lie 2 "a completion that came twice"; }
bad_status() { lie 3 "a status that does not exist"; }
bad_qid() { lie 4 "another queue pair's id"; }
bad_done() { lie 5 "more pages done than asked for"; }

plan 5
run_case bad_cid "a cid that is not in flight"
run_case double_completion "a completion that came twice"
run_case bad_status "a status that does not exist"
run_case bad_qid "a completion with another queue pair's id"
run_case bad_done "more pages done than asked for"
finish
