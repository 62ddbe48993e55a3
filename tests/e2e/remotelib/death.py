# SPDX-License-Identifier: BSD-3-Clause
"""Backends and front ends that end while pages move."""
import os
import signal
import time

from fleetlib.faults import eventually
from fleetlib.fleet import Fleet
from guestvm import machine

from remotelib.guestrun import GuestRun


def replaced_under_load(name, number, times, reads):
    """The guest pages and verifies all the while; each backend has paged before it ends."""
    with Fleet(2, name + "-fleet", memory="448M") as fleet, GuestRun(name, fleet.socket, env={"READS": reads},
                                                                     timeout=900) as guest:
        guest.until("fill")
        for done in range(times):
            eventually(f"backend {done} pages", lambda: any(device["pages_in"] + device["pages_out"] >= 300
                                                            for device in fleet.ask("devices")))
            fleet.backend.kill(number)
            status = fleet.backend.wait(30)
            assert status == (-number if number == signal.SIGKILL else 0), f"rmnicd ended with {status}"
            fleet.start_backend()
        assert guest.running(), f"the guest was done before {times} backends were"
        guest.ended()
        guest.result()
        assert fleet.ask("devices") is not None


def backend_restarted():
    """It leaves as systemd would have it leave: the guest stalls and goes on."""
    replaced_under_load("e2e-restart", signal.SIGTERM, 10, 20000)


def backend_killed():
    replaced_under_load("e2e-kill", signal.SIGKILL, 100, 300000)


def backend_away():
    """DMA-10: the driver counts no time while nobody executes commands; here its limit is three seconds."""
    name = "e2e-away"
    with Fleet(2, name + "-fleet", memory="448M") as fleet, \
            GuestRun(name, fleet.socket, append=("rmnic.timeout_ms=3000", "loglevel=7")) as guest:
        guest.until("fill")
        # Commands are in flight only from then on.
        eventually("pages go out", lambda: any(device["pages_out"] >= 300 for device in fleet.ask("devices")))
        fleet.backend.kill(signal.SIGKILL)
        fleet.backend.wait(30)
        time.sleep(12)  # some limits long
        fleet.start_backend()
        guest.ended()
        guest.result()
        with open(machine.path("build/log", name, "console.log"), encoding="utf-8", errors="replace") as file:
            console = file.read()
        assert "waits for its backend" in console, "no limit passed: the case shows nothing"
        for word in ("is late", "reset:", "survived its abort"):
            assert word not in console, f"the driver lost patience: '{word}'"


def slabs(fleet):
    return sum(len(server.ask("slabs")) for server in fleet.servers)


def qemu_killed():
    """USER-21: who was killed says no good-bye; its slabs are given back all the same."""
    with Fleet(2, "e2e-orphan-fleet", memory="448M") as fleet:
        with GuestRun("e2e-orphan", fleet.socket) as guest:
            guest.until("random read")
            assert slabs(fleet) > 0
            os.kill(guest.qemu_pid(), signal.SIGKILL)
            guest.ended(125)
        eventually("the slabs of a killed QEMU are freed", lambda: slabs(fleet) == 0 and not fleet.ask("devices"))
        # And there is room for the next one.
        with GuestRun("e2e-heir", fleet.socket) as guest:
            guest.ended()
            guest.result()
