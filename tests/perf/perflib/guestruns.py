# SPDX-License-Identifier: BSD-3-Clause
"""In one guest: swap on rmnic and on its peers in turn, several rounds."""
import contextlib
import dataclasses
import os
import shlex
import subprocess
import sys
import tempfile
import time

from fleetlib.fleet import Fleet
from fleetlib.netns import Problem
from guestvm import devices, machine, placement
from perflib import ROOT
from perflib.guestresults import REPLICAS, GuestResults, lines_of
from perflib.overlay import overlay_make
from perflib.peers import PORTS, SERVER, PeerLink, PeerServer
from perflib.settings import QUICK_GUEST, SLOW_CASES, SLOW_ROUNDS

OWN = "198.51.100.2"   # the guest's address
DISTINCT = 128         # words of a page that are not repeated in it: lzo-rle makes 4 KiB about 1.1 KiB
CLUSTER = 3            # vm.page-cluster, as kernels have it
JOB_FAILED = 1         # guest-run's status when the job said so: the guest itself lived to its end


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


PAGER = Kind("pager", "page-in and page-out", {"CLUSTER": CLUSTER})
MIX = Kind("mix", "4 CPUs, mixes", {"MIX": 2}, cpus=4, rounds=False)
# The programs and their data are in the guest's memory as well.
PROGRAMS = Kind("programs", "whole programs", {"PROGRAMS": "sort bfs sqlite redis", "PROGRAMS_NBD": "redis"}, ram=192, rounds=False, slower=4)


