# SPDX-License-Identifier: BSD-3-Clause
"""The backend dies, or hangs: each command is completed once, no byte of the guest's is wrong."""
import json
import os
import random
import select
import signal

from cases_servers import backend_with
from front import LIMIT_S, OK, RESET
from guest import PAGE, SC_OK, content
from rig import Skip, bench_end, device_id, until

KILLS = int(os.environ.get("DAEMON_KILLS", "100"))


def kill__in_the_middle(rig):
    """STATE-11: what was under way is completed by the successor, each cid once."""
    guest = rig.guest()
    for rpn in range(16):
        guest.fill(20, content(rpn))
        assert guest.page_out(rpn, 20) == SC_OK
    for _ in range(3):
        for rpn in range(16):
            guest.inn.submit(guest.io(2, rpn, guest.address(32 + rpn)))
        rig.fleet.backend.kill()
        assert guest.front.ended()
        rig.fleet.backend.wait(LIMIT_S)
        guest.front.drop()
        guest.connect(rig.fleet.socket)
        assert guest.go_on() == 0
        assert len({guest.inn.wait()[0] for _ in range(16)}) == 16
        for rpn in range(16):
            assert guest.look(32 + rpn) == content(rpn)
    guest.close()


def kill__another_generation(rig):
    """USER-14: a guest that was reset meanwhile gets nothing of before."""
    guest = rig.guest()
    for rpn in range(4):
        guest.fill(20, content(rpn))
        assert guest.page_out(rpn, 20) == SC_OK
    for rpn in range(4):
        guest.inn.submit(guest.io(2, rpn, guest.address(32 + rpn)))
    rig.fleet.backend.kill()
    rig.fleet.backend.wait(LIMIT_S)
    for page in range(32, 36):
        guest.fill(page, b"y" * PAGE)
    guest.front.drop()
    guest.connect(rig.fleet.socket)
    assert guest.enable() == 0
    guest.make_queues()
    select.select([], [], [], 0.2)
    for page in range(32, 36):
        assert guest.look(page) == b"y" * PAGE, "a command of the old generation was executed"
    assert guest.page_in(2, 21) == SC_OK and guest.look(21) == content(2)
    guest.close()


def kill__stopped_during_reset(rig):
    """RULES A3, C1: a backend that hangs answers late or is killed; no byte is written after that."""
    guest = rig.guest()
    for rpn in range(8):
        guest.fill(20, content(rpn))
        assert guest.page_out(rpn, 20) == SC_OK
    rig.fleet.backend.freeze()
    for rpn in range(8):
        guest.inn.submit(guest.io(2, rpn, guest.address(32 + rpn)))
    guest.front.send(RESET)
    assert guest.front.silent(0.5), "a stopped process answered"
    rig.fleet.backend.thaw()
    assert guest.front.answer().status == OK
    before = bytes(guest.mem)
    select.select([], [], [], 0.2)
    assert bytes(guest.mem) == before
    assert guest.enable() == 0
    guest.make_queues()
    # Once more, and this one never wakes up.
    rig.fleet.backend.freeze()
    for rpn in range(8):
        guest.inn.submit(guest.io(2, rpn, guest.address(32 + rpn)))
    guest.front.send(RESET)
    assert guest.front.silent(0.2)
    rig.fleet.backend.kill()
    assert rig.fleet.backend.wait(LIMIT_S) is not None
    before = bytes(guest.mem)
    guest.front.drop()
    guest.connect(rig.fleet.socket)
    assert bytes(guest.mem) == before, "the successor wrote before ENABLE"
    assert guest.enable() == 0
    guest.make_queues()
    assert guest.page_in(2, 21) == SC_OK and guest.look(21) == content(2)
    guest.close()


def kill__a_hundred_times(rig):
    """RULES B2: kill -9 again and again under load; a generator that outlives it verifies each page."""
    bench = rig.bench("--working-set", "32M", "--workloads", "fill,mix,verify", "--until-signal", "--queue-depth", "32",
                      "--reconnect", "--timeout-s", "300")
    chance = random.Random(1)

    def running():
        assert bench.poll() is None, bench.stderr.read()[-2000:]
        return any(device["state"] == "running" and device["pages_out"] + device["pages_in"] > 100
                   for device in rig.ask("devices"))
    try:
        for kill in range(KILLS):
            until(f"pages move before kill {kill}", running)
            select.select([], [], [], chance.random() * 0.1)
            rig.fleet.backend.kill()
            rig.fleet.backend.wait(LIMIT_S)
        # Of the mix, that is: a signal before it would be one for nothing.
        until("pages come in after the last kill",
              lambda: running() and any(device["pages_in"] > 100 for device in rig.ask("devices")))
        bench.send_signal(signal.SIGUSR1)
        report = bench_end(bench, 300)
    finally:
        bench.kill()
    epochs = report.get("epoch") or report.get("epochs") or report.get("reconnects")
    assert epochs is None or epochs >= KILLS, json.dumps(report)[:500]


def kill__a_server(rig):
    """With one replica: who is away stalls its pages, and they come when it is back; with its memory gone, an error says so."""
    with backend_with(rig, "--replicas", "1"):
        _only_replica_dies(rig)


def _only_replica_dies(rig):
    guest = rig.guest()
    for rpn in range(8):
        guest.fill(20, content(rpn))
        assert guest.page_out(rpn, 20) == SC_OK
    used = rig.ask("slabs", device=device_id(guest))[0]["members"][0]["server"]
    server = next(s for s in rig.fleet.servers if s.uuid == used)
    server.child.freeze()
    try:
        guest.inn.submit(guest.io(2, 3, guest.address(32)))
        select.select([], [], [], 0.5)
        assert not guest.inn.ready()
    finally:
        server.child.thaw()
    assert guest.inn.wait()[1] == SC_OK and guest.look(32) == content(3)
    seen = len(rig.log())
    server.child.kill()
    server.child.wait(LIMIT_S)
    server.child.stop()
    server.start().ready(LIMIT_S)
    cid, status, _, _ = guest.command(guest.inn, guest.io(2, 3, guest.address(33)))
    until("the log says so", lambda: "came back empty" in rig.log()[seen:])
    assert status & 0xf00 == 0x300, f"page {cid}: {status:#x}, wanted a status of class DATA"
    assert guest.page_in(1000, 21) == SC_OK, "a page that was never written"
    guest.fill(20, content(77))
    until("a page can be written again", lambda: guest.page_out(3, 20) == SC_OK)
    assert guest.page_in(3, 21) == SC_OK and guest.look(21) == content(77)
    guest.close()
