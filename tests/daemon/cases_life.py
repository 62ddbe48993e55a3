# SPDX-License-Identifier: BSD-3-Clause
"""A device's life: pages, stop and start, reset, memory, capacity, the end of either side."""
import os
import select
import signal
import struct
import subprocess
import sys
import uuid

from front import (BAD_STATE, BYE, CAPACITY, ENABLE, FATAL, IN_USE, INVALID, LEAVING, LIMIT_S, NO_SPACE, OK, ORDER, RESET,
                   STATS, Front, State)
from guest import PAGE, SC_INVALID_ADDRESS, SC_OK, Guest, content
from rig import SLAB, bench_end, device_id, until


def _write(guest, rpns, seed=0):
    for rpn in rpns:
        guest.fill(20, content(seed + rpn))
        assert guest.page_out(rpn, 20) == SC_OK


def _check(guest, rpns, seed=0):
    for rpn in rpns:
        guest.fill(21, bytes(PAGE))
        assert guest.page_in(rpn, 21) == SC_OK
        assert guest.look(21) == content(seed + rpn), f"rpn {rpn} has another page"


def life__pages_go_out_and_come_back(rig):
    guest = rig.guest()
    _write(guest, range(40))
    _check(guest, range(40))
    guest.fill(21, b"x" * PAGE)
    assert guest.page_in(1000, 21) == SC_OK and guest.look(21) == bytes(PAGE), "never written: zeros"
    status, who = guest.identify()
    assert status == SC_OK and who[96:112] == guest.state.uuid
    assert guest.front.request(BYE).status == OK
    guest.close()


def life__two_devices_do_not_see_each_other(rig):
    """The same remote page numbers, other pages; a generator beside each other that verifies every page."""
    one, two = rig.guest(), rig.guest()
    _write(one, range(20), 1000)
    _write(two, range(20), 2000)
    _check(one, range(20), 1000)
    _check(two, range(20), 2000)
    two.fill(21, b"x" * PAGE)
    assert two.page_in(500, 21) == SC_OK and two.look(21) == bytes(PAGE)
    words = ["--working-set", "16M", "--workloads", "fill,mix,verify", "--ops", "4000", "--queue-depth", "8"]
    benches = [rig.bench(*words, "--seed", str(seed)) for seed in (1, 2)]
    for bench in benches:
        bench_end(bench)
    _check(one, range(20), 1000)
    one.close()
    two.close()


def life__device_in_use(rig):
    """USER-5: the same device on a second connection is refused; the first one goes on."""
    guest = rig.guest()
    second = Front(rig.fleet.socket)
    state = State(guest.state.uuid, SLAB)
    answer = second.device(state)
    assert answer.status == IN_USE, answer.text
    _write(guest, [1])
    _check(guest, [1])
    second.close()
    guest.close()


def life__more_than_the_servers_hold(rig):
    """USER-7: refused with how much there is; what was reserved for it is given back."""
    front, state = Front(rig.fleet.socket), State(uuid.uuid4().bytes, 64 * SLAB)
    answer = front.device(state)
    assert answer.status == NO_SPACE, (answer.status, answer.text)
    assert 0 < answer.available < 64 * SLAB and answer.available % SLAB == 0, answer.available
    assert str(answer.available) in answer.text, answer.text
    until("the slabs are back", lambda: rig.slabs(uuid.UUID(bytes=state.uuid)) == 0)
    # It may ask again, for less.
    answer = front.device(state, capacity=SLAB)
    assert answer.status == OK, answer.text
    assert front.request(BYE).status == OK
    front.close()
    state.close()


def life__state_block_of_another_device(rig):
    """USER-6, STATE-1"""
    front, state = Front(rig.fleet.socket), State(uuid.uuid4().bytes, SLAB)
    assert front.device(state, uuid=uuid.uuid4().bytes).status == BAD_STATE
    state.map[0:1] = b"\0"
    assert front.device(state).status == BAD_STATE
    state.map[0:1] = b"\x52"
    assert front.device(state).status == OK
    front.close()
    state.close()


