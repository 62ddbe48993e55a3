# SPDX-License-Identifier: BSD-3-Clause
"""A front end of rmnic-user (spec/user.md) that can also misbehave."""
import fcntl
import mmap
import os
import selectors
import socket
import struct
import time

MAGIC, REPLY, NOTICE = 0x31525355, 1, 2
HELLO, DEVICE, MEM_ADD, MEM_DEL, KICK, CALL, ENABLE, RESET, STOP, START, CAPACITY, STATS, LOG, BYE = range(1, 15)
FATAL, LEAVING = 64, 65
(OK, VERSION, INVALID, ORDER, UNSUPPORTED, NO_SPACE, BAD_FD, BAD_STATE, IN_USE, LIMIT, FENCED, UNREACHABLE,
 INTERNAL) = range(13)
HDR = struct.Struct("<IHHIIH6s")
LIMIT_S = 60  # generous: what is waited for is an answer

STATE_MAGIC, STATE_ALIGN = 0x31305453524E4D52, 4096
STATE_HDR = struct.Struct("<QIIQ16sQIIQQQQIIQQII128sQ")


class Closed(Exception):
    """The backend closed the connection."""


def memfd(name, size, seals=fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW):
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def aligned(size):
    return (size + STATE_ALIGN - 1) // STATE_ALIGN * STATE_ALIGN


class State:
    """A device's state block, as its front end makes it (spec/state.md)."""

    def __init__(self, uuid, pages, slab_pages=16384, qpairs=4, depth=64):
        self.uuid, self.pages, self.slab_pages, self.qpairs, self.depth = uuid, pages, slab_pages, qpairs, depth
        queues = qpairs + 1
        slab = STATE_ALIGN
        page = slab + aligned(pages // slab_pages * 384)
        queue = page + aligned(pages * 8)
        flight = queue + aligned(queues * 64)
        self.size = flight + aligned(queues * depth * 128)
        self.fd = memfd("rmnic-state", self.size)
        self.map = mmap.mmap(self.fd, self.size)
        self.epoch = 0
        self.map[:256] = STATE_HDR.pack(STATE_MAGIC, 1, 256, self.size, uuid, pages, slab_pages, 0, slab, page, queue,
                                        flight, queues, queues * depth, 1, 0, 0, depth, b"", 0)

    def next_epoch(self):
        self.epoch += 1
        self.map[52:56] = struct.pack("<I", self.epoch)

    def generation(self):
        return struct.unpack_from("<I", self.map, 112)[0]

    def recovering(self):
        return struct.unpack_from("<I", self.map, 128)[0]

    def close(self):
        self.map.close()
        os.close(self.fd)


class Answer:
    def __init__(self, status, payload):
        self.status, self.payload = status, payload
        self.text = payload[:256].split(b"\0")[0].decode("ascii", "replace") if status else ""
        self.available = struct.unpack_from("<Q", payload, 256)[0] if status and len(payload) >= 264 else 0


class Front:
    """One connection. What comes unasked is kept in notices, as (type, payload)."""

    def __init__(self, path, hello=True):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(path)  # waits while the backlog is full
        self.sock.settimeout(LIMIT_S)
        self.buffer, self.seq, self.notices = b"", 0, []
        self.has_device = False
        if hello:
            assert self.request(HELLO, struct.pack("<HHIQ", 1, 1, 0, 0)).status == OK

    def drop(self):
        """Closes the socket and no more: the device stays ours."""
        self.sock.close()

    def close(self):
        """The device, if there is one, is gone for good: a test's process lives on, and slabs would be kept for it."""
        if self.has_device and self.sock.fileno() >= 0:
            try:
                self.request(BYE)
            except (Closed, OSError):
                pass
        self.drop()

    def send(self, kind, payload=b"", fds=(), **wrong):
        """wrong: fields of the header that are to be so."""
        self.seq += 1
        field = {"magic": MAGIC, "kind": kind, "flags": 0, "size": len(payload), "seq": self.seq, "status": 0,
                 "rsvd": bytes(6), **wrong}
        head = HDR.pack(*(field[k] for k in ("magic", "kind", "flags", "size", "seq", "status", "rsvd")))
        socket.send_fds(self.sock, [head + payload], list(fds))

    def message(self, limit=LIMIT_S):
        """The next message: (type, flags, status, payload)."""
        until = time.monotonic() + limit
        while True:
            if len(self.buffer) >= HDR.size:
                magic, kind, flags, size, _, status, _ = HDR.unpack_from(self.buffer)
                assert magic == MAGIC
                if len(self.buffer) >= HDR.size + size:
                    payload = self.buffer[HDR.size:HDR.size + size]
                    self.buffer = self.buffer[HDR.size + size:]
                    return kind, flags, status, payload
            self.sock.settimeout(max(until - time.monotonic(), 0.001))
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                raise Closed
            self.buffer += data

    def answer(self, limit=LIMIT_S):
        while True:
            kind, flags, status, payload = self.message(limit)
            if flags & REPLY:
                return Answer(status, payload)
            self.notices.append((kind, payload))

    def request(self, kind, payload=b"", fds=(), limit=LIMIT_S):
        self.send(kind, payload, fds)
        return self.answer(limit)

    def notice(self, kind, limit=LIMIT_S):
        """Waits for that notice."""
        while not any(k == kind for k, _ in self.notices):
            got, flags, _, payload = self.message(limit)
            assert flags & NOTICE, f"a message of type {got} that is no notice"
            self.notices.append((got, payload))
        return next(p for k, p in self.notices if k == kind)

    def ended(self, limit=LIMIT_S):
        """Waits for the end of the connection."""
        try:
            while True:
                kind, flags, _, payload = self.message(limit)
                if flags & NOTICE:
                    self.notices.append((kind, payload))
        except Closed:
            return True
        except socket.timeout:
            return False

    def silent(self, seconds):
        """Whether nothing comes for so long."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.sock, selectors.EVENT_READ)
            return not selector.select(seconds)

    # --- Requests, well made ---

    def device(self, state, capacity=None, uuid=None, vectors=3, features=0xe, epoch=None, fd=None, **field):
        state.next_epoch()
        values = {"slab_pages": state.slab_pages, "qpairs": state.qpairs, "depth": state.depth, "max": state.pages,
                  "size": state.size, **field}
        payload = struct.pack("<16sQQIHHHHIQQ32s32s", uuid or state.uuid, state.pages if capacity is None else capacity,
                              values["max"], values["slab_pages"], values["qpairs"], values["depth"], vectors, 0,
                              state.epoch if epoch is None else epoch, features, values["size"], b"serial", field.get("name", b"vm"))
        answer = self.request(DEVICE, payload, [state.fd if fd is None else fd])
        self.has_device |= answer.status == OK
        return answer

    def mem_add(self, fd, addr, size, offset=0):
        return self.request(MEM_ADD, struct.pack("<QQQQ", addr, size, offset, 0), [fd])

    def mem_del(self, addr, size):
        return self.request(MEM_DEL, struct.pack("<QQQQ", addr, size, 0, 0))

    def enable(self, aq, generation, stopped=0, features=0xe):
        return self.request(ENABLE, struct.pack("<QQQQIIII", features, aq.sq, aq.cq, aq.rec, aq.depth, generation,
                                                stopped, 0))
