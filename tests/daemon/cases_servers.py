# SPDX-License-Identifier: BSD-3-Clause
"""Servers that are silent, refuse, or know of a newer backend; pages on two of them."""
import contextlib
import os
import struct
import time
import uuid

from front import BYE, CAPACITY, LEAVING, LIMIT_S, OK, RESET, UNREACHABLE, Front, State
from guest import SC_OK, Guest, content
from rig import SLAB, Child, device_id, until


@contextlib.contextmanager
def backend_with(rig, *words):
    """The fleet's backend with further arguments, for a while."""
    fleet = rig.fleet
    plain = fleet.rmnicd_args
    fleet.rmnicd_args = plain + list(words)
    try:
        fleet.start_backend()
        yield fleet
    finally:
        fleet.rmnicd_args = plain
        fleet.start_backend()


def _refused(rig, status, *expected, **field):
    """A new device is refused in these words."""
    state = State(uuid.uuid4().bytes, SLAB, **field)
    front = Front(rig.fleet.socket)
    answer = front.device(state)
    assert answer.status == status, (answer.status, answer.text)
    for word in expected:
        assert word in answer.text, answer.text
    front.close()
    state.close()


def servers__silent(rig):
    """USER-7: refused after a bounded time, and the text says who is silent."""
    with backend_with(rig, "--reserve-timeout-ms", "3000"):
        for server in rig.fleet.servers:
            server.child.freeze()
        try:
            _refused(rig, UNREACHABLE, rig.fleet.servers[1].address, "does not answer")
        finally:
            for server in rig.fleet.servers:
                server.child.thaw()


def servers__none(rig):
    fleet = rig.fleet
    plain = fleet.backend_argv

    def without():
        words = plain()
        while "--server" in words:
            at = words.index("--server")
            del words[at:at + 2]
        return words + ["--reserve-timeout-ms", "1000"]
    fleet.backend_argv = without
    try:
        fleet.start_backend()
        _refused(rig, UNREACHABLE, "no memory server is configured")
    finally:
        fleet.backend_argv = plain
        fleet.start_backend()


def servers__slabs_too_small(rig):
    """A device whose slabs are larger than those that servers give out."""
    state = State(uuid.uuid4().bytes, 2 * SLAB, slab_pages=2 * SLAB)
    front = Front(rig.fleet.socket)
    answer = front.device(state)
    assert answer.status not in (OK, 0) and "slab_size" in answer.text, (answer.status, answer.text)
    front.close()
    state.close()


def servers__another_token(rig):
    """RMP-8: pages of one tenant are not another's; it says what is wrong."""
    guest = rig.guest()
    guest.fill(20, content(5))
    assert guest.page_out(5, 20) == SC_OK
    guest.front.drop()
    path = os.path.join(rig.fleet.scratch, "token")
    with open(path, "w", encoding="ascii") as token:
        token.write("5a" * 32 + "\n")
    with backend_with(rig, "--token-file", path, "--reserve-timeout-ms", "3000"):
        front = Front(rig.fleet.socket)
        answer = front.device(guest.state, guest.capacity)
        assert answer.status == UNREACHABLE and "token" in answer.text, (answer.status, answer.text)
        front.close()
        # Its own devices are served.
        other = rig.guest()
        other.close()
    guest.connect(rig.fleet.socket)
    assert guest.go_on() == 0
    assert guest.page_in(5, 21) == SC_OK and guest.look(21) == content(5)
    guest.close()


