#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# remove.sh - the device goes away while it is used, and comes back. Runs last.
. ./rmnic_lib.sh

many_stored() { [ "$(stat pages_stored)" -ge 2000 ]; }
disk_gone() { [ ! -b $RMNIC_DISK ]; }
device_gone() { [ -z "$(pci_address)" ]; }

# Ends a load that must have met errors: 0 too, when it had nothing in flight.
load_broken() {
	local status=0
	wait_until 40 load_dead || fail "the load hangs 40 s after the device went away: $(cat "$RMNIC_RUN/load")"
	wait "$LOAD" || status=$?
	rm -f "$RMNIC_RUN/load.pid"
	note "load: $(tail -n 1 "$RMNIC_RUN/load")"
	equal "the load's exit status (3: errors, nothing wrong read)" $status 3
}

load_dead() { ! kill -0 "$LOAD" 2>/dev/null; }

unbind_block() {
	need_device
	load_start $RMNIC_DISK 32 4
	basename "$DEVICE" >/sys/bus/pci/drivers/rmnic/unbind
	load_broken
	wait_until 10 disk_gone || fail "$RMNIC_DISK is still there"
	basename "$DEVICE" >/sys/bus/pci/drivers/rmnic/bind
	wait_until 10 [ -b $RMNIC_DISK ] || fail "no $RMNIC_DISK after binding the driver again"
	load_start $RMNIC_DISK 16 2
	load_verify
}

# RMNIC_DEVICE is what QEMU was started with after -device: driver,property=value,...
device_json() {
	echo "$RMNIC_DEVICE" | awk -F , '{
		printf "{\"driver\":\"%s\"", $1
		for (i = 2; i <= NF; i++) {
			split($i, part, "=")
			printf ",\"%s\":%s", part[1], part[2] ~ /^[0-9]+$/ ? part[2] : "\"" part[2] "\""
		}
		print "}"
	}'
}

plug() {
	host qmp "{\"execute\":\"device_add\",\"arguments\":$(device_json)}" || fail "the host cannot plug the device in"
	wait_until 30 [ -b $RMNIC_DISK ] || fail "no $RMNIC_DISK 30 s after device_add"
	DEVICE=/sys/bus/pci/devices/$(pci_address)
}

unplug() {
	host qmp '{"execute":"device_del","arguments":{"id":"rm0"}}'
	host event DEVICE_DELETED $((40 * ${SLOWNESS:-1})) || fail "the host still has the device 40 s after device_del"
	wait_until 10 device_gone || fail "the device is still on the bus"
}

unplug_block() {
	need_device
	need_host
	[ -n "${RMNIC_DEVICE:-}" ] || skip "RMNIC_DEVICE does not say how to plug the device in again"
	load_start $RMNIC_DISK 32 4
	unplug
	load_broken
	wait_until 10 disk_gone || fail "$RMNIC_DISK is still there"
	plug
	load_start $RMNIC_DISK 16 2
	load_verify
}

# What udev does with the rule that the driver ships (60-rmnic.rules), for machines without udev.
udev_rule() {
	cat >"$RMNIC_RUN/rule" <<-'RULE'
		#!/bin/sh
		[ "$ACTION" = change ] && [ "$SUBSYSTEM" = block ] && [ "$RMNIC_REMOVING" = 1 ] || exit 0
		swapoff "/dev/$DEVNAME"
	RULE
	chmod +x "$RMNIC_RUN/rule"
	uevent "$RMNIC_RUN/rule" &
	echo $! >"$RMNIC_RUN/udev.pid"
}

# With the rule every page comes home before the device goes. A kernel with checkers is slow at it, and
# is given longer before the driver gives the pages up.
unplug_swap() {
	driver_with swapoff_wait_ms=$((10000 * ${SLOWNESS:-1}))
	need_host
	[ -n "${RMNIC_DEVICE:-}" ] || skip "RMNIC_DEVICE does not say how to plug the device in again"
	pidof udevd systemd-udevd >/dev/null || udev_rule
	swap_on
	load_start memory 32 4 12
	wait_until 30 many_stored || fail "$(stat pages_stored) pages are on the device, expected at least 2000"
	load_limit max
	unplug
	udev_rule_end
	! grep -q '^/dev/rmnic' /proc/swaps || fail "the swap area is still there: $(cat /proc/swaps)"
	load_progress 2000
	load_verify
	plug
	swap_on
	load_start memory 32 2 12
	load_verify
}

# Without it the pages are lost, and so are, in the end, those who read them. The lost area stays
# listed until the next boot: nobody can name it any more.
unplug_swap_unprepared() {
	local status=0
	need_device
	need_host
	swap_on
	load_start memory 32 4 12
	unplug
	kill -TERM "$LOAD" 2>/dev/null || true
	wait_until 40 load_dead || fail "the load hangs 40 s after the device went away: $(cat "$RMNIC_RUN/load")"
	wait "$LOAD" || status=$?
	rm -f "$RMNIC_RUN/load.pid"
	note "load: $(tail -n 1 "$RMNIC_RUN/load")"
	grep -q ' mismatches=0 ' "$RMNIC_RUN/load" || fail "wrong bytes were read after the device went away: $(cat "$RMNIC_RUN/load")"
	[ $status != 0 ] || fail "nobody noticed that the device went away"
	# What the first load counted says nothing of this one: it is asked to end when it has said that it is up.
	rm -f "$RMNIC_RUN/counter"
	LOAD_RESULT=$(./rmnic_load memory 1 1 "$RMNIC_RUN/counter" & load=$!; wait_until 10 load_passed 500; kill $load; wait $load) || status=$?
	note "a process without lost pages: $LOAD_RESULT"
	[ "${LOAD_RESULT#*mismatches=0 bus_errors=0}" != "$LOAD_RESULT" ] || fail "others suffer: $LOAD_RESULT"
}

plan 4
run_case unbind_block "the driver is unbound under block I/O: errors, no hang"
run_case unplug_block "device_del under block I/O: errors, no hang, and back again"
run_case unplug_swap "device_del under paging load: the shipped udev rule brings every page home"
run_case unplug_swap_unprepared "device_del under paging load without that rule: nobody reads wrong bytes, no hang"
finish
