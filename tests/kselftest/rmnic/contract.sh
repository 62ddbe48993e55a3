#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# contract.sh - what the specification asks of a driver and no use of the disk would show
. ./rmnic_lib.sh

BUS=/sys/bus/pci/drivers/rmnic
TRACING=/sys/kernel/tracing

unbind() { basename "$DEVICE" >$BUS/unbind; }
bind() {
	basename "$DEVICE" >$BUS/bind || fail "the driver cannot be bound again"
	wait_until 10 [ -b $RMNIC_DISK ] || fail "no $RMNIC_DISK after binding the driver again"
}

# The device works: a short load on it, verified.
works() {
	load_start $RMNIC_DISK 16 2
	load_verify
	no_io_error
}

# PCI-3: QEMU's "edu" has a BAR 0 of memory and no rmnic behind it.
another_device() {
	need_device
	lspci_has 0x1234:0x11e8 || skip "no 'edu' device on the PCI bus"
	echo 1234 11e8 >$BUS/new_id
	wait_until 10 kernel_said 'not an rmnic' || fail "the driver did not say that this is no rmnic"
	[ ! -e "$BUS/$EDU" ] || fail "the driver took a device that is no rmnic"
	echo 1234 11e8 >$BUS/remove_id
	works
}

lspci_has() {
	for EDU in /sys/bus/pci/devices/*; do
		[ "$(cat "$EDU/vendor"):$(cat "$EDU/device")" = "$1" ] || continue
		EDU=$(basename "$EDU")
		return 0
	done
	return 1
}

# INFO-2: a list that leads nowhere, is misaligned, begins inside of itself, leaves the BAR.
broken_capabilities() {
	local pointer
	need_device
	need_host
	for pointer in 4088 258 264 4092 4294967288; do
		unbind
		host set rm0 x-lie-cap-ptr $pointer >/dev/null || fail "the device cannot lie about its capabilities"
		! basename "$DEVICE" >$BUS/bind 2>/dev/null || fail "the driver took a device with capabilities at $pointer"
		host set rm0 x-lie-cap-ptr 0 >/dev/null
		bind
	done
	kernel_said 'capabilit' || fail "the driver did not name the capabilities"
	works
}

# DMA-9: the rings of whoever had the device before are not in use when the driver starts.
predecessor() {
	local resets
	need_device
	resets=$(stat resets)
	unbind
	./rmnic_pci "$(basename "$DEVICE")" occupy >"$RMNIC_RUN/occupy" 2>&1 &
	wait_until 10 grep -q occupied "$RMNIC_RUN/occupy" || fail "the device cannot be enabled by hand: $(cat "$RMNIC_RUN/occupy")"
	bind
	kill $!
	# By unbinding, and of the predecessor's rings.
	at_least "resets the device counted" "$(stat resets)" $((resets + 2))
	works
}

# DMA-7: in D3hot the registers read as all ones, as those of a device that was pulled out do.
gone() {
	local status=0
	need_host
	driver_with timeout_ms=1000
	load_start $RMNIC_DISK 32 2
	./rmnic_pci "$(basename "$DEVICE")" power 3
	wait_until 40 load_gone || fail "the load hangs on a device that is gone: $(cat "$RMNIC_RUN/load")"
	wait "$LOAD" || status=$?
	rm -f "$RMNIC_RUN/load.pid"
	equal "the load's exit status (3: errors, nothing wrong read)" $status 3
	kernel_said 'is gone' || fail "the driver did not say that the device is gone"
	# It comes back, which must not touch memory that the driver has given away meanwhile.
	./rmnic_pci "$(basename "$DEVICE")" power 0
	unbind
	bind
	driver_with
	load_start $RMNIC_DISK 16 2
	load_verify
}

load_gone() { ! kill -0 "$LOAD" 2>/dev/null; }

# DRV-2: a page under write-back stays as it is.
stable_pages() {
	need_device
	equal "queue/stable_writes" "$(cat /sys/block/rmnic0/queue/stable_writes)" 1
}

# DRV-5: while pages go out and come in, no allocation is made from the driver's code. Binding
# the driver allocates, which shows that it would be seen.
no_allocation() {
	local event text end
	need_device
	[ -d $TRACING/events ] || mount -t tracefs none $TRACING || skip "no tracefs"
	[ -d $TRACING/events/kmem/kmalloc ] || skip "this kernel has no kmem tracepoints"
	text=$(awk '$1 == "rmnic" { print $6 }' /proc/modules)
	end=$(printf '0x%x' $((text + $(cat /sys/module/rmnic/coresize))))
	for event in kmalloc kmem_cache_alloc; do
		echo "call_site >= $text && call_site < $end" >$TRACING/events/kmem/$event/filter
		echo 1 >$TRACING/events/kmem/$event/enable
	done
	unbind
	bind
	at_least "allocations seen when the driver is bound" "$(traced)" 5
	swap_on
	load_start memory 48 4 16
	echo >$TRACING/trace
	load_progress 10000 60
	equal "allocations of the driver under load" "$(traced)" 0
	load_verify
	untrace
}

traced() { grep -c call_site= $TRACING/trace || true; }

untrace() {
	local event
	for event in kmalloc kmem_cache_alloc; do
		echo 0 >$TRACING/events/kmem/$event/enable
		echo 0 >$TRACING/events/kmem/$event/filter
	done 2>/dev/null
}

# RING-4, RING-5: an SQE that was published before it was written, or written anew while the
# device may still read it, is refused or does another one's work. Slow completions keep the ring
# full and out of order.
slots() {
	local refused resets
	need_device
	need_host
	refused=$(stat refused) resets=$(stat resets)
	load_start $RMNIC_DISK 64 8
	fault delay-us 5000
	load_progress 10000 60
	fault delay-us 0
	load_verify
	equal "commands that the device refused" "$(stat refused)" "$refused"
	equal "resets" "$(stat resets)" "$resets"
}

plan 7
run_case another_device "a device that is no rmnic is left alone"
run_case broken_capabilities "a broken list of capabilities is refused"
run_case predecessor "a device that is enabled already is reset first"
run_case gone "a device that reads as all ones is gone: errors, no hang"
run_case stable_pages "pages going out are kept unchanged"
run_case no_allocation "no allocation on the way of a page"
run_case slots "slots of the ring are the device's until it has completed them"
untrace
finish