class GuestRuns:
    def __init__(self, settings, samples):
        self.settings, self.samples = settings, samples
        self.answers = {}
        self.end = None   # when no device of the guest's has its turn any more
        slab = devices.SLAB_MIB
        self.store = -(-settings.store_mib // slab) * slab

    def parts(self):
        settings = self.settings
        kinds = [(PAGER, self.pager_cases(kernel), "pager again" if number else "pager")
                 for number, kernel in enumerate(settings.kernels)]
        kinds += [(MIX, settings.mix_cases, "mix"), (PROGRAMS, settings.program_cases, "programs")]
        return [part for _, cases, part in kinds if cases]

    def pager_cases(self, kernel):
        """Peers that the other kernel would not make another story of are measured in one."""
        first = self.settings.kernels[0]
        return [case for case in self.settings.guest_cases if kernel == first or case in QUICK_GUEST]

    def steps(self):
        """One guest for all rounds of a kernel: a step takes minutes, and the guest says where it is."""
        settings = self.settings
        first = settings.kernels[0]
        for kernel in settings.kernels:
            yield from self.step(kernel, PAGER, self.pager_cases(kernel))
        yield from self.step(first, MIX, settings.mix_cases)
        yield from self.step(first, PROGRAMS, settings.program_cases)

    def step(self, kernel, kind, cases):
        if cases:
            yield f"guest, Linux {kernel}, {kind.about}: {', '.join(cases)}", lambda: self.run(kernel, kind, cases)

    def run(self, kernel, kind, cases):
        """A device with which the guest dies is not tried again; the others are, in another guest."""
        attempt, left = 1, cases
        again = kind is PAGER and kernel != self.settings.kernels[0]
        self.end = time.monotonic() + self.settings.budget.begin(kind.name + (" again" if again else ""))
        while left:
            left = self.attempt(kernel, kind, left, f"perf-{kernel}-{kind.name}{f'-{attempt}' if attempt > 1 else ''}")
            attempt += 1

    def attempt(self, kernel, kind, cases, name):
        """One guest. Gives the cases for another one."""
        with contextlib.ExitStack() as stack:
            rig = Rig(self, stack, name, kind)
            for case in cases:
                try:
                    rig.add(case)
                except (Problem, OSError) as problem:
                    self.samples.fail("guest", case, kernel, str(problem))
            if not rig.args:
                return []
            status = self.boot(kernel, name, rig)
        results = GuestResults(self, name, kernel)
        if status in (0, JOB_FAILED):
            for case in rig.args:
                results.collect(kind, case)
            return []
        return self.died(kind, list(rig.args), results, f"the guest ended with status {status}: see build/log/{name}")

    def died(self, kind, cases, results, reason):
        """Takes what there is. The one that was measured last is to blame; who was not measured at all is given back."""
        turns = lines_of(results.log_name, "turns", text=True)
        measured = [case for case in cases if results.count(kind, case)]
        for case in measured:
            results.collect(kind, case, whole=False)
        for case in turns[-1:] or cases:
            self.samples.fail("guest", case, results.kernel, reason)
        return [case for case in cases if turns and case not in measured and case != turns[-1]]

    def rounds_of(self, case, kernel):
        if kernel != self.settings.kernels[0]:
            return self.settings.fewer_rounds
        return min(self.settings.rounds, SLOW_ROUNDS) if case in SLOW_CASES else self.settings.rounds

    def boot(self, kernel, name, rig):
        settings, kind = self.settings, rig.kind
        turns = [case for number in range(settings.rounds if kind.rounds else 1) for case in rig.args
                 if number < self.rounds_of(case, kernel)]
        # A slow peer needs a second for some thousand pages.
        timeout = 60 + len(turns) * (60 + settings.working_set / 2) * kind.slower
        command = [machine.path("scripts/guest-run"), "--kernel", kernel, "--job", "run", "--name", name, "--ram",
                   str(settings.ram + kind.ram), "--timeout", str(timeout), "--smp", str(kind.cpus), "--pin",
                   *rig.words()]
        # One round of the first kernel's, and something of every other guest, whatever the time.
        sure = len(rig.args) if kind is PAGER and kernel == settings.kernels[0] else 1
        for key, value in {"DEVICES": ",".join(turns), "BUDGET": max(round(self.end - time.monotonic()), 0), "SURE": sure, "WORKING_SET": settings.working_set, "READS": settings.reads,
                           "REWRITES": settings.rewrites, "DISTINCT": DISTINCT, "CPU": 1,
                           "NBD": f"{SERVER},{PORTS['nbd']},{OWN}", **kind.environment}.items():
            command += ["--env", f"{key}={value}"]
        # Memory at a high address makes the kernel set 64 MiB aside to bounce DMA, which no device here needs.
        for word in (["swiotlb=noforce"] if "pmem" in rig.args else []) + os.environ.get("APPEND", "").split():
            command += ["--append", word]
        child = subprocess.Popen(command, preexec_fn=rig.space.enter if rig.space else None)
        try:
            return child.wait()
        except BaseException:
            child.terminate()
            child.wait()
            raise


class Rig:
    """What one guest needs on the host: fleets, peers' servers, files; and QEMU's arguments for it."""

    def __init__(self, runs, stack, name, kind):
        self.runs, self.stack, self.name, self.kind = runs, stack, name, kind
        self.store = runs.store
        self.cpus = (placement.split(kind.cpus) or (None, None))[1]
        self.args, self.fleets, self.space = {}, {}, None
        self.scratch = stack.enter_context(tempfile.TemporaryDirectory(
            prefix="rmnic-perf-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))

    def add(self, case):
        index = len(self.args)
        if case in REPLICAS:
            self.fleets[case] = self.stack.enter_context(self.fleet(case))
            self.args[case] = devices.rmnic(index, self.store, case, self.fleets[case].socket)
        elif case == "embedded":
            self.args[case] = devices.rmnic(index, self.store, case)
        elif case in devices.PEERS:
            self.args[case] = devices.peer(case, self.store, self.scratch)
        elif case == "pmem":
            self.args[case] = self.pmem()
        elif case == "nbd":
            self.nbd()
            self.args[case] = ["-netdev tap,id=net0,ifname=tap0,script=no,downscript=no",
                               "-device virtio-net-pci,netdev=net0,romfile="]
        else:
            self.args[case] = []

    def fleet(self, case):
        # Each server can hold its share and a slab more, or everything twice over.
        memory = f"{self.store * REPLICAS[case] // 2 + 2 * devices.SLAB_MIB}M"
        return Fleet(2, f"{self.name}-{case}", memory=memory, cpus=self.cpus,
                     rmnicd_args=["--replicas", str(REPLICAS[case])])

    def nbd(self):
        """The server in a namespace of its own; the guest's card is bridged to the link."""
        fleet = Fleet(1, self.name + "-nbd-link")
        self.stack.callback(fleet.close)
        fleet.lay_out()
        link = PeerLink(fleet, bridge=True)
        self.stack.callback(link.close)
        self.stack.enter_context(PeerServer(link, "nbd", self.store, os.path.join(ROOT, "build/log", self.name + "-nbd"), self.cpus))
        self.space = fleet.space

    def pmem(self):
        most = self.runs.settings.ram + self.kind.ram + self.store + 1024
        return ["-machine nvdimm=on", f"-m slots=1,maxmem={most}M",
                f"-object memory-backend-ram,id=pm0,size={self.store}M,prealloc=on", "-device nvdimm,memdev=pm0"]

    def words(self):
        """Of guest-run."""
        words = ["--look", self.look_command()]
        if self.kind is PROGRAMS:
            words += ["--overlay", overlay_make(os.path.join(self.scratch, "root"))]
        args = devices.shared_ram(self.runs.settings.ram + self.kind.ram) if self.fleets else []
        for arg in args + [arg for case in self.args.values() for arg in case]:
            words += ["--qemu-arg", arg]
        return words

    def look_command(self):
        words = [sys.executable, "-B", os.path.join(ROOT, "tests/perf/cpu")]
        for case, fleet in self.fleets.items():
            words += [f"{case}={','.join(str(child.pid) for child in fleet.children())}"]
        return shlex.join(words)
