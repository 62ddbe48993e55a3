# SPDX-License-Identifier: BSD-3-Clause
"""In one guest: swap on rmnic and on its peers in turn, several rounds."""
import contextlib
import dataclasses
import json
import os
import shlex
import subprocess
import sys
import tempfile

from fleetlib.fleet import Fleet
from fleetlib.netns import Problem
from guestvm import devices, machine
from perflib import ROOT
from perflib.overlay import overlay_make
from perflib.peers import PORTS, SERVER, PeerLink, PeerServer
from perflib.settings import QUICK_GUEST

OWN = "198.51.100.2"   # the guest's address
DISTINCT = 128         # words of a page that are not repeated in it: lzo-rle makes 4 KiB about 1.1 KiB
REPLICAS = {"rmnic": 1, "rmnic2": 2}


@dataclasses.dataclass(frozen=True)
class Kind:
    """What the guest does with each swap device."""
    name: str
    about: str
    environment: dict = dataclasses.field(default_factory=dict)
    cpus: int = 1
    ram: int = 0        # MiB more than the settings say
    rounds: bool = True
    slower: int = 1     # how much longer than the pager load it may take


PAGER = Kind("pager", "page-in and page-out")
MIX = Kind("mix", "4 CPUs, mixes", {"MIX": 3}, cpus=4, rounds=False)
# The programs and their data are in the guest's memory as well.
PROGRAMS = Kind("programs", "whole programs", {"PROGRAMS": "sort bfs sqlite redis"}, ram=192, rounds=False, slower=4)


