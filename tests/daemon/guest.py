# SPDX-License-Identifier: BSD-3-Clause
"""A guest's memory and driver, as small as it can be: rings, commands, completions (spec/device.md)."""
import mmap
import os
import select
import struct
import time

from front import CALL, KICK, LIMIT_S, OK, START, STOP, Front, State, memfd

BASE = 0x100000000
PAGE = 4096
PAGE_OUT, PAGE_IN, FREE = 1, 2, 3
IDENTIFY, CREATE_QP = 0x81, 0x82
SC_OK, SC_INVALID_ADDRESS = 0, 0x103


def eventfd():
    return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)


class Queue:
    """A queue pair in the guest's memory at page `at`: SQ, CQ, record, a page each."""

    def __init__(self, guest, at, qid, depth=32):
        self.guest, self.qid, self.depth = guest, qid, depth
        self.sq, self.cq, self.rec = (guest.base + (at + i) * PAGE for i in range(3))
        self.at = at * PAGE
        self.tail = self.head = 0

    def zero(self):
        self.guest.mem[self.at:self.at + 3 * PAGE] = bytes(3 * PAGE)
        self.tail = self.head = 0

    def word(self, offset):
        return struct.unpack_from("<I", self.guest.mem, self.at + 2 * PAGE + offset)[0]

    def set_word(self, offset, value):
        """One store, as the device may look at any time: struct.pack_into() writes zeros first."""
        self.guest.words[(self.at + 2 * PAGE + offset) // 4] = value & 0xffffffff

    def need_wakeup(self):
        return self.word(128)

    def event_seq(self):
        return self.word(136)

    def submit(self, sqe):
        """sqe: 64 bytes but for the cid, which is the slot."""
        slot = self.tail % self.depth
        self.guest.mem[self.at + slot * 64:self.at + slot * 64 + 64] = sqe[:2] + struct.pack("<H", slot) + sqe[4:]
        self.tail += 1
        self.set_word(0, self.tail)
        os.eventfd_write(self.guest.kick, 1)  # it may come without need (USER-12)
        return slot

    def ready(self):
        slot = self.head % self.depth
        phase = struct.unpack_from("<I", self.guest.mem, self.at + PAGE + slot * 16 + 12)[0] & 1
        return phase == (0 if self.head & self.depth else 1)

    def wait(self, limit=LIMIT_S):
        """The next completion: (cid, status, done, failed)."""
        until = time.monotonic() + limit
        while not self.ready():
            # CQ interrupts are not armed here: the wait is for the word itself, in steps.
            assert time.monotonic() < until, "no completion came"
            select.select([], [], [], 0.0005)
        slot = self.head % self.depth
        cqe = struct.unpack_from("<HHII", self.guest.mem, self.at + PAGE + slot * 16)
        self.head += 1
        self.set_word(64, self.head)
        return cqe


class Guest:
    """Memory of `pages` pages, a device's state, and three queue pairs: admin, page-out, page-in."""

    def __init__(self, uuid, pages=64, capacity=16384, base=BASE, max_capacity=None):
        self.base, self.size, self.capacity = base, pages * PAGE, capacity
        self.fd = memfd("guest", self.size)
        self.mem = mmap.mmap(self.fd, self.size)
        self.words = memoryview(self.mem).cast("I")
        self.state = State(uuid, max_capacity or capacity)
        self.kick, self.calls = eventfd(), [eventfd() for _ in range(3)]
        self.admin, self.out, self.inn = (Queue(self, 3 * i, i) for i in range(3))
        self.generation = 0
        self.front = None

    def close(self):
        if self.front:
            self.front.close()
        self.words.release()
        self.mem.close()
        for fd in [self.fd, self.kick, *self.calls]:
            os.close(fd)
        self.state.close()

    def connect(self, path):
        """To a backend, or its successor, as far as ENABLE."""
        self.front = Front(path)
        answer = self.front.device(self.state, self.capacity)
        assert answer.status == OK, answer.text
        self.lend()
        return self.front

    def lend(self):
        front = self.front
        assert front.mem_add(self.fd, self.base, self.size).status == OK
        assert front.request(KICK, fds=[self.kick]).status == OK
        assert front.request(CALL, struct.pack("<HHI", 0, 3, 0), self.calls).status == OK

    def enable(self, stopped=0):
        """Anew, with a generation of its own."""
        for queue in (self.admin, self.out, self.inn):
            queue.zero()
        self.generation += 1
        return self.go_on(stopped)

    def go_on(self, stopped=0):
        """With the generation of before, at a successor."""
        answer = self.front.enable(self.admin, self.generation, stopped)
        assert answer.status == OK, answer.text
        return struct.unpack("<II", answer.payload)[0]

    def command(self, queue, sqe):
        queue.submit(sqe)
        return queue.wait()

    def make_queues(self):
        for queue, qclass in ((self.out, 0), (self.inn, 1)):
            sqe = struct.pack("<BBHHHQQQQHBBHHH14s", CREATE_QP, 0, 0, queue.qid, queue.qid, 0, queue.sq, queue.cq,
                              queue.rec, queue.depth, qclass, 0, 0, 0, 0, b"")
            _, status, _, _ = self.command(self.admin, sqe)
            assert status == SC_OK, f"CREATE_QP: {status:#x}"

    def start(self, path):
        """Connected, enabled, queues made."""
        self.connect(path)
        assert self.enable() == 0
        self.make_queues()
        return self

    def address(self, page):
        return self.base + page * PAGE

    def fill(self, page, content):
        self.mem[page * PAGE:(page + 1) * PAGE] = content

    def look(self, page):
        return self.mem[page * PAGE:(page + 1) * PAGE]

    @staticmethod
    def io(opcode, rpn, addr, npages=1):
        return struct.pack("<BBHIQQ40s", opcode, 0, 0, npages, rpn, addr, b"")

    def page_out(self, rpn, page, npages=1):
        return self.command(self.out, self.io(PAGE_OUT, rpn, self.address(page), npages))[1]

    def page_in(self, rpn, page, npages=1):
        return self.command(self.inn, self.io(PAGE_IN, rpn, self.address(page), npages))[1]

    def identify(self):
        _, status, _, _ = self.command(self.admin, struct.pack("<BBHHHQ48s", IDENTIFY, 0, 0, 0, 0,
                                                               self.address(12), b""))
        return status, self.look(12)

    def stop(self, drain_ms=1000):
        return self.front.request(STOP, struct.pack("<II", drain_ms, 0)).status

    def restart(self):
        return self.front.request(START).status


def content(seed):
    """A page that can be told from others."""
    return struct.pack("<QQ", seed, ~seed & (2**64 - 1)) * 256
