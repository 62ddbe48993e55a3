#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# fio.sh - fio with verification on the block device
. ./rmnic_lib.sh

# run_fio NAME OPTIONS...: verify=crc32c with the block's own offset in its header.
run_fio() {
	local name=$1 out
	shift
	out=$(stat pages_out)
	fio --name="$name" --filename=$RMNIC_DISK --direct=1 --verify=crc32c --verify_fatal=1 \
		--verify_state_save=0 --group_reporting --output-format=terse --thread=0 "$@" >"$RMNIC_RUN/fio" 2>&1 ||
		fail "fio ended with $?: $(cat "$RMNIC_RUN/fio")"
	# Fields of the terse format: 6 and 47 are the KiB read and written.
	note "fio $name: $(awk -F ';' '/^3;/ { print $6 " KiB read, " $47 " KiB written" }' "$RMNIC_RUN/fio")"
	at_least "pages out" $(($(stat pages_out) - out)) 1024
	no_io_error
}

need_fio() {
	need_device
	command -v fio >/dev/null || skip "no fio on this machine"
}

random_4k() { need_fio; run_fio random --rw=randwrite --bs=4k --size=16M --ioengine=libaio --iodepth=32; }
mixed_sizes() { need_fio; run_fio mixed --rw=randwrite --bsrange=4k-256k --size=48M --ioengine=libaio --iodepth=16; }
sequential_1m() { need_fio; run_fio sequential --rw=write --bs=1M --size=64M --ioengine=libaio --iodepth=4; }
many_jobs() { need_fio; run_fio jobs --rw=randwrite --bs=16k --size=8M --offset_increment=8M --numjobs=4 --ioengine=psync; }

plan 4
run_case random_4k "random blocks of 4 KiB, 32 at a time"
run_case mixed_sizes "4 to 256 KiB, 16 at a time"
run_case sequential_1m "sequential, 1 MiB"
run_case many_jobs "four jobs at once"
finish
