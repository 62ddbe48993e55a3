#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# swap.sh - many processes paging on every CPU, and giving the pages up again
. ./rmnic_lib.sh

# CMD-6; RING-10: most commands need no doorbell under load, RING-11: interrupts come.
pressure() {
	local out in
	need_device
	out=$(stat pages_out) in=$(stat pages_in)
	swap_on
	load_start memory 64 $(($(nproc) * 2)) 24
	load_progress 20000 60
	load_verify
	no_io_error
	at_least "pages out" $(($(stat pages_out) - out)) 10000
	at_least "pages in" $(($(stat pages_in) - in)) 10000
}

# The page-in pair that completed most since the counts in the file were taken, which are renewed.
busiest_pair() {
	awk '$2 == "in" { print $1, $12 }' /sys/kernel/debug/rmnic/*/queues >"$1.new"
	[ ! -e "$1" ] || awk 'NR == FNR { old[$1] = $2; next }
		$2 - old[$1] > most { most = $2 - old[$1]; pair = $1 } END { print pair }' "$1" "$1.new"
	mv "$1.new" "$1"
}

# Each CPU pages by a pair of its own where there are enough of them.
every_cpu() {
	local cpu in pairs
	need_device
	pairs=$(awk '$2 == "in"' /sys/kernel/debug/rmnic/*/queues | wc -l)
	at_least "page-in pairs" "$pairs" 2
	swap_on
	busiest_pair "$RMNIC_RUN/pairs"
	for cpu in $(seq 0 $(($(nproc) - 1))); do
		in=$(stat pages_in)
		LOAD_CPUS=$(printf %x $((1 << cpu))) load_start memory 24 1 8
		load_progress 3000
		load_verify
		at_least "pages in with CPU $cpu" $(($(stat pages_in) - in)) 1000
		busiest_pair "$RMNIC_RUN/pairs" >>"$RMNIC_RUN/used"
	done
	note "page-in pairs used: $(tr '\n' ' ' <"$RMNIC_RUN/used")"
	equal "different page-in pairs used" "$(sort -u "$RMNIC_RUN/used" | wc -l)" \
		"$((pairs < $(nproc) ? pairs : $(nproc)))"
}

# swapoff brings every page home while its owner goes on changing them.
off_under_load() {
	local i
	need_device
	blkdiscard $RMNIC_DISK
	at_most "pages of an empty device" "$(stat pages_stored)" 0
	for i in 1 2 3; do
		swap_on
		load_start memory 48 4 16
		load_progress 5000
		at_least "pages on the device" "$(stat pages_stored)" 2000
		load_limit max
		swapoff $RMNIC_DISK || fail "swapoff under load, round $i"
		load_alive || fail "the load died of swapoff"
		load_progress 3000
		load_verify
	done
	no_io_error
	# The one page is the header that mkswap wrote.
	wait_until 10 stored_at_most 1 || fail "$(stat pages_stored) pages are left on the device after swapoff, expected 1"
}

stored_at_most() { [ "$(stat pages_stored)" -le "$1" ]; }

# SWP_DISCARD: swapon --discard gives the whole area back, page clusters as they come free.
discard_at_swapon() {
	local freed
	need_device
	dd if=/dev/urandom of=$RMNIC_DISK bs=1M count=8 conv=fsync 2>/dev/null
	at_least "pages on the device" "$(stat pages_stored)" 2048
	freed=$(stat pages_freed)
	mkswap $RMNIC_DISK >/dev/null
	swapon -d $RMNIC_DISK
	at_least "pages freed by swapon -d" $(($(stat pages_freed) - freed)) 2047
	load_start memory 32 2 16
	load_verify
}

plan 4
run_case pressure "twice as many processes as CPUs page and verify"
run_case every_cpu "each CPU in turn pages, by a queue pair of its own"
run_case off_under_load "swapoff under load brings every page home and frees it"
run_case discard_at_swapon "swapon -d discards the area and the discards are counted"
finish