def life__stop_and_start(rig):
    """USER-16: stopped, nothing is fetched and no byte written; what waits is done after START."""
    guest = rig.guest()
    _write(guest, range(4))
    assert guest.stop() == OK
    guest.fill(21, bytes(PAGE))
    guest.inn.submit(guest.io(2, 2, guest.address(21)))
    before = bytes(guest.mem)
    select.select([], [], [], 0.3)
    assert bytes(guest.mem) == before, "memory changed while stopped"
    assert guest.restart() == OK
    assert guest.inn.wait()[1] == SC_OK and guest.look(21) == content(2)
    guest.close()


def life__stop_under_load(rig):
    """USER-16, STATE-11: commands are put back and redriven, each is completed once."""
    guest = rig.guest()
    _write(guest, range(32))
    for turn in range(20):
        for rpn in range(16):
            guest.inn.submit(guest.io(2, rpn, guest.address(32 + rpn)))
        assert guest.stop(drain_ms=turn % 2 * 50) == OK
        before = bytes(guest.mem)
        # What was asked of the servers comes in the meantime, and is not for this memory any more.
        select.select([], [], [], 0.03)
        assert bytes(guest.mem) == before, "memory changed while stopped"
        assert guest.restart() == OK
        cids = sorted(guest.inn.wait()[0] for _ in range(16))
        assert len(set(cids)) == 16, cids
        assert not guest.inn.ready()
        for rpn in range(16):
            assert guest.look(32 + rpn) == content(rpn)
    guest.close()


def _late_answers(rig, guest, end):
    """Reads whose answers come only after end() was answered: no byte of the guest's may change by them."""
    for server in rig.fleet.servers:
        server.child.freeze()
    try:
        for rpn in range(8):
            guest.inn.submit(guest.io(2, rpn, guest.address(48 + rpn)))
        until("they are fetched", lambda: guest.inn.word(132) == guest.inn.tail)
        assert end() == OK
        before = bytes(guest.mem)
    finally:
        for server in rig.fleet.servers:
            server.child.thaw()
    select.select([], [], [], 0.3)
    assert bytes(guest.mem) == before, "memory changed"


def life__answers_after_stop(rig):
    """USER-16, RULES C1"""
    guest = rig.guest()
    _write(guest, range(8))
    _late_answers(rig, guest, lambda: guest.stop(drain_ms=0))
    assert guest.restart() == OK
    assert len({guest.inn.wait()[0] for _ in range(8)}) == 8
    assert all(guest.look(48 + rpn) == content(rpn) for rpn in range(8))
    guest.close()


def life__answers_after_reset(rig):
    """USER-15, RULES C1"""
    guest = rig.guest()
    _write(guest, range(8))
    _late_answers(rig, guest, lambda: guest.front.request(RESET).status)
    assert guest.enable() == 0
    guest.make_queues()
    _check(guest, range(8))
    guest.close()


def life__reset_drops_all(rig):
    """USER-15, USER-14: after RESET nothing is written; a new generation begins with empty queues."""
    guest = rig.guest()
    _write(guest, range(4))
    for rpn in range(4):
        guest.inn.submit(guest.io(2, rpn, guest.address(32 + rpn)))
    assert guest.front.request(RESET).status == OK
    before = bytes(guest.mem)
    guest.inn.submit(guest.io(2, 3, guest.address(40)))
    select.select([], [], [], 0.3)
    after = bytes(guest.mem)
    # The submission is the guest's own; nothing else may have changed.
    assert before[9 * PAGE:] == after[9 * PAGE:] and guest.look(40) == bytes(PAGE)
    assert guest.enable() == 0
    guest.make_queues()
    assert guest.state.generation() == guest.generation == 2
    _check(guest, range(4))
    guest.close()


def life__enable_twice(rig):
    guest = rig.guest()
    answer = guest.front.enable(guest.admin, 5)
    assert answer.status == ORDER, answer.status
    guest.close()


def life__enable_that_is_wrong(rig):
    """An admin queue that is not in the guest's memory makes the device FATAL, and RESET heals it."""
    guest = Guest(uuid.uuid4().bytes)
    guest.connect(rig.fleet.socket)
    guest.admin.sq += 1 << 40
    assert guest.enable() == 3
    guest.admin.sq -= 1 << 40
    assert guest.front.request(RESET).status == OK
    assert guest.enable() == 0
    guest.make_queues()
    guest.close()


