# SPDX-License-Identifier: BSD-3-Clause
#
# rmnic_lib.sh - what the shell tests of the rmnic driver share. Sourced, not run.
#
# A test is a list of calls 'run_case NAME WORDS...': the function NAME is run with 'set -e' in a
# shell of its own, WORDS say what it shows. It ends with 0 (ok), 4 (skipped, the reason by
# skip()), anything else fails. After each case swap, load, faults and limits are taken back, and
# a complaint of the kernel since the case began fails it as well.

RMNIC_DISK=/dev/rmnic0
RMNIC_GROUP=/sys/fs/cgroup/rmnic_load
RMNIC_RUN=/tmp/rmnic_test.$$
RMNIC_COMPLAINTS='WARNING: |BUG: |Oops|general protection|Call Trace:|soft lockup|hard LOCKUP|rcu:.*stall|blocked for more than|KASAN|UBSAN|refcount_t|list_(add|del) corruption|Bad page state'

# --- TAP ------------------------------------------------------------------------------

rmnic_case=0
rmnic_failed=0

note() { echo "# $*"; }

skip() { note "SKIP $*"; echo "$*" >"$RMNIC_RUN/skip"; exit 4; }

plan() {
	mkdir -p "$RMNIC_RUN"
	# A test before this one may have been ended by the runner, in the middle of a fault.
	touch "$RMNIC_RUN/faults"
	take_back
	grep -q live /sys/bus/pci/drivers/rmnic/*/rmnic/state 2>/dev/null || rmmod rmnic 2>/dev/null
	echo "TAP version 13"
	echo "1..$1"
}

complaints() {
	dmesg | sed -n "/$1/,\$p" | grep -E "$RMNIC_COMPLAINTS"
}

run_case() {
	local name=$1 status mark verdict
	shift
	rmnic_case=$((rmnic_case + 1))
	mark="rmnic-kselftest: $(basename "$0") $rmnic_case $name"
	# On the console too: after a hang it says where.
	echo "$mark" >/dev/kmsg
	rm -f "$RMNIC_RUN/skip"
	( set -e; RMNIC_MARK=$mark; "$name" )
	status=$?
	take_back
	if complaints "$mark" >"$RMNIC_RUN/complaints"; then
		sed 's/^/# kernel: /' "$RMNIC_RUN/complaints" | head -n 20
		[ $status = 4 ] || status=99
	fi
	case $status in
	0) verdict="ok $rmnic_case $name: $*" ;;
	4) verdict="ok $rmnic_case $name: $* # SKIP $(cat "$RMNIC_RUN/skip" 2>/dev/null)" ;;
	*) verdict="not ok $rmnic_case $name: $*"; rmnic_failed=1
	   note "ended with $status; the kernel's words since it began, at most 25:"
	   dmesg | sed -n "/$mark/,\$p" | tail -n 25 | sed 's/^/#   /' ;;
	esac
	echo "$verdict"
}

finish() {
	rm -rf "$RMNIC_RUN"
	exit $rmnic_failed
}

# expect WORDS... -- COMMAND...: the command succeeds, or the case ends with the words.
fail() { note "FAIL: $*"; exit 1; }

# at_least WHAT VALUE LEAST, at_most, equal
at_least() { [ "$2" -ge "$3" ] || fail "$1 is $2, expected at least $3"; }
at_most() { [ "$2" -le "$3" ] || fail "$1 is $2, expected at most $3"; }
equal() { [ "$2" = "$3" ] || fail "$1 is '$2', expected '$3'"; }

# wait_until SECONDS COMMAND...: for states that the kernel announces nowhere. A kernel full of checkers
# is given SLOWNESS times as long.
wait_until() {
	local end=$(($(date +%s) + $1 * ${SLOWNESS:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt $end ] || return 1
		sleep 0.1
	done
}

# --- The device and its driver ----------------------------------------------------------

# Its PCI address; empty: there is none.
pci_address() {
	local dir
	for dir in /sys/bus/pci/devices/*; do
		[ "$(cat "$dir/vendor" 2>/dev/null):$(cat "$dir/device" 2>/dev/null)" = 0x1b36:0x0052 ] || continue
		basename "$dir"
		return
	done
}

need_device() {
	[ -n "$(pci_address)" ] || skip "no rmnic device on the PCI bus"
	[ -b $RMNIC_DISK ] || modprobe rmnic 2>&1 || skip "no module rmnic for this kernel"
	wait_until 10 [ -b $RMNIC_DISK ] || fail "the module is loaded and there is a device, but no $RMNIC_DISK after 10 s"
	DEVICE=/sys/bus/pci/devices/$(pci_address)
	[ "$(cat "$DEVICE/rmnic/state")" = live ] || fail "the driver calls the device '$(cat "$DEVICE/rmnic/state")'"
}

# driver_with PARAMETERS...: load it anew with these.
driver_with() {
	need_device
	rmmod rmnic
	modprobe rmnic "$@"
	need_device
}

need_host() { command -v host >/dev/null || skip "no 'host': the host cannot be asked to act on this machine"; }

# stat NAME: a counter of the device, which the driver reads by READ_STATS.
stat() {
	local value
	value=$(cat /sys/kernel/debug/rmnic/*/device_stats | awk -v key="$1" '{ sub(":", "", $1) } $1 == key { print $2; exit }')
	[ -n "$value" ] || fail "the driver's debugfs has no counter '$1'"
	echo "$value"
}

