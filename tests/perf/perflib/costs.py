# SPDX-License-Identifier: BSD-3-Clause
"""What it costs: CPU of idle processes, CPU for a page, bytes of memory for a page."""
import json
import os
import signal
import subprocess
import time

from fleetlib.faults import eventually
from fleetlib.fleet import Fleet, program
from fleetlib.netns import Problem
from perflib import ROOT
from perflib.hostruns import json_of
from perflib.processes import LOAD_CPUS, SERVING_CPUS, cpu_s, entering, resident_bytes

PAGE = 4096
ROUNDS = 2     # they differ little
IDLE_S = 3.0
# Two devices, all of whose pages are written: the difference is the pages'. In the small one all that does not
# depend on their number has been touched, DPDK's buffers above all.
SMALL_MIB, LARGE_MIB = 512, 1536
READ = 50000   # pages


class Costs:
    def __init__(self, settings, samples):
        self.settings, self.samples = settings, samples
        self.log_dir = os.path.join(ROOT, "build/log/perf-cost")
        os.makedirs(self.log_dir, exist_ok=True)

    def parts(self):
        return ["cost"]

    def steps(self):
        for number in range(1 if self.settings.quick else ROUNDS):
            yield f"cost, round {number + 1}: CPU", lambda number=number: self.turn(number, self.run)
            yield f"cost, round {number + 1}: memory", lambda number=number: self.turn(number, self.memory)

    def turn(self, number, measure):
        if number and self.settings.budget.over():
            self.samples.cut("cost", "round 2")
            return
        measure()

    def run(self):
        with Fleet(2, "perf-cost", cpus=SERVING_CPUS, memory=f"{self.settings.host_mib + 128}M") as fleet:
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
        if large["server"] - small["server"] < pages * PAGE:
            raise Problem("memory for a page: the server does not have the pages that it was sent")
        for who, page in (("backend", 0), ("server", PAGE)):
            self.samples.add("cost", who, "memory", more={"bytes_per_page": (large[who] - small[who]) / pages - page})

    def resident(self, mib):
        """What each has with so many MiB written. As much more is lent in either case."""
        with Fleet(1, "perf-cost", cpus=SERVING_CPUS, memory=f"{mib + 64}M") as fleet:
            argv = [program("rmnic-bench"), "--json", "--socket", fleet.socket, "--workloads", "fill,in-rand", "--until-signal",
                    "--queue-depth", "16", "--working-set", f"{mib}M"]
            # While the front end is there: its pages go with it.
            with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  preexec_fn=entering(None, LOAD_CPUS)) as load:
                try:
                    eventually("all pages are written and many were read",
                               lambda: load.poll() is not None or any(device["pages_in"] > READ for device in fleet.ask("devices")))
                    taken = {"backend": resident_bytes(fleet.backend.pid), "server": resident_bytes(fleet.servers[0].child.pid)}
                finally:
                    load.send_signal(signal.SIGINT)
                if not json.loads(load.communicate()[0] or b"{}").get("ok"):
                    raise Problem("memory for a page: rmnic-bench did not do its work")
            return taken