def life__memory_comes_and_goes(rig):
    """USER-11: a region leaves when no page of it is in use; then its addresses are refused."""
    guest = rig.guest()
    other = guest.base + (1 << 30)
    _write(guest, range(2))
    assert guest.front.mem_add(guest.fd, other, guest.size).status == OK
    assert guest.command(guest.inn, guest.io(2, 1, other + 21 * PAGE))[1] == SC_OK
    assert guest.look(21) == content(1)
    assert guest.front.mem_del(other, guest.size - PAGE).status == INVALID, "not as it was added"
    assert guest.front.mem_del(other, guest.size).status == OK
    assert guest.command(guest.inn, guest.io(2, 1, other + 21 * PAGE))[1] == SC_INVALID_ADDRESS
    _check(guest, range(2))
    guest.close()


def life__memory_under_load_goes(rig):
    guest = rig.guest()
    other = guest.base + (1 << 30)
    _write(guest, range(16))
    for _ in range(10):
        assert guest.front.mem_add(guest.fd, other, guest.size).status == OK
        for rpn in range(16):
            guest.inn.submit(guest.io(2, rpn, other + (32 + rpn) * PAGE))
        assert guest.front.mem_del(other, guest.size).status == OK
        assert {guest.inn.wait()[1] for _ in range(16)} <= {SC_OK, SC_INVALID_ADDRESS}
        _check(guest, [3])
    guest.close()


def life__memory_with_a_ring_goes(rig):
    """USER-11, USER-18: the device goes FATAL and says of which generation it is."""
    guest = rig.guest()
    assert guest.front.mem_del(guest.base, guest.size).status == OK
    assert struct.unpack("<II", guest.front.notice(FATAL)) == (6, guest.generation)
    before = bytes(guest.mem)
    guest.inn.submit(guest.io(2, 1, guest.address(21)))
    select.select([], [], [], 0.2)
    assert guest.mem[9 * PAGE:] == before[9 * PAGE:]
    assert guest.front.request(RESET).status == OK
    assert guest.front.mem_add(guest.fd, guest.base, guest.size).status == OK
    assert guest.enable() == 0
    guest.make_queues()
    guest.close()


def life__capacity_grows(rig):
    """USER-22: reserved on the servers when it is answered; the guest is told."""
    guest = rig.guest(max_capacity=4 * SLAB)
    name = device_id(guest)
    assert rig.slabs(name) == 1
    seq = guest.admin.event_seq()
    answer = guest.front.request(CAPACITY, struct.pack("<Q", 3 * SLAB))
    assert answer.status == OK and struct.unpack("<Q", answer.payload)[0] == 3 * SLAB, answer.text
    assert rig.slabs(name) == 3
    assert guest.admin.event_seq() != seq
    guest.fill(20, content(9))
    assert guest.page_out(3 * SLAB - 1, 20) == SC_OK
    for wrong in (SLAB, 3 * SLAB + 1, 5 * SLAB):
        assert guest.front.request(CAPACITY, struct.pack("<Q", wrong)).status == INVALID, wrong
    assert rig.slabs(name) == 3
    assert guest.page_in(3 * SLAB - 1, 21) == SC_OK and guest.look(21) == content(9)
    assert rig.devices()[name]["capacity_pages"] == 3 * SLAB
    guest.close()


def life__capacity_that_is_not_there(rig):
    """USER-22: more than the servers hold changes nothing, and what could be had is given back."""
    guest = rig.guest(max_capacity=64 * SLAB)
    name = device_id(guest)
    _write(guest, range(3))
    answer = guest.front.request(CAPACITY, struct.pack("<Q", 64 * SLAB))
    assert answer.status == NO_SPACE and 0 < answer.available < 64 * SLAB, (answer.status, answer.text)
    until("the slabs are back", lambda: rig.slabs(name) == 1)
    answer = guest.front.request(CAPACITY, struct.pack("<Q", 2 * SLAB))
    assert answer.status == OK, answer.text
    _check(guest, range(3))
    guest.close()


