# SPDX-License-Identifier: BSD-3-Clause
"""What it costs: CPU of idle processes, CPU for a page, bytes of memory for a page."""
import os
import time

from fleetlib.fleet import Fleet, program
from perflib import ROOT
from perflib.hostruns import json_of
from perflib.processes import cpu_s, resident_bytes

ROUNDS = 2     # they differ little
IDLE_S = 3.0
SMALL_MIB, LARGE_MIB = 64, 576   # two devices, all of whose pages are written: the difference is the pages'


class Costs:
    def __init__(self, settings, samples):
        self.settings, self.samples = settings, samples
        self.log_dir = os.path.join(ROOT, "build/log/perf-cost")
        os.makedirs(self.log_dir, exist_ok=True)

    def steps(self):
        for number in range(1 if self.settings.quick else ROUNDS):
            yield f"cost, round {number + 1}: CPU", self.run
            yield f"cost, round {number + 1}: memory", self.memory

    def run(self):
        with Fleet(2, "perf-cost", memory=f"{self.settings.host_mib + 128}M") as fleet:
            self.busy(fleet)
            self.idle(fleet)

    def cpus(self, fleet):
        return {"backend": cpu_s(fleet.backend.pid), "server": sum(cpu_s(server.child.pid) for server in fleet.servers)}

    def busy(self, fleet):
        for workload, depth in (("in-rand", 1), ("in-rand", 16), ("out-rand", 16)):
            argv = [program("rmnic-bench"), "--json", "--socket", fleet.socket, "--workloads", f"fill,{workload}", "--ops", "60000",
                    "--queue-depth", str(depth), "--working-set", "16M"]
            before = self.cpus(fleet)
            pages = sum(phase["pages"] for phase in json_of(argv, self.log_dir)["phases"])
            for who, cpu in self.cpus(fleet).items():
                self.samples.add("cost", who, f"{workload} depth {depth}", cpu=(cpu - before[who]) * 1e6 / pages)

    def idle(self, fleet):
        """A moment after work. Time has to pass: that is what is measured."""
        before, start = self.cpus(fleet), time.monotonic()
        time.sleep(IDLE_S)
        passed = time.monotonic() - start
        for who, cpu in self.cpus(fleet).items():
            count = len(fleet.servers) if who == "server" else 1
            self.samples.add("cost", who, "idle", more={"cpu_percent": (cpu - before[who]) * 100 / passed / count})

    def memory(self):
        """Resident bytes of a page more, without the page itself."""
        small, large = self.resident(SMALL_MIB), self.resident(LARGE_MIB)
        pages = (LARGE_MIB - SMALL_MIB) * 256
        for who, page in (("backend", 0), ("server", 4096)):
            self.samples.add("cost", who, "memory", more={"bytes_per_page": (large[who] - small[who]) / pages - page})

    def resident(self, mib):
        """What each has with so many MiB written. As much more is lent in either case."""
        with Fleet(1, "perf-cost", memory=f"{mib + 64}M") as fleet:
            argv = [program("rmnic-bench"), "--json", "--socket", fleet.socket, "--workloads", "fill,in-seq", "--ops", str(mib * 256),
                    "--queue-depth", "16", "--working-set", f"{mib}M", "--leave"]
            json_of(argv, self.log_dir)
            return {"backend": resident_bytes(fleet.backend.pid), "server": resident_bytes(fleet.servers[0].child.pid)}
