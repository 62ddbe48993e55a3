# SPDX-License-Identifier: BSD-3-Clause
"""A memory server is killed half way through a guest's work: what is done, and what it came to."""
import os
import time

from fleetlib import faults
from fleetlib.netns import Problem
from guestvm import monitor

WHOLE_S = 180  # generous: until what was lost is somewhere again


class ServerKilled:
    """
    start() when the guest is half way, step() every now and then from then on. When every page has all its replicas
    again, or never will, the guest is told by its power button (tests/guest/jobs/run, FAULT) that it may come to an end;
    monitor is the QMP socket for that.
    """

    def __init__(self, fleet, replicas):
        self.fleet, self.replicas = fleet, replicas
        self.server = fleet.servers[-1]
        self.monitor = os.path.join(fleet.scratch, "monitor")
        self.problem = "the guest never was half way"
        self.result = {"server": faults.name_of(self.server), "slabs": [], "repaired": [], "repair_s": None,
                       "pages_copied": None}
        self.steps = None

    @property
    def active(self):
        return self.steps is not None

    def start(self):
        self.problem = "the guest ended before all was whole again"
        self.steps = self._kill_and_repair()

    def step(self):
        try:
            if next(self.steps, "end") != "end":
                return
            self.problem = None
        except Problem as problem:
            self.problem = str(problem)
        self.steps = None
        monitor.tell(self.monitor, "system_powerdown")

    def _kill_and_repair(self):
        """Yields wherever there is something to wait for."""
        fleet, server = self.fleet, self.server
        held = faults.slabs_on(fleet, server)
        self.result["slabs"] = sorted(slab for _, slab in held)
        if not held:
            raise Problem(f"{faults.name_of(server)} holds no slab: killing it would show nothing")
        start = time.monotonic()
        faults.kill_server(server)
        yield from self._until("its slabs still have their old views", lambda: len(self._changed(held)) == len(held))
        if len(fleet.servers) <= self.replicas:
            faults.start_server(server)  # there is no other to take its place
        yield from self._until("not every page has all its replicas again", lambda: faults.is_whole(fleet))
        self.result["repair_s"] = round(time.monotonic() - start, 1)
        self.result["repaired"] = sorted(slab for _, slab in self._changed(held))
        self.result["pages_copied"] = fleet.ask("stats")["pages_copied"]

    @staticmethod
    def _until(what_not, condition):
        end = time.monotonic() + WHOLE_S
        while not condition():
            if time.monotonic() > end:
                raise Problem(f"{what_not} after {WHOLE_S} s")
            yield

    def _changed(self, held):
        """Which of these slabs have another view now."""
        now = {(slab["device"], slab["slab"]): slab["view"] for slab in self.fleet.ask("slabs")}
        return [key for key, view in held.items() if now.get(key, view) > view]
