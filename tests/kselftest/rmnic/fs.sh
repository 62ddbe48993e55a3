#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# fs.sh - a file system on the device, and files of it mapped into memory
. ./rmnic_lib.sh

MNT=/tmp/rmnic_mnt

mounted() {
	need_device
	command -v mkfs.ext4 >/dev/null || skip "no mkfs.ext4 on this machine"
	grep -qw ext4 /proc/filesystems || modprobe ext4 || skip "this kernel has no ext4"
	mkfs.ext4 -q -F $RMNIC_DISK
	mkdir -p $MNT
	mount -t ext4 -o discard $RMNIC_DISK $MNT
}

# Every byte of a mapped file, through the page cache and back from the device.
mmap_file() {
	local out
	mounted
	out=$(stat pages_out)
	./rmnic_mmap write $MNT/file 24
	sync
	umount $MNT
	at_least "pages out" $(($(stat pages_out) - out)) 6144
	mount -t ext4 $RMNIC_DISK $MNT
	out=$(stat pages_in)
	./rmnic_mmap verify $MNT/file 24
	at_least "pages in" $(($(stat pages_in) - out)) 6144
	umount $MNT
}

# Deleting a file on a file system mounted with discard frees its pages on the device.
delete_frees() {
	local stored
	mounted
	dd if=/dev/urandom of=$MNT/file bs=1M count=16 conv=fsync 2>/dev/null
	stored=$(stat pages_stored)
	rm $MNT/file
	sync
	wait_until 20 freed_below $((stored - 3500)) || fail "$(stat pages_stored) pages stored, $stored before the file was deleted"
	umount $MNT
}

freed_below() { sync; [ "$(stat pages_stored)" -le "$1" ]; }

# A program is run from it: its text comes in by page faults.
run_program() {
	mounted
	cp ./rmnic_load $MNT/program
	umount $MNT
	mount -t ext4 $RMNIC_DISK $MNT
	local status=0
	$MNT/program 2>/dev/null || status=$?
	equal "the program's exit status" $status 2
	umount $MNT
}

plan 3
run_case mmap_file "a mapped file comes back byte by byte after a new mount"
run_case delete_frees "a deleted file is freed on the device"
run_case run_program "a program is run from the file system"
finish