def life__statistics(rig):
    guest = rig.guest()
    _write(guest, range(5))
    _check(guest, range(3))
    answer = guest.front.request(STATS)
    assert answer.status == OK and len(answer.payload) == 4096
    pages_out, pages_in = struct.unpack_from("<QQ", answer.payload, 48)
    assert (pages_out, pages_in) == (5, 3)
    guest.close()


def life__good_bye_frees_the_slabs(rig):
    """USER-21: BYE is answered first; then nothing of the device is left anywhere."""
    guest = rig.guest()
    name = device_id(guest)
    assert rig.slabs(name) == 1
    assert guest.front.request(BYE).status == OK
    until("the slabs are back", lambda: rig.slabs(name) == 0)
    until("the device is gone", lambda: name not in rig.devices())
    guest.close()


def life__connection_lost_keeps_the_slabs(rig):
    """USER-21: the front end lives, so a successor will want the pages; memory is let go of."""
    guest = rig.guest()
    name = device_id(guest)
    _write(guest, range(3))
    guest.front.drop()
    until("guest memory is unmapped", lambda: "memfd:guest" not in open(f"/proc/{rig.pid}/maps", encoding="ascii").read())
    assert rig.slabs(name) == 1
    # The same device again, a moment later: not IN_USE.
    guest.connect(rig.fleet.socket)
    assert guest.go_on() == 0
    _check(guest, range(3))
    guest.front.request(BYE)
    guest.close()


def life__terminated_after_good_bye(rig):
    """A front end that said BYE and stays connected does not keep the backend."""
    guest = rig.guest()
    assert guest.front.request(BYE).status == OK
    os.kill(rig.pid, signal.SIGTERM)
    backend = rig.fleet.backend
    assert backend.wait(LIMIT_S) == 0, "another status"
    assert guest.front.ended()
    guest.front.drop()
    guest.front = None
    guest.close()


CHILD = """
import os, sys, uuid
sys.path.insert(0, sys.argv[1])
from guest import Guest
guest = Guest(uuid.UUID(sys.argv[3]).bytes).start(sys.argv[2])
if sys.argv[4] == "closed":
    guest.front.drop()
print("up", flush=True)
sys.stdin.read()
"""


def _child(rig, name, how):
    child = subprocess.Popen([sys.executable, "-B", "-c", CHILD, os.path.dirname(os.path.abspath(__file__)),
                              rig.fleet.socket, name, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "up\n"
    return child


def life__front_end_killed(rig):
    """USER-21: its slabs are freed, and its memory is not held."""
    name = str(uuid.uuid4())
    child = _child(rig, name, "open")
    assert rig.slabs(name) == 1
    child.kill()
    child.wait()
    until("the slabs are back", lambda: rig.slabs(name) == 0)
    until("the device is gone", lambda: name not in rig.devices())


def life__front_end_that_left_dies_later(rig):
    """USER-21: slabs that were kept for a front end are freed when it dies."""
    name = str(uuid.uuid4())
    child = _child(rig, name, "closed")
    until("guest memory is unmapped", lambda: "memfd:guest" not in open(f"/proc/{rig.pid}/maps", encoding="ascii").read())
    assert rig.slabs(name) == 1
    child.kill()
    child.wait()
    until("the slabs are back", lambda: rig.slabs(name) == 0)


def life__terminated(rig):
    """SIGTERM: DMA ends, LEAVING is said, status 0; a successor goes on."""
    guest = rig.guest()
    _write(guest, range(8))
    for rpn in range(8):
        guest.inn.submit(guest.io(2, rpn, guest.address(32 + rpn)))
    os.kill(rig.pid, signal.SIGTERM)
    guest.front.notice(LEAVING)
    assert guest.front.ended()
    before = bytes(guest.mem)
    backend = rig.fleet.backend
    assert backend.wait(LIMIT_S) == 0, "another status"
    assert bytes(guest.mem) == before
    assert not os.path.exists(rig.made.socket), "the socket's file is left"
    rig.fleet  # a new backend
    guest.connect(rig.fleet.socket)
    assert guest.go_on() == 0
    assert len({guest.inn.wait()[0] for _ in range(8)}) == 8
    _check(guest, range(8))
    guest.close()