class GuestRuns:
    def __init__(self, settings, samples):
        self.settings, self.samples, self.answers = settings, samples, {}
        slab = devices.SLAB_MIB
        self.store = -(-(settings.working_set + 64) // slab) * slab

    def steps(self):
        """One guest for all rounds of a kernel: a step takes minutes, and the guest says where it is."""
        settings = self.settings
        first = settings.kernels[0]
        for kernel in settings.kernels:
            # Peers that the other kernel would not make another story of are measured in one.
            yield from self.step(kernel, PAGER, [case for case in settings.guest_cases if kernel == first or case in QUICK_GUEST])
        yield from self.step(first, MIX, settings.mix_cases)
        yield from self.step(first, PROGRAMS, settings.program_cases)

    def step(self, kernel, kind, cases):
        if cases:
            yield f"guest, Linux {kernel}, {kind.about}: {', '.join(cases)}", lambda: self.run(kernel, kind, cases)

    def run(self, kernel, kind, cases):
        name = f"perf-{kernel}-{kind.name}"
        with contextlib.ExitStack() as stack:
            fleets = {case: stack.enter_context(self.fleet(case, f"{name}-{case}")) for case in REPLICAS if case in cases}
            space = None
            if "nbd" in cases:
                space = self.nbd(stack, name, next(iter(fleets.values()), None))
            scratch = stack.enter_context(tempfile.TemporaryDirectory(
                prefix="rmnic-perf-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
            more = ["--overlay", overlay_make(os.path.join(scratch, "root"))] if kind is PROGRAMS else []
            more += [word for arg in self.device_args(cases, fleets, scratch, kind) for word in ("--qemu-arg", arg)]
            self.boot(kernel, name, cases, kind, more + ["--look", self.look_command(fleets)], space)
        for case in cases:
            getattr(self, "collect_" + kind.name)(case, kernel, name)

    def fleet(self, case, name):
        # Each server can hold its share and a slab more, or everything twice over.
        memory = f"{self.store * REPLICAS[case] // 2 + 2 * devices.SLAB_MIB}M"
        return Fleet(2, name, memory=memory, rmnicd_args=["--replicas", str(REPLICAS[case])])

    def nbd(self, stack, name, fleet):
        """The server in a namespace of its own; the guest's card is bridged to the link."""
        if not fleet:
            fleet = Fleet(1, name + "-nbd")
            stack.callback(fleet.close)
            fleet.lay_out()
        link = PeerLink(fleet, bridge=True)
        stack.callback(link.close)
        stack.enter_context(PeerServer(link, "nbd", self.store, os.path.join(ROOT, "build/log", name + "-nbd")))
        return fleet.space

    # --- The guest ---

    def device_args(self, cases, fleets, scratch, kind):
        ram = self.settings.ram + kind.ram
        args = devices.shared_ram(ram) if fleets else []
        for index, case in enumerate(cases):
            if case in ("rmnic", "rmnic2", "embedded"):
                args += devices.rmnic(index, self.store, case, fleets[case].socket if case in fleets else None)
            elif case in devices.PEERS:
                args += devices.peer(case, self.store, scratch)
            elif case == "pmem":
                args += ["-machine nvdimm=on", f"-m slots=1,maxmem={ram + self.store + 1024}M",
                         f"-object memory-backend-ram,id=pm0,size={self.store}M,prealloc=on", "-device nvdimm,memdev=pm0"]
            elif case == "nbd":
                args += ["-netdev tap,id=net0,ifname=tap0,script=no,downscript=no", "-device virtio-net-pci,netdev=net0,romfile="]
        return args

    def boot(self, kernel, name, cases, kind, more, space):
        settings = self.settings
        turns = cases * (settings.rounds if kind.rounds else 1)
        # A slow peer needs a second for some thousand pages.
        timeout = 60 + len(turns) * (60 + settings.working_set / 2) * kind.slower
        command = [machine.path("scripts/guest-run"), "--kernel", kernel, "--job", "run", "--name", name, "--ram",
                   str(settings.ram + kind.ram), "--timeout", str(timeout), "--smp", str(kind.cpus), *more]
        for key, value in {"DEVICES": ",".join(turns), "WORKING_SET": settings.working_set, "READS": settings.reads,
                           "REWRITES": settings.rewrites, "DISTINCT": DISTINCT, "CPU": 1,
                           "NBD": f"{SERVER},{PORTS['nbd']},{OWN}", **kind.environment}.items():
            command += ["--env", f"{key}={value}"]
        child = subprocess.Popen(command, preexec_fn=space.enter if space else None)
        try:
            status = child.wait()
        except BaseException:
            child.terminate()
            child.wait()
            raise
        if status:
            raise Problem(f"the guest of Linux {kernel} ended with status {status}: see build/log/{name}")

    @staticmethod
    def look_command(fleets):
        words = [sys.executable, "-B", os.path.join(ROOT, "tests/perf/cpu")]
        for case, fleet in fleets.items():
            words += [f"{case}={','.join(str(child.pid) for child in fleet.children())}"]
        return shlex.join(words)

    # --- What it said ---

    def collect_pager(self, case, kernel, name):
        results = lines_of(name, f"result-{case}")
        if len(results) != self.settings.rounds:
            raise Problem(f"{case} on Linux {kernel}: {len(results)} results of {self.settings.rounds} rounds: see build/log/{name}")
        cpus = [line["return"] for line in lines_of(name, f"cpu-{case}")]
        for number, result in enumerate(results):
            self.add(case, kernel, result, cpus[2 * number:2 * number + 2])

    def collect_mix(self, case, kernel, name):
        results = lines_of(name, f"mix-{case}")
        if not results:
            raise Problem(f"{case} on Linux {kernel}: no result of a mix: see build/log/{name}")
        for result in results:
            if result["mismatches"]:
                self.samples.bad(f"{case} on Linux {kernel}, {result['workload']}: {result['mismatches']} mismatches")
            self.samples.add("guest", case, f"4 CPUs: {result['workload']}", kernel, latency=result["page_in_us"],
                             in_rate=result["page_in_pages_per_s"], out_rate=result["page_out_pages_per_s"])

    def collect_programs(self, case, kernel, name):
        results = lines_of(name, f"program-{case}")
        whole = {}
        for result in results:
            seconds, key = result["centiseconds"] / 100, result["program"]
            whole.setdefault(key, seconds)
            if self.answers.setdefault(key, result["answer"]) != result["answer"]:
                self.samples.bad(f"{case}: {key} with {result['share']}% of its memory computed something else: {result['answer']}")
            self.samples.add("guest", case, f"{key} {result['share']}%", kernel,
                             more={"seconds": seconds, "slow_down": seconds / whole[key], "memory_mib": result["peak"] / 2 ** 20})
        if len(results) != 4 * len(PROGRAMS.environment["PROGRAMS"].split()):
            raise Problem(f"{case} on Linux {kernel}: only {len(results)} results of programs: see build/log/{name}")

    def add(self, case, kernel, result, cpus):
        if not result["ok"]:
            self.samples.bad(f"{case} on Linux {kernel}: {result['mismatches']} mismatches, {result['unverified']} pages unverified")
        before, after = cpus
        pages = result["pages_out"] + result["pages_in"]
        of = ("qemu", case) if case in REPLICAS else ("qemu",)
        cpu = sum(after[who] - before[who] for who in of) * 1e6 / pages
        backend = sum(after[who] - before[who] for who in of[1:]) * 1e6 / pages
        self.samples.add("guest", case, "random read", kernel, latency=result["page_in_us"], cpu=cpu,
                         more={"local_us": result["local_us"], "backend_and_servers_cpu_us_per_page": backend})
        self.samples.add("guest", case, "fill", kernel, out_rate=result["page_out_pages_per_s"])
        self.samples.add("guest", case, "sweep", kernel, in_rate=result["page_in_pages_per_s"])


def lines_of(log_name, name):
    try:
        with open(machine.path("build/log", log_name, name), encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.strip()]
    except OSError:
        return []
