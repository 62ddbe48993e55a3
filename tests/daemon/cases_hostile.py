# SPDX-License-Identifier: BSD-3-Clause
"""Front ends that break the rules: each is refused in words or dropped, and other devices do not notice."""
import os
import struct
import uuid

import front as user
from front import (BAD_FD, CALL, CAPACITY, DEVICE, ENABLE, HELLO, INVALID, KICK, LIMIT, LOG, MEM_ADD, OK, ORDER, RESET, START,
                   STATS, STOP, UNSUPPORTED, VERSION, Front, State, memfd)
from guest import PAGE, SC_OK, Guest, content, eventfd
from rig import SLAB, until


class _Bystander:
    """A device that must not notice; used as a context."""

    def __init__(self, rig):
        self.rig = rig

    def __enter__(self):
        self.guest = self.rig.guest()
        self.pid = self.rig.pid
        self.turn = 0
        return self

    def look(self):
        self.turn += 1
        self.guest.fill(20, content(self.turn))
        assert self.guest.page_out(self.turn, 20) == SC_OK
        assert self.guest.page_in(self.turn, 21) == SC_OK and self.guest.look(21) == content(self.turn)
        assert self.rig.pid == self.pid and self.rig.fleet.backend.alive(), "the backend is another one"

    def __exit__(self, kind, *_):
        if kind is None:
            self.look()
        self.guest.close()


def hostile__requests_before_their_time(rig):
    """USER-4: HELLO, DEVICE, the rest."""
    with _Bystander(rig) as by:
        state = State(uuid.uuid4().bytes, SLAB)
        for early in (lambda front: front.device(state), lambda front: front.request(STATS), lambda front: front.request(RESET)):
            front = Front(rig.fleet.socket, hello=False)
            answer = early(front)
            assert answer.status == ORDER, (answer.status, answer.text)
            front.close()
            by.look()
        state.close()
        front = Front(rig.fleet.socket)
        for kind, payload in ((STATS, b""), (RESET, b""), (START, b""), (STOP, bytes(8)), (CAPACITY, bytes(8)),
                              (ENABLE, struct.pack("<QQQQIIII", 0, 0, 0, 0, 32, 1, 0, 0))):
            assert front.request(kind, payload).status == ORDER, kind
        assert front.request(HELLO, struct.pack("<HHIQ", 1, 1, 0, 0)).status == ORDER, "HELLO twice"
        front.close()


def hostile__versions(rig):
    """USER-4: the answer names both ranges."""
    with _Bystander(rig):
        front = Front(rig.fleet.socket, hello=False)
        answer = front.request(HELLO, struct.pack("<HHIQ", 2, 9, 0, 0))
        assert answer.status == VERSION and "2" in answer.text and "9" in answer.text and "1" in answer.text, answer.text
        front.close()


def hostile__headers(rig):
    """USER-1: a header that cannot be right ends the connection."""
    with _Bystander(rig) as by:
        for wrong in ({"magic": 1}, {"flags": 1}, {"flags": 4}, {"status": 1}, {"rsvd": b"\1" + bytes(5)},
                      {"size": 8193}, {"size": 0xffffffff}):
            front = Front(rig.fleet.socket)
            front.send(STATS, **wrong)
            assert front.ended(), wrong
            front.close()
            by.look()


def hostile__lengths_and_types(rig):
    with _Bystander(rig) as by:
        front = Front(rig.fleet.socket)
        for kind, size in ((DEVICE, 127), (DEVICE, 0), (CAPACITY, 16), (STATS, 1), (CALL, 4)):
            assert front.request(kind, bytes(size)).status == INVALID, (kind, size)
        for kind in (0, 16, 63, 200, 65535):
            front.send(kind)
            status = front.answer().status
            assert status in (UNSUPPORTED, INVALID), (kind, status)
        assert front.request(LOG).status in (UNSUPPORTED, INVALID)
        front.close()
        by.look()


def hostile__descriptors(rig):
    """USER-1, USER-6, USER-9: too many, too few, of the wrong kind; none is left open."""
    with _Bystander(rig) as by:
        open_before = len(os.listdir(f"/proc/{rig.pid}/fd"))
        front, state = Front(rig.fleet.socket), State(uuid.uuid4().bytes, SLAB)
        null, plain = os.open("/dev/null", os.O_RDWR), os.open("/proc/self/stat", os.O_RDONLY)
        unsealed, short = memfd("x", state.size, 0), memfd("x", state.size - PAGE)
        for fd in (null, plain, unsealed, short):
            answer = front.device(state, fd=fd)
            assert answer.status == BAD_FD, (fd, answer.status)
        payload = struct.pack("<16sQQIHHHHIQQ32s32s", state.uuid, SLAB, SLAB, SLAB, 4, 64, 3, 0, state.epoch, 0xe,
                              state.size, b"s", b"v")
        assert front.request(DEVICE, payload).status == INVALID, "no fd"
        assert front.request(DEVICE, payload, [state.fd, null]).status == INVALID, "two fds"
        front.send(STATS, fds=[null] * 16)
        assert front.answer().status in (INVALID, ORDER)
        answer = front.device(state)
        assert answer.status == OK, answer.text
        read_only = os.open(f"/proc/self/fd/{memfd('x', PAGE)}", os.O_RDONLY)
        for fd in (null, unsealed, read_only):
            assert front.mem_add(fd, 0, PAGE).status == BAD_FD
        assert front.request(KICK, fds=[null]).status == BAD_FD
        assert front.request(CALL, struct.pack("<HHI", 0, 2, 0), [eventfd()]).status == INVALID
        assert front.request(CALL, struct.pack("<HHI", 2, 2, 0), [eventfd(), eventfd()]).status == INVALID
        assert front.request(user.BYE).status == OK
        front.close()
        state.close()
        until("descriptors are closed", lambda: len(os.listdir(f"/proc/{rig.pid}/fd")) <= open_before)
        by.look()


