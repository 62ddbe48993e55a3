#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# alloc.sh - allocations that fail: each one of the driver's own at start, and those around it while
# pages move. For a kernel with fault injection.
. ./rmnic_lib.sh

DEBUGFS=/sys/kernel/debug
DRIVER=/sys/bus/pci/drivers/rmnic
MANY=1000000

need_injection() {
	[ -e $DEBUGFS/failslab ] && [ -e $DEBUGFS/fail_page_alloc ] || skip "this kernel has no fault injection"
	# Also allocations that may wait; quietly, for each would print a call trace.
	echo N >$DEBUGFS/failslab/ignore-gfp-wait
	echo N >$DEBUGFS/fail_page_alloc/ignore-gfp-wait
	echo 0 >$DEBUGFS/failslab/verbose
	echo 0 >$DEBUGFS/fail_page_alloc/verbose
}

# The kernel's own words about allocations that fail are no complaint: that there is no room, and that
# an entry in /proc/irq or a group in sysfs, which it could not make, is not there to be removed
# (tests/kselftest/ktap.py).
complaints() {
	dmesg | sed -n "/$1/,\$p" |
		sed -e '/vmalloc error: /,/Mem-Info:/d' -e '/page allocation failure: /,/Mem-Info:/d' -e '/WARNING: .* \(remove_proc_entry\|sysfs_remove_group\)+/,/end trace/d' |
		grep -E "$RMNIC_COMPLAINTS"
}

# try_bind ADDRESS N: the Nth allocation from here fails. Says how many were left to go after it; the
# shell itself writes the files, so that no other process's allocations are counted.
try_bind() {
	(
		exec 8>/proc/self/fail-nth 9>$DRIVER/bind
		echo "$2" >&8
		echo "$1" >&9
		read -r left </proc/self/fail-nth
		echo 0 >&8
		echo "${left:-0}"
	) 2>/dev/null
}

# Allocations of one start. Their number varies a little, so the last ones are tried beyond it.
count_allocations() {
	echo "$1" >$DRIVER/unbind
	echo $((MANY - $(try_bind "$1" $MANY)))
}

start_each() {
	local address n=0 step=1 left failed=0 total
	need_injection
	need_device
	address=$(pci_address)
	total=$(count_allocations "$address")
	note "a start makes $total allocations"
	at_least "allocations of a start" "$total" 50
	while :; do
		n=$((n + step))
		# The driver's own come first; of the many that announce the disk to the world each few do.
		[ $n -lt 400 ] || step=$((1 + total / 200))
		at_most "allocations of a start" $n $((total * 2))
		[ ! -e "$DRIVER/$address" ] || echo "$address" >$DRIVER/unbind
		left=$(try_bind "$address" $n)
		if [ ! -e "$DRIVER/$address" ]; then
			failed=$((failed + 1))
		elif [ "$left" != 0 ]; then
			break # it started, and the failure is still to come
		fi
	done
	note "up to allocation $n, $failed of those tried are fatal to the start"
	at_least "starts that failed" $failed 10
	need_device
	swap_on
	load_start memory 32 2 16
	load_progress 2000 120
	load_verify
}

# The swap code around the driver copes; what the driver did would show as a lost page.
paging_all_around() {
	local before
	need_injection
	need_device
	swap_on
	# Who is meant comes first: without that this shell's own would fail as well.
	echo Y >$DEBUGFS/failslab/task-filter
	echo 1 >$DEBUGFS/failslab/interval
	echo 1000000 >$DEBUGFS/failslab/times
	before=$(cat $DEBUGFS/failslab/times)
	echo 10 >$DEBUGFS/failslab/probability
	load_start memory 48 2 24
	for pid in $(cat $RMNIC_GROUP/cgroup.procs); do
		echo 1 >"/proc/$pid/make-it-fail"
	done
	load_progress 5000 240
	for pid in $(cat $RMNIC_GROUP/cgroup.procs); do
		echo 0 >"/proc/$pid/make-it-fail"
	done
	echo 0 >$DEBUGFS/failslab/probability
	at_least "allocations that failed" $((before - $(cat $DEBUGFS/failslab/times))) 10
	load_verify
}

plan 2
run_case start_each "the driver starts or fails cleanly whichever allocation fails"
run_case paging_all_around "pages are right while allocations around them fail"
echo 0 >$DEBUGFS/failslab/probability 2>/dev/null
finish
