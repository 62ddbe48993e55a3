#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# reset.sh - resets of the device while it is used: nobody above the driver notices
. ./rmnic_lib.sh

# reset_by flr|pm|driver: of PCI's ways those that an emulated port can do as well; a reset of the
# whole bus is not among them, QEMU's root port does not report its link up again after one.
reset_by() {
	case $1 in
	driver) echo 1 >"$DEVICE/rmnic/reset" ;;
	*) echo "$1" >"$DEVICE/reset_method" && echo 1 >"$DEVICE/reset" ;;
	esac
}

# Each reset is seen by the device, meets commands in flight, and the load goes on after it.
reset_while_loaded() {
	local i before
	for i in $(seq "$2"); do
		before=$(stat resets)
		wait_until 10 in_flight || fail "no command in flight before reset $i by $1: nothing would be shown"
		reset_by "$1" || fail "reset $i by $1"
		load_progress 50
		at_least "resets the device counted" "$(stat resets)" $((before + 1))
	done
}

# An embedded device is so fast that a reset would find it idle: each command takes 20 ms here.
slow_device() {
	need_host
	fault delay-us 20000
}

in_flight() { [ "$(wc -l </sys/kernel/debug/rmnic/rmnic0/in_flight)" -gt 2 ]; }

methods() {
	grep -ow -e flr -e pm "$DEVICE/reset_method"
	echo driver
}

# DMA-2, DMA-6: commands in flight were dropped by the device and are driven again.
paging() {
	local method
	need_device
	methods | grep -qx flr || fail "the function offers no FLR (reset methods: $(cat "$DEVICE/reset_method"))"
	swap_on
	load_start memory 32 4 12
	slow_device
	for method in $(methods); do
		note "reset by $method"
		reset_while_loaded "$method" 5
	done
	faults_clear
	load_verify
	no_io_error
}

block_io() {
	local method
	need_device
	load_start $RMNIC_DISK 32 4
	slow_device
	for method in $(methods); do
		reset_while_loaded "$method" 5
	done
	faults_clear
	load_verify
	no_io_error
}

# The contents of the store outlive a reset.
contents_stay() {
	local sum
	need_device
	dd if=/dev/urandom of=$RMNIC_DISK bs=1M count=16 conv=fsync 2>/dev/null
	echo 3 >/proc/sys/vm/drop_caches
	sum=$(dd if=$RMNIC_DISK bs=1M count=16 2>/dev/null | md5sum)
	reset_by flr
	echo 3 >/proc/sys/vm/drop_caches
	equal "the checksum after the reset" "$(dd if=$RMNIC_DISK bs=1M count=16 2>/dev/null | md5sum)" "$sum"
}

# DMA-3: without bus mastering nothing moves, and with it everything goes on.
bus_master() {
	local in
	need_device
	[ -w "$DEVICE/config" ] || skip "the PCI configuration space cannot be written"
	load_start $RMNIC_DISK 16 2
	bus_master_set 0
	sleep 1
	in=$(load_count)
	sleep 1
	at_most "pages done without bus mastering" $(($(load_count) - in)) 0
	bus_master_set 1
	load_progress 1000 60
	load_verify
	no_io_error
}

# Bit 2 of the command register, a 16-bit word at 4.
bus_master_set() {
	local low
	low=$(od -An -tu1 -j4 -N1 "$DEVICE/config")
	low=$((low & ~4 | $1 << 2))
	printf "\\$(printf %03o $low)" | dd of="$DEVICE/config" bs=1 seek=4 conv=notrunc 2>/dev/null
}

# What the device was never let to begin is lost by the reset altogether: only sending it again helps.
not_begun() {
	local method i
	need_device
	[ -w "$DEVICE/config" ] || skip "the PCI configuration space cannot be written"
	swap_on
	load_start memory 32 4 12
	for method in $(methods); do
		for i in 1 2 3; do
			bus_master_set 0
			wait_until 10 in_flight || fail "no command in flight before reset $i by $method: nothing would be shown"
			reset_by "$method" || fail "reset $i by $method"
			bus_master_set 1
			load_progress 500
		done
	done
	load_verify
	no_io_error
}

plan 5
run_case paging "resets of every kind under paging load, no error, nothing lost"
run_case block_io "resets under block I/O, no error, nothing lost"
run_case not_begun "resets that meet commands not begun: they are sent again"
run_case contents_stay "what was written before a reset is read after it"
run_case bus_master "bus mastering taken away and given back under load"
finish