# fault KNOB VALUE: the x-fault- properties of -device rmnic,help
fault() { touch "$RMNIC_RUN/faults"; host set rm0 "x-fault-$1" "$2" >/dev/null || fail "the device does not take the fault $1=$2"; }

# The fault of one completion has happened: the device has taken it back.
fault_done() { host get rm0 x-fault-cqe-nth | grep -q '"return":0}'; }

faults_clear() {
	local knob
	[ -e "$RMNIC_RUN/faults" ] && command -v host >/dev/null || return 0
	rm "$RMNIC_RUN/faults"
	for knob in cqe-nth cqe drop-irq-nth delay-us nth permille status rpn-count rpn opcode; do
		host set rm0 x-fault-$knob 0 >/dev/null 2>&1
	done
	host set rm0 x-lie-capacity 0 >/dev/null 2>&1
	return 0
}

# --- Swap and load ------------------------------------------------------------------------

swap_on() {
	mkswap $RMNIC_DISK >/dev/null
	swapon $RMNIC_DISK
	grep -q "^$RMNIC_DISK " /proc/swaps || fail "swapon of $RMNIC_DISK succeeded, but /proc/swaps does not list it"
}

swap_pages() { awk -v name="pswp$1" '$1 == name { print $2 }' /proc/vmstat; }

# load_limit MIB|max: the soft limit makes it page; a hard one alone would have processes killed
# while their pages are still on the way to a busy device.
load_limit() {
	if [ "$1" = max ]; then
		echo max >$RMNIC_GROUP/memory.max
		echo max >$RMNIC_GROUP/memory.high
	else
		echo "$(($1 + 64))M" >$RMNIC_GROUP/memory.max
		echo "$1M" >$RMNIC_GROUP/memory.high
	fi
}

# load_start WHAT MIB PROCS [LIMIT_MIB]: see rmnic_load.c; the limit makes the kernel page.
# LOAD_CPUS is the mask of CPUs it may use.
load_start() {
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	mkdir -p $RMNIC_GROUP
	load_limit "${4:-$(($2 * 4))}"
	rm -f "$RMNIC_RUN/counter" "$RMNIC_RUN/load"
	# The process enters the group itself, so that no page of it is charged elsewhere.
	sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' $RMNIC_GROUP \
		taskset "${LOAD_CPUS:-ffff}" ./rmnic_load "$1" "$2" "$3" "$RMNIC_RUN/counter" >"$RMNIC_RUN/load" 2>&1 &
	LOAD=$!
	echo $LOAD >"$RMNIC_RUN/load.pid"
	wait_until 20 [ -s "$RMNIC_RUN/counter" ] || fail "the load did not start: $(cat "$RMNIC_RUN/load")"
	load_progress 1000
}

load_count() { cat "$RMNIC_RUN/counter" 2>/dev/null || echo 0; }

# load_progress N [SECONDS]: N more pages are done, by a load that is still alive.
load_progress() {
	local from
	from=$(load_count)
	wait_until "${2:-30}" load_passed $((from + $1)) ||
		fail "the load did $(($(load_count) - from)) pages in ${2:-30} s, expected $1: $(cat "$RMNIC_RUN/load")"
}

load_passed() { [ "$(load_count)" -ge "$1" ]; }

load_alive() { kill -0 "$LOAD" 2>/dev/null; }

# Ends the load; its own exit status, and its last line in LOAD_RESULT.
load_end() {
	local status=0
	kill -TERM "$LOAD" 2>/dev/null || true
	wait "$LOAD" || status=$?
	rm -f "$RMNIC_RUN/load.pid"
	LOAD_RESULT=$(tail -n 1 "$RMNIC_RUN/load")
	note "load: $LOAD_RESULT"
	return $status
}

# Nothing was lost, and something was looked at.
load_verify() {
	local verified
	load_end || fail "the load ended with $?: $(cat "$RMNIC_RUN/load")"
	verified=${LOAD_RESULT#verified=}
	at_least "pages verified" "${verified%% *}" 1000
}

kernel_said() { dmesg | sed -n "/$RMNIC_MARK/,\$p" | grep -E "$1"; }

no_io_error() {
	! kernel_said 'I/O error|Read-error on swap|Write-error on swap' || fail "the kernel saw an I/O error"
}

# Ends what stands in for udev, if a case started it.
udev_rule_end() {
	[ -e "$RMNIC_RUN/udev.pid" ] || return 0
	kill "$(cat "$RMNIC_RUN/udev.pid")" 2>/dev/null || true
	rm -f "$RMNIC_RUN/udev.pid"
}

# After each case, whatever became of it.
take_back() {
	faults_clear
	udev_rule_end
	if [ -e "$RMNIC_RUN/load.pid" ]; then
		kill -KILL "$(cat "$RMNIC_RUN/load.pid")" 2>/dev/null
		rm -f "$RMNIC_RUN/load.pid"
	fi
	if [ -d $RMNIC_GROUP ]; then
		xargs -r kill -KILL <$RMNIC_GROUP/cgroup.procs 2>/dev/null
		wait_until 20 load_group_empty || note "the load cannot be killed"
	fi
	awk '$1 ~ /^\/dev\/rmnic[0-9]+$/ { print $1 }' /proc/swaps | xargs -r -n 1 swapoff 2>&1 | sed 's/^/# /'
	umount /tmp/rmnic_mnt 2>/dev/null
	rmdir $RMNIC_GROUP 2>/dev/null
	return 0
}

load_group_empty() { [ -z "$(cat $RMNIC_GROUP/cgroup.procs 2>/dev/null)" ]; }
