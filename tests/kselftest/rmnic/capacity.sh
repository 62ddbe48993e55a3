#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# capacity.sh - the device grows while it is used
. ./rmnic_lib.sh

sectors() { cat /sys/block/rmnic0/size; }

sectors_are() { [ "$(sectors)" = "$1" ]; }

# CAP-2: the event arrives, the disk is as large as the device, and its new end works.
grows() {
	local old new
	need_device
	need_host
	old=$(sectors)
	new=$((old + 131072))
	load_start $RMNIC_DISK 16 2
	host set rm0 capacity $((new * 512)) >/dev/null || fail "the device does not take a new capacity"
	wait_until 10 sectors_are $new || fail "the disk has $(sectors) sectors 10 s after the device grew to $new"
	load_verify
	dd if=/dev/urandom of="$RMNIC_RUN/data" bs=1M count=8 2>/dev/null
	dd if="$RMNIC_RUN/data" of=$RMNIC_DISK bs=1M seek=$((new / 2048 - 8)) conv=fsync 2>/dev/null
	echo 3 >/proc/sys/vm/drop_caches
	dd if=$RMNIC_DISK bs=1M skip=$((new / 2048 - 8)) 2>/dev/null | cmp - "$RMNIC_RUN/data" ||
		fail "what was written to the new part is not what is read there"
}

# CAP-3: a capacity beyond what the device itself says is its maximum is not believed.
wild() {
	local old
	need_device
	need_host
	old=$(sectors)
	swap_on
	load_start memory 32 2 12
	touch "$RMNIC_RUN/faults"
	host set rm0 x-lie-capacity 1152921504606846976 >/dev/null || fail "the device cannot lie about its capacity"
	# The event makes the driver look.
	host set rm0 capacity $((old * 512 + 67108864)) >/dev/null || fail "the device does not take a new capacity"
	wait_until 10 kernel_said 'rmnic.*capacity of [0-9]+ pages is' || fail "the driver said nothing about a wild capacity"
	host set rm0 x-lie-capacity 0 >/dev/null
	at_most "sectors of the disk" "$(sectors)" $((old + 131072))
	load_progress 1000
	load_verify
	no_io_error
}

plan 2
run_case grows "the disk grows with the device, under load"
run_case wild "a wild capacity is not believed"
finish