def hostile__regions(rig):
    """USER-9"""
    with _Bystander(rig):
        front, state = Front(rig.fleet.socket), State(uuid.uuid4().bytes, SLAB)
        assert front.device(state).status == OK
        fd = memfd("ram", 16 * PAGE)
        for addr, size, offset, status in ((1, PAGE, 0, INVALID), (0, 100, 0, INVALID), (0, PAGE, 7, INVALID), (0, 0, 0, INVALID),
                                           (2**64 - PAGE, 2 * PAGE, 0, INVALID), (0, 17 * PAGE, 0, BAD_FD),
                                           (0, PAGE, 16 * PAGE, BAD_FD), (0, PAGE, 2**63 - PAGE, BAD_FD)):
            got = front.mem_add(fd, addr, size, offset).status
            assert got in (status, INVALID), (addr, size, offset, got)
        assert front.mem_add(fd, 0, 8 * PAGE).status == OK
        assert front.mem_add(fd, 4 * PAGE, 8 * PAGE).status == INVALID, "overlaps"
        added = [1 << 32 | i << 20 for i in range(63)]
        for addr in added:
            assert front.mem_add(fd, addr, PAGE).status == OK
        assert front.mem_add(fd, 1 << 40, PAGE).status == LIMIT
        front.close()
        state.close()


def hostile__devices(rig):
    """Shapes that make no sense; features that this backend has not."""
    with _Bystander(rig) as by:
        for wrong in ({"slab_pages": 3}, {"slab_pages": 0}, {"qpairs": 0}, {"qpairs": 300}, {"depth": 63}, {"depth": 8192},
                      {"capacity": SLAB + 1}, {"capacity": 2 * SLAB}, {"max": 0}, {"max": 2**60}, {"vectors": 0},
                      {"vectors": 3000}, {"uuid": bytes(16)}, {"epoch": 0}, {"epoch": 77}, {"size": PAGE},
                      {"features": 1 << 40}):
            front, state = Front(rig.fleet.socket), State(uuid.uuid4().bytes, SLAB)
            answer = front.device(state, **wrong)
            assert answer.status not in (OK, user.INTERNAL), (wrong, answer.status)
            assert answer.text, wrong
            front.close()
            state.close()
        by.look()


def hostile__names(rig):
    """What a front end calls itself is printable ASCII, or is refused (USER-3)."""
    with _Bystander(rig):
        front, state = Front(rig.fleet.socket), State(uuid.uuid4().bytes, SLAB)
        for wrong in (b"\x1b[2J", b"\xff\xfe", b"a\n", b"a\0b"):
            answer = front.device(state, name=wrong)
            assert answer.status == INVALID, (wrong, answer.status)
        assert front.device(state, name=b"x" * 31).status == OK
        assert rig.devices()[str(uuid.UUID(bytes=state.uuid))]["vm"] == "x" * 31
        assert "\x1b" not in rig.log()
        front.request(user.BYE)
        front.close()
        state.close()


def hostile__half_a_message(rig):
    """Nobody waits for the rest of it."""
    with _Bystander(rig) as by:
        front = Front(rig.fleet.socket)
        front.sock.sendall(struct.pack("<IHH", user.MAGIC, STATS, 0))
        by.look()
        second = Front(rig.fleet.socket)
        second.sock.sendall(user.HDR.pack(user.MAGIC, DEVICE, 0, 128, 9, 0, bytes(6)) + bytes(60))
        by.look()
        front.close()
        second.close()


def hostile__many_connections(rig):
    """More than it takes: some are closed, others go on being served."""
    with _Bystander(rig) as by:
        fronts = [Front(rig.fleet.socket, hello=False) for _ in range(120)]
        by.look()
        for front in fronts:
            front.close()
        until("there is room again", lambda: Front(rig.fleet.socket).close() is None)


def hostile__rings(rig):
    """A guest that breaks its rings: its own device goes FATAL."""
    with _Bystander(rig) as by:
        guest = rig.guest()
        guest.inn.set_word(0, 1000)
        os.eventfd_write(guest.kick, 1)
        error, generation = struct.unpack("<II", guest.front.notice(user.FATAL))
        assert (error, generation) == (4, guest.generation)
        by.look()
        guest.close()


def hostile__state_block_scribbled_on(rig):
    """STATE-1: rows and flights of nonsense, then a successor's ENABLE: refused or FATAL, no more."""
    with _Bystander(rig) as by:
        for turn in range(4):
            guest = Guest(uuid.uuid4().bytes).start(rig.fleet.socket)
            state = guest.state
            guest.front.drop()
            first, last = (4096, 8192) if turn % 2 else (8192, state.size)
            state.map[first:last] = os.urandom(last - first) if turn < 2 else b"\xff" * (last - first)
            front = Front(rig.fleet.socket)
            guest.front = front
            answer = front.device(state, guest.capacity)
            if answer.status == OK:
                guest.lend()
                guest.go_on()
            by.look()
            guest.close()
