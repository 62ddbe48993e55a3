# SPDX-License-Identifier: BSD-3-Clause
"""How it scales: whole fleets in one process under a virtual clock (tests/perf/scale), a process for each size."""
import json
import os
import subprocess

from fleetlib.netns import Problem
from perflib import ROOT

PROGRAM = os.path.join(ROOT, "build/host-backend/scale")
LIMIT_S = 900       # a fleet that takes longer hangs
KNOWN = 16          # servers that each device is told of
# Servers, devices, MiB of each device, servers that each is told of
FLEETS = ((1, 1, 1024, KNOWN), (4, 40, 1024, KNOWN), (10, 100, 1024, KNOWN), (32, 320, 1024, KNOWN), (100, 1000, 1024, KNOWN),
          (316, 3160, 1024, KNOWN), (1000, 10000, 1024, KNOWN))
DEVICES = ((4, 1, 1024, 256), (256, 1, 1024, 256), (256, 1, 32 * 1024, 256), (256, 1, 1024 * 1024, 256))
QUICK_SERVERS = 256   # no larger fleets in the quick run
PERCENTILES = ("p50", "p90", "p99", "p999", "max")
COPIED = ("copied", "copied_per_server", "copied_most", "slabs", "devices", "pages", "dropped_ms", "whole_ms", "failed")


def fleet_run(servers, devices, mib, known, *more, program=PROGRAM):
    """What the program says of one fleet, and its exit status."""
    replicas = min(2, servers)
    argv = [program, "--servers", servers, "--devices", devices, "--mib", mib, "--known", known, "--replicas", replicas, *more]
    try:
        done = subprocess.run([str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT_S,
                              check=False)
    except FileNotFoundError:
        raise Problem(f"{program} is missing; 'make -f host-backend/Makefile scale' makes it") from None
    except subprocess.TimeoutExpired:
        raise Problem(f"{' '.join(str(word) for word in argv)}: no end after {LIMIT_S} s") from None
    try:
        return json.loads(done.stdout), done.returncode
    except ValueError:
        raise Problem(f"{' '.join(str(word) for word in argv)}: status {done.returncode}: {done.stderr.strip()}") from None


class Scale:
    def __init__(self, settings, samples):
        self.settings, self.samples = settings, samples

    def parts(self):
        return ["scale"]

    def steps(self):
        for fleet in FLEETS + DEVICES:
            if self.settings.quick and fleet[0] > QUICK_SERVERS:
                continue
            yield f"scale: {self.name(*fleet)}", lambda fleet=fleet: self.turn(*fleet)

    def turn(self, *fleet):
        if fleet[0] > QUICK_SERVERS and self.settings.budget.over():
            self.samples.cut("scale", self.name(*fleet))
            return
        self.measure(*fleet)

    @staticmethod
    def name(servers, devices, mib, _known):
        each = f"{mib >> 20} TiB" if mib >> 20 else f"{mib >> 10} GiB"
        return f"{servers} server{'s' * (servers > 1)}, {devices} device{'s' * (devices > 1)} of {each}"

    def measure(self, *fleet):
        deep = 64 if fleet[0] > 2 else 0   # somebody has to be left to copy to
        found, status = fleet_run(*fleet, "--deep", deep, "--pages", 4)
        name = self.name(*fleet)
        if status:
            self.samples.bad(f"scale: {name}: {found['bad']} pages were wrong or failed")
        self.add_steady(name, fleet, found)
        failure = found.get("failure")
        if failure and failure["slabs"]:   # one of many servers may have nothing of a small device
            self.samples.add("scale", name, "failure of a server", latency=self.times(failure["page_in_us"]),
                             more={"servers": fleet[0], **{key: failure[key] for key in COPIED}})

    @staticmethod
    def times(found):
        return {name: found[name] for name in PERCENTILES}

    def add_steady(self, name, fleet, found):
        more = {"servers": fleet[0], "devices": fleet[1], "fleet": int(fleet in FLEETS), "mib": fleet[2],
                "messages_out": found["out"]["messages"], "messages_in": found["in"]["messages"],
                "cpu_us_out": found["out"]["cpu_us"], "cpu_us_in": found["in"]["cpu_us"], "alone_in_us": found["in"]["p50_us"],
                "alone_out_us": found["out"]["p50_us"], "page_out_p99_us": found["page_out_us"]["p99"]}
        for key in ("capacity_gib", "lent_gib", "backend_bytes_per_page", "server_bytes_per_page", "resident_mib", "fullest",
                    "idle_messages", "setup_ms"):
            more[key] = found[key]
        self.samples.add("scale", name, "all well", latency=self.times(found["page_in_us"]),
                         cpu=(found["out"]["cpu_us"] + found["in"]["cpu_us"]) / 2, more=more)