def servers__newer_epoch(rig):
    """RMP-14: a backend whose device another one has taken over stops, says LEAVING and writes no more."""
    guest = rig.guest()
    guest.fill(20, content(5))
    assert guest.page_out(5, 20) == SC_OK
    fleet, seen = rig.fleet, len(rig.log())
    words = fleet.backend_argv()
    second = os.path.join(fleet.scratch, "second")
    words += ["--socket", second, "--control", second + ".ctl", "--udp-port", "9700"]
    child = Child("rmnicd2", words, fleet.space, fleet.scratch, fleet.log_dir).start()
    try:
        child.ready(LIMIT_S)
        front = Front(second)
        answer = front.device(guest.state, guest.capacity)
        assert answer.status == OK, answer.text
        # The first one learns of it when it next asks a server.
        guest.out.submit(guest.io(1, 5, guest.address(20)))
        guest.front.notice(LEAVING)
        assert guest.front.ended()
        assert "newer epoch" in rig.log()[seen:]
        until("it is gone there", lambda: device_id(guest) not in rig.devices())
        guest.front.drop()
        guest.front = front
        guest.lend()
        assert guest.go_on() == 0
        # The first one may have ended it with "try again", or left it to its successor.
        status = guest.out.wait()[1]
        assert status == SC_OK or status & 0xf00 == 0x200, hex(status)
        assert guest.page_out(5, 20) == SC_OK
        assert guest.page_in(5, 21) == SC_OK and guest.look(21) == content(5)
        assert front.request(BYE).status == OK
    finally:
        child.stop()
    guest.close()


def servers__two_replicas(rig):
    """RULES A4: each page is on both servers before it counts as written."""
    with backend_with(rig, "--replicas", "2"):
        guest = rig.guest()
        before = [server.ask("stats")["writes"] for server in rig.fleet.servers]
        for rpn in range(8):
            guest.fill(20, content(rpn))
            assert guest.page_out(rpn, 20) == SC_OK
        after = [server.ask("stats")["writes"] for server in rig.fleet.servers]
        # One that was sent twice, because its answer was late, counts twice.
        assert all(a - b >= 8 for a, b in zip(after, before)), (before, after)
        assert len(rig.ask("slabs", device=device_id(guest))[0]["members"]) == 2
        for rpn in range(8):
            assert guest.page_in(rpn, 21) == SC_OK and guest.look(21) == content(rpn)
        guest.close()


def servers__three_replicas_of_two(rig):
    with backend_with(rig, "--replicas", "3", "--reserve-timeout-ms", "3000"):
        _refused(rig, UNREACHABLE, "3 replicas")


def servers__slow_while_the_capacity_grows(rig):
    """RULES C1: what ends DMA does not wait behind a CAPACITY; what was begun for it is there for who asks again."""
    with backend_with(rig, "--reserve-timeout-ms", "60000"):
        guest = rig.guest(max_capacity=3 * SLAB)
        for server in rig.fleet.servers:
            server.child.freeze()
        try:
            began = time.monotonic()
            answer = guest.front.request(CAPACITY, struct.pack("<Q", 3 * SLAB))
            assert answer.status == UNREACHABLE and "ask again" in answer.text, (answer.status, answer.text)
            assert guest.front.request(RESET).status == OK
            assert time.monotonic() < began + 30, "it waited as long as it may for the servers"
        finally:
            for server in rig.fleet.servers:
                server.child.thaw()
        until("the capacity grows", lambda: guest.front.request(CAPACITY, struct.pack("<Q", 3 * SLAB)).status == OK)
        assert rig.slabs(device_id(guest)) == 3
        guest.close()


def servers__slow_and_nobody_asks_again(rig):
    """What was reserved for a CAPACITY that was not answered OK is given back."""
    with backend_with(rig, "--reserve-timeout-ms", "10000"):
        guest = rig.guest(max_capacity=3 * SLAB)
        for server in rig.fleet.servers:
            server.child.freeze()
        try:
            assert guest.front.request(CAPACITY, struct.pack("<Q", 3 * SLAB)).status == UNREACHABLE
        finally:
            for server in rig.fleet.servers:
                server.child.thaw()
        until("it grows all the same", lambda: rig.slabs(device_id(guest)) == 3)
        until("it is given back", lambda: rig.slabs(device_id(guest)) == 1)
        guest.close()
