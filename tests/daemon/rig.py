# SPDX-License-Identifier: BSD-3-Clause
"""What the cases run on: a fleet of two memory servers and one rmnicd, and a way to wait."""
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import uuid

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "scripts"))
sys.path.append(os.path.join(TOP, "tests", "e2e"))  # its remotelib speaks both wires

from fleetlib.child import Child  # noqa: E402,F401
from fleetlib.fleet import Fleet, program  # noqa: E402
from fleetlib.netns import Problem  # noqa: E402,F401
from guest import Guest  # noqa: E402

LIMIT_S = 60
SLAB = 16384  # pages: 64 MiB


class Skip(Exception):
    """A case that cannot run here, and why."""


def until(what, probe, limit=LIMIT_S):
    """Waits for a state that no event tells of. What probe gave, once it is true."""
    end = time.monotonic() + limit
    while True:
        got = probe()
        if got:
            return got
        assert time.monotonic() < end, f"waited {limit} s in vain for: {what}"
        select.select([], [], [], 0.02)


class Rig:
    """The fleet, made when the first case wants it and kept for those that follow."""

    def __init__(self):
        self.made = self.runtime = None

    @property
    def fleet(self):
        if not self.made:
            # Where a case wants more replicas it says so.
            self.made = Fleet(servers=2, name="daemon", memory="512M", rmnicd_args=["--replicas", "1"])
            if os.getuid():
                # Where a plain user may have DPDK's telemetry.
                self.runtime = tempfile.TemporaryDirectory(prefix="rmnic-run-")
                os.environ["RUNTIME_DIRECTORY"] = self.runtime.name
            self.made.__enter__()
        elif not self.made.backend or not self.made.backend.alive():
            self.made.start_backend()
        return self.made

    def close(self):
        if self.made:
            self.made.close()

    # --- The backend ---

    @property
    def pid(self):
        return self.fleet.backend.pid

    def log(self):
        with open(self.fleet.backend.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def ask(self, command, **arguments):
        return self.fleet.ask(command, **arguments)

    def devices(self):
        return {device["uuid"]: device for device in self.ask("devices")}

    def slabs(self, device):
        """Of a device, on all servers, as the servers themselves count them."""
        return sum(1 for server in self.fleet.servers for slab in server.ask("slabs") if slab["device"] == str(device))

    def cpu_s(self):
        """Seconds of CPU that the backend has used."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # --- Front ends ---

    def guest(self, **values):
        """A guest whose device is enabled and has its queues."""
        return Guest(uuid.uuid4().bytes, **values).start(self.fleet.socket)

    def bench(self, *words):
        """rmnic-bench at this backend, started."""
        return subprocess.Popen([program("rmnic-bench"), "--socket", self.fleet.socket, "--json", *words],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def bench_end(process, limit=LIMIT_S):
    """The report of a generator that ended by itself, every page verified."""
    out, err = process.communicate(timeout=limit)
    assert process.returncode == 0, err[-2000:]
    report = json.loads(out)
    for phase in report["phases"]:
        assert phase["errors"] == phase["mismatches"] == phase["late_writes"] == 0, phase
        assert phase["commands"] > 0, phase
    return report


def device_id(guest):
    return str(uuid.UUID(bytes=guest.state.uuid))
