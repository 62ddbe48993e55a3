#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# module.sh - loading, unloading, and refusing to unload
. ./rmnic_lib.sh

gone() { [ ! -e /sys/module/rmnic ] && [ ! -b $RMNIC_DISK ]; }

# Free memory, with what the kernel would give back at once: caches, slabs without objects, pages that each
# CPU keeps for itself.
free_kib() {
	local shrink
	echo 3 >/proc/sys/vm/drop_caches
	for shrink in /sys/kernel/slab/*/shrink; do
		echo 1 >"$shrink"
	done
	echo 1 >/proc/sys/vm/stat_refresh
	awk '$1 == "nr_free_pages" || $1 == "count:" { pages += $2 } END { print pages * 4 }' /proc/zoneinfo
}

# The better half of many loads: what the kernel keeps for itself some time is lost in one, a leak in both. blk-mq's own
# leak of a page-out queue's 2 KiB a load is not ours.
lost_at_most() {
	local first=$(($1 - $2)) second=$(($2 - $(free_kib)))
	note "memory lost in KiB: $first in the first half, $second in the second"
	[ $((first < second ? first : second)) -le "$3" ]
}

# DMA-1: each unload disables the device, which the device counts as a reset.
load_unload() {
	local i resets free half rounds=$((100 / ${SLOWNESS:-1}))
	need_device
	resets=$(stat resets)
	rmmod rmnic
	modprobe rmnic
	wait_until 10 [ -b $RMNIC_DISK ]
	free=$(free_kib)
	for i in $(seq $rounds); do
		rmmod rmnic || fail "round $i: rmmod"
		gone || fail "round $i: $RMNIC_DISK is still there after rmmod"
		modprobe rmnic || fail "round $i: modprobe"
		wait_until 10 [ -b $RMNIC_DISK ] || fail "round $i: no $RMNIC_DISK"
		[ $i -ne $((rounds / 2)) ] || half=$(free_kib)
	done
	at_least "resets the device counted" $(($(stat resets) - resets)) $((rounds + 1))
	# Some of it is freed behind the unload's back, on a busy machine long after.
	wait_until 30 lost_at_most "$free" "$half" 3072 || true
	lost_at_most "$free" "$half" 3072 || fail "expected at most 3072 KiB in one of them"
	rmmod rmnic
	! grep rmnic /proc/interrupts || fail "interrupts are left behind"
	[ ! -e /sys/kernel/debug/rmnic ] || fail "debugfs files are left behind"
}

refused_while_swap() {
	need_device
	swap_on
	! rmmod rmnic 2>/dev/null || fail "rmmod succeeded with swap on the device"
	load_start memory 32 2 16
	load_progress 3000
	! rmmod rmnic 2>/dev/null || fail "rmmod succeeded with pages on the device"
	load_verify
	swapoff $RMNIC_DISK
	rmmod rmnic
	gone
}

refused_while_open() {
	need_device
	exec 9<$RMNIC_DISK
	! rmmod rmnic 2>/dev/null || fail "rmmod succeeded while $RMNIC_DISK was open"
	dd bs=4096 count=1 <&9 >/dev/null 2>&1 || fail "the device does not work any more after the refusal"
	exec 9<&-
	rmmod rmnic
	gone
}

# A parameter that is no number is refused by the kernel; one out of range by the driver.
wrong_parameter() {
	need_device
	rmmod rmnic
	! modprobe rmnic poll_us=banana 2>/dev/null || fail "poll_us=banana was taken"
	gone
	! modprobe rmnic no_such_thing=1 2>/dev/null || ! kernel_said "unknown parameter 'no_such_thing' ignored" ||
		rmmod rmnic
	modprobe rmnic
	wait_until 10 [ -b $RMNIC_DISK ]
}

plan 4
run_case load_unload "again and again, and nothing is left behind"
run_case refused_while_swap "rmmod is refused while pages are on the device"
run_case refused_while_open "rmmod is refused while the disk is open"
run_case wrong_parameter "a parameter that is no number is refused"
finish
