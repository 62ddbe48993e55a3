# SPDX-License-Identifier: BSD-3-Clause
"""Servers that come and go while devices have pages on them: replicas, domains, drains, and what is said of it."""
import contextlib
import os
import signal
import struct
import subprocess

from fleetlib.faults import cut, mend
from fleetlib.fleet import PORT, Fleet
from front import BYE, CAPACITY, OK
from guest import SC_OK, content
from rig import SLAB, Rig, bench_end, device_id, program, until

SLABS = 3


@contextlib.contextmanager
def _three(*words, domains=None):
    """A rig of three servers; words: rmnicd's arguments."""
    fleet = Fleet(3, "daemon-drain", memory="512M", rmnicd_args=["--away-ms", "1000", *words])
    rig = Rig()
    if domains:
        plain = fleet.backend_argv
        fleet.backend_argv = lambda: [word + f",domain={domains[word]}" if word in domains else word for word in plain()]
    with fleet:
        rig.made = fleet
        yield rig


def _ctl(rig, *words):
    done = subprocess.run([program("rmnicctl"), "--control", rig.fleet.control, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    return done.returncode, done.stdout


def _address(server):
    return f"{server.address}:{PORT}"


def _guest(rig, slabs=SLABS):
    """Pages in each of its slabs."""
    guest = rig.guest(capacity=slabs * SLAB)
    for slab in range(slabs):
        for page in range(4):
            guest.fill(20, content(slab * SLAB + page))
            assert guest.page_out(slab * SLAB + page, 20) == SC_OK
    return guest


def _check(guest, slabs=SLABS):
    for slab in range(slabs):
        for page in range(4):
            guest.fill(21, bytes(4096))
            assert guest.page_in(slab * SLAB + page, 21) == SC_OK
            assert guest.look(21) == content(slab * SLAB + page), f"slab {slab}, page {page}"


def _members(rig, guest):
    """The addresses of each slab's whole members."""
    return [sorted(member["address"] for member in slab["members"] if member["state"] == "whole")
            for slab in rig.ask("slabs", device=device_id(guest))]


def _row(rig, address):
    return next(row for row in rig.ask("servers") if row["address"] == address)


def _all_have(rig, guest, replicas, but=()):
    def there():
        members = _members(rig, guest)
        return len(members) == SLABS and all(len(slab) == replicas and not set(but) & set(slab) for slab in members)
    until(f"each slab is on {replicas} servers, none of them {but}", there)


def drain__replicas_change(_):
    """Two by default; more and fewer at run time, of all devices or one; no more than there are servers."""
    with _three() as rig:
        assert rig.ask("replicas") == {"replicas": 2, "setting": 0}
        one, two = _guest(rig), _guest(rig)
        _all_have(rig, one, 2)
        assert rig.devices()[device_id(one)]["replicas"] == 2
        status, said = _ctl(rig, "replicas", "4")
        assert status == 1 and "there are 3" in said, said
        assert _ctl(rig, "replicas", "3", device_id(one))[0] == 0
        _all_have(rig, one, 3)
        _all_have(rig, two, 2)
        assert _ctl(rig, "replicas", "1")[0] == 0
        _all_have(rig, two, 1)
        _all_have(rig, one, 3)
        assert _ctl(rig, "replicas", "auto", device_id(one))[0] == 0
        _all_have(rig, one, 1)
        _check(one)
        _check(two)
        assert rig.ask("repair-rate") == {"pages": 20000}
        assert _ctl(rig, "repair-rate", "77")[0] == _ctl(rig, "scrub-rate", "78")[0] == 0
        config = rig.ask("config")
        assert (config["replicas"], config["repair_rate"], config["scrub_rate"]) == (1, 77, 78)
        one.close()
        two.close()


def drain__replicas_of_one_device_are_kept(_):
    """STATE-31: what was set for one device is not forgotten with the backend that it was said to."""
    with _three("--replicas", "1") as rig:
        guest = _guest(rig)
        name = device_id(guest)
        assert _ctl(rig, "replicas", "2", name)[0] == 0
        _all_have(rig, guest, 2)
        rig.fleet.backend.kill()
        rig.fleet.backend.wait(60)
        rig.fleet.start_backend()
        guest.front.drop()
        guest.connect(rig.fleet.socket)
        assert guest.go_on() == 0
        assert rig.devices()[name]["replicas"] == 2 and rig.ask("replicas") == {"replicas": 1, "setting": 1}
        _all_have(rig, guest, 2)
        _check(guest)
        assert _ctl(rig, "replicas", "auto", name)[0] == 0
        _all_have(rig, guest, 1)
        guest.close()


def drain__domains(_):
    """STATE-26: with two servers in one rack, each slab has a member outside of it."""
    # Where the servers of a fleet are is known before they are there.
    addresses = [f"192.0.2.{4 * index + 2}:{PORT}" for index in range(3)]
    with _three(domains={addresses[0]: "a", addresses[1]: "a", addresses[2]: "b"}) as rig:
        assert [row["domain"] for row in rig.ask("servers")] == ["a", "a", "b"]
        # By then the device has met them all: what it grows by has all to choose from.
        guest = rig.guest(capacity=SLAB, max_capacity=SLABS * SLAB)
        until("all servers are met", lambda: all(row["state"] == "ready" for row in rig.ask("servers")))
        assert guest.front.request(CAPACITY, struct.pack("<Q", SLABS * SLAB)).status == OK
        grown = _members(rig, guest)[1:]
        assert len(grown) == SLABS - 1 and all(addresses[2] in slab for slab in grown), grown
        guest.close()


def drain__under_load(_):
    """All slabs of all devices leave a server while pages move; it is told to release them; then it may go."""
    with _three() as rig:
        guest, server = _guest(rig), rig.fleet.servers[0]
        _all_have(rig, guest, 2)
        address = max(sum(_members(rig, guest), []), key=sum(_members(rig, guest), []).count)
        server = next(server for server in rig.fleet.servers if _address(server) == address)
        status, said = _ctl(rig, "server", "remove", address)
        assert status == 1 and "drain it first" in said and f"rmnicctl server drain {address}" in said, said
        bench = rig.bench("--working-set", "16M", "--workloads", "fill,mix,verify", "--ops", "20000", "--queue-depth", "8")
        until("the generator's device is there", lambda: len(rig.ask("devices")) == 2)
        status, said = _ctl(rig, "server", "drain", address)
        assert status == 0 and f"{address} is empty" in said, said
        bench_end(bench)
        _all_have(rig, guest, 2, but=[address])
        _check(guest)
        assert "is empty now" in rig.log() and _row(rig, address)["note"] == "drained"
        until("the server has released them", lambda: not server.ask("slabs"))
        # A device that comes now has nothing there; and the mark is not lost with the next reload.
        os.kill(rig.pid, signal.SIGHUP)
        until("it was reloaded", lambda: "reloaded" in rig.log())
        other = _guest(rig)
        assert address not in sum(_members(rig, other), [])
        assert _row(rig, address)["slabs"] == 0
        assert _ctl(rig, "server", "remove", address)[0] == 0
        assert len(rig.ask("servers")) == 2 and rig.ask("replicas")["replicas"] == 2
        assert _ctl(rig, "server", "add", address)[0] == 0
        assert _row(rig, address)["note"] == ""
        for one in (guest, other):
            _check(one)
            one.close()


def drain__that_is_called_off(_):
    """Slowly, so that it can be seen on its way."""
    with _three("--repair-rate", "1") as rig:
        guest = _guest(rig)
        address = _members(rig, guest)[0][0]
        status, said = _ctl(rig, "--no-wait", "server", "drain", address)
        assert status == 0 and not said, said
        assert _row(rig, address)["note"] == "draining" and _row(rig, address)["slabs"] > 0
        device = rig.devices()[device_id(guest)]
        assert device["slabs"]["moving"] > 0 and "moving" in device["health"], device
        assert "draining" in _ctl(rig, "servers")[1] and "moving" in _ctl(rig, "devices")[1]
        assert _ctl(rig, "server", "undrain", address)[0] == 0
        status, said = _ctl(rig, "server", "undrain", address)
        assert status == 1 and "not being drained" in said, said
        assert _ctl(rig, "repair-rate", "100000")[0] == 0
        until("all is well", lambda: not rig.devices()[device_id(guest)]["health"])
        assert _row(rig, address)["note"] == ""
        _check(guest)
        guest.close()


def drain__too_few_others(_):
    """Refused when it could not come to its end; where the number of replicas may change, it does."""
    with _three("--replicas", "3") as rig:
        guest = _guest(rig)
        address = _address(rig.fleet.servers[0])
        status, said = _ctl(rig, "server", "drain", address)
        assert status == 1 and "too few" in said and "rmnicctl replicas" in said, said
        assert _row(rig, address)["note"] == ""
        assert _ctl(rig, "replicas", "auto")[0] == 0
        for server in rig.fleet.servers[:2]:
            assert _ctl(rig, "server", "drain", _address(server))[0] == 0
        assert rig.ask("replicas") == {"replicas": 1, "setting": 0}
        assert set(sum(_members(rig, guest), [])) == {_address(rig.fleet.servers[2])}
        status, said = _ctl(rig, "server", "drain", _address(rig.fleet.servers[2]))
        assert status == 1 and "too few" in said, said
        _check(guest)
        guest.close()


def drain__a_server_dies(_):
    """STATE-22: who was dropped is in the log; its slabs are copied elsewhere, and that is said as well."""
    with _three() as rig:
        guest = _guest(rig)
        dead = rig.fleet.servers[1]
        on_it = sum(_address(dead) in slab for slab in _members(rig, guest))
        dead.child.kill()
        for slab in range(SLABS):  # each slab is asked for, so each of its members owes something
            assert guest.page_out(slab * SLAB, 20) == SC_OK
        _all_have(rig, guest, 2, but=[_address(dead)])
        stats = rig.ask("stats")
        assert stats["members_dropped"] >= on_it and stats["repairs"] >= on_it and stats["pages_copied"] > 0, stats
        assert f"server {_address(dead)}: " in rig.log() and "dropped" in rig.log()
        until("the repair is in the log", lambda: not on_it or "has all of it now" in rig.log())
        assert rig.log().count("dropped") <= 2 * SLABS
        guest.close()


def drain__a_page_is_lost(_):
    """RULES L2: with its address in the log, and only that."""
    with _three("--replicas", "1") as rig:
        guest = _guest(rig)
        held = rig.ask("slabs", device=device_id(guest))[0]["members"][0]["address"]
        server = next(server for server in rig.fleet.servers if _address(server) == held)
        server.child.kill()
        server.child.wait(60)
        server.child.stop()
        server.start().ready(60)
        until("the server is met again", lambda: "came back empty" in rig.log())
        status = guest.page_in(2, 21)
        assert status != SC_OK, "the page of an emptied server came back"
        until("it is in the log", lambda: "page 0x2 (bytes 0x2000 to 0x2fff) is lost" in rig.log())
        assert rig.devices()[device_id(guest)]["lost_pages"] >= 1
        # A block device's write heals it.
        guest.fill(20, content(2))
        assert guest.page_out(2, 20) == SC_OK
        assert guest.page_in(2, 21) == SC_OK and guest.look(21) == content(2)
        guest.close()


def drain__front_end_gone_while_a_server_is_away(_):
    """A server that was silent when a device ended is told when it is heard again."""
    with _three() as rig:
        guest = _guest(rig)
        name = device_id(guest)
        silent = rig.fleet.servers[0]
        _all_have(rig, guest, 2)
        cut(silent)
        try:
            assert guest.front.request(BYE).status == OK
            until("the device is gone", lambda: name not in rig.devices())
            assert silent.ask("slabs"), "there is nothing that it could be told"
        finally:
            mend(silent)
        until("it has released them", lambda: rig.slabs(name) == 0)
        until("that is in the log", lambda: "all its slabs are given back" in rig.log())
        guest.close()


def drain__front_end_gone_after_a_repair(_):
    """The same when its slabs were copied elsewhere by then, so that no view names it any more."""
    with _three() as rig:
        guest = _guest(rig)
        name = device_id(guest)
        _all_have(rig, guest, 2)
        busy = sum(_members(rig, guest), [])
        silent = next(server for server in rig.fleet.servers if _address(server) == max(busy, key=busy.count))
        cut(silent)
        try:
            for slab in range(SLABS):
                assert guest.page_out(slab * SLAB, 20) == SC_OK
            _all_have(rig, guest, 2, but=[_address(silent)])
            until("no view names it", lambda: _row(rig, _address(silent))["slabs"] == 0)
            assert guest.front.request(BYE).status == OK
            until("the device is gone", lambda: name not in rig.devices())
            assert silent.ask("slabs"), "there is nothing that it could be told"
        finally:
            mend(silent)
        until("it has released them", lambda: rig.slabs(name) == 0)
        guest.close()
