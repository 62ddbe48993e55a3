# SPDX-License-Identifier: BSD-3-Clause
"""A device whose front end is gone with its state block, and whose pages the servers still have (STATE-30)."""
import contextlib
import json
import subprocess
import uuid

from fleetlib.fleet import Fleet
from front import BAD_STATE, Front
from guest import SC_OK, Guest, content
from rig import SLAB, Rig, device_id, program, until

SLABS = 3
UNREACHABLE = 0x202


@contextlib.contextmanager
def _two(spill=None):
    """A rig of two servers that both have every page; spill: of so much of a spill directory."""
    fleet = Fleet(2, "daemon-recover", memory="512M", spill=spill,
                  rmnicd_args=["--replicas", "2", "--reserve-timeout-ms", "5000"])
    rig = Rig()
    with fleet:
        rig.made = fleet
        yield rig


def _ctl(rig, *words):
    done = subprocess.run([program("rmnicctl"), "--control", rig.fleet.control, "--json", *words], timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout)


def _guest(rig):
    guest = rig.guest(capacity=SLABS * SLAB)
    for slab in range(SLABS):
        for page in range(4):
            guest.fill(20, content(slab * SLAB + page))
            assert guest.page_out(slab * SLAB + page, 20) == SC_OK
    return guest


def _check(guest):
    for slab in range(SLABS):
        for page in range(4):
            guest.fill(21, b"x" * 4096)
            assert guest.page_in(slab * SLAB + page, 21) == SC_OK
            assert guest.look(21) == content(slab * SLAB + page), f"slab {slab}, page {page}"
        guest.fill(21, b"x" * 4096)
        assert guest.page_in(slab * SLAB + 9, 21) == SC_OK and guest.look(21) == bytes(4096)


def _all_die(rig, guest):
    """Backend and front end at once, as when their machine goes. The uuid of what was lost."""
    name = uuid.UUID(device_id(guest))
    rig.fleet.backend.kill()
    rig.fleet.backend.wait(60)
    guest.front.drop()
    guest.front = None
    guest.close()
    return name


def _again(rig, name):
    """The device anew, with an empty state block and a later epoch."""
    guest = Guest(name.bytes, capacity=SLABS * SLAB)
    guest.state.epoch = 1000
    return guest.start(rig.fleet.socket)


def _waiting(rig, name):
    return [slab for slab in _ctl(rig, "slabs", str(name)) if slab["waiting"]]


def recover__from_all_servers(_):
    """The operator asks for it before the front end is back."""
    with _two() as rig:
        name = _all_die(rig, _guest(rig))
        assert rig.slabs(name) == 2 * SLABS
        _ctl(rig, "device", "recover", str(name))
        guest = _again(rig, name)
        _check(guest)
        assert not _waiting(rig, name) and rig.slabs(name) == 2 * SLABS
        assert not guest.state.recovering()
        guest.fill(20, content(5))
        assert guest.page_out(2, 20) == SC_OK and guest.page_in(2, 21) == SC_OK
        assert guest.look(21) == content(5)
        guest.close()


def recover__not_asked_for(_):
    """Else a device without a state block is a new one, and its former life's slabs are orphans."""
    with _two() as rig:
        name = _all_die(rig, _guest(rig))
        guest = _again(rig, name)
        guest.fill(21, b"x" * 4096)
        assert guest.page_in(1, 21) == SC_OK and guest.look(21) == bytes(4096)
        until("orphans to be released", lambda: rig.slabs(name) == 2 * SLABS)
        guest.close()


def recover__a_server_is_silent(_):
    """Its slabs wait, and one sees for whom; when it is back they are all there."""
    with _two() as rig:
        name = _all_die(rig, _guest(rig))
        server = rig.fleet.servers[1]
        _ctl(rig, "device", "recover", str(name))
        server.child.freeze()
        try:
            guest = _again(rig, name)
            waiting = _waiting(rig, name)
            assert len(waiting) == SLABS, waiting
            assert all(len(slab["missing"]) == 1 for slab in waiting), waiting
            assert guest.page_in(1, 21) == UNREACHABLE
        finally:
            server.child.thaw()
        until("slabs to be found", lambda: not _waiting(rig, name))
        _check(guest)
        guest.close()


def recover__a_server_is_empty(_):
    """What is left is taken when the operator says so, and not before."""
    with _two() as rig:
        name = _all_die(rig, _guest(rig))
        server = rig.fleet.servers[1]
        server.child.kill()
        server.child.wait(60)
        server.child.stop()
        server.start().ready(60)
        _ctl(rig, "device", "recover", str(name))
        guest = _again(rig, name)
        assert len(_waiting(rig, name)) == SLABS
        assert guest.page_in(1, 21) == UNREACHABLE
        _ctl(rig, "slab", "force", str(name), "1")
        until("one slab to be taken", lambda: len(_waiting(rig, name)) == SLABS - 1)
        guest.fill(21, bytes(4096))
        assert guest.page_in(SLAB + 1, 21) == SC_OK and guest.look(21) == content(SLAB + 1)
        _ctl(rig, "slab", "force", str(name), "all")
        until("all slabs to be taken", lambda: not _waiting(rig, name))
        _check(guest)
        # They have two members again by and by.
        until("slabs to be repaired", lambda: rig.slabs(name) == 2 * SLABS)
        guest.close()


def _spilled(rig, guest):
    """Some pages of each slab, written while no server answered: they are in the file, and newer there."""
    for server in rig.fleet.servers:
        server.child.freeze()
    rpns = [slab * SLAB + page for slab in range(SLABS) for page in (1, 77)]
    for rpn in rpns:
        guest.fill(20, content(rpn + 5))
        assert guest.page_out(rpn, 20) == SC_OK
    assert rig.ask("stats")["spilled_pages"] == len(rpns)
    return rpns


def recover__what_is_in_the_spill_file(_):
    """What was acknowledged without any server is not given up for the older pages that they have."""
    with _two("512M") as rig:
        guest = _guest(rig)
        rpns = _spilled(rig, guest)
        name = _all_die(rig, guest)
        for server in rig.fleet.servers:
            server.child.thaw()
        _ctl(rig, "device", "recover", str(name))
        # The file is of so many pages; a device of another size would find other ones there.
        other = Guest(name.bytes, capacity=2 * SLABS * SLAB)
        other.state.epoch = 999
        front = Front(rig.fleet.socket)
        answer = front.device(other.state, other.capacity)
        assert answer.status == BAD_STATE and "size" in answer.text, (answer.status, answer.text)
        front.close()
        other.close()
        guest = _again(rig, name)
        assert not _waiting(rig, name)
        for slab in range(SLABS):
            for page in range(4):
                rpn = slab * SLAB + page
                guest.fill(21, bytes(4096))
                assert guest.page_in(rpn, 21) == SC_OK
                assert guest.look(21) == content(rpn + 5 if rpn in rpns else rpn), f"slab {slab}, page {page}"
        until("they are back on the servers", lambda: not rig.ask("stats")["spilled_pages"])
        for rpn in rpns:
            guest.fill(21, bytes(4096))
            assert guest.page_in(rpn, 21) == SC_OK and guest.look(21) == content(rpn + 5), rpn
        guest.close()
