# SPDX-License-Identifier: BSD-3-Clause
"""What the user asked for, checked before anything is started."""
import os

from perflib import ROOT
from perflib.budget import QUICK_S, WHOLE_S, Budget
from fleetlib.netns import Problem

RUNS = ("host", "guest", "cost", "scale")
HOST_CASES = ("rmnic-1", "rmnic-2", "af_xdp", "inside", "pingpong", "stream", "embedded", "engine", "nbd", "redis", "memcached")
GUEST_CASES = ("rmnic", "rmnic2", "embedded", "zram", "nvme", "virtio-blk", "nbd", "pmem")
MIX_CASES = ("rmnic", "zram", "nvme")
PROGRAM_CASES = ("rmnic", "embedded", "zram", "nvme", "virtio-blk", "nbd", "pmem")
# Peers of the guest's that take minutes: not in every round.
SLOW_CASES, SLOW_ROUNDS = ("nbd",), 2
# Of the host's: the engine's figure is CPU time of one thread, which others do not spend; af_xdp takes half a minute.
ONCE_CASES = ("engine", "af_xdp")
# Of the second kernel, and of what hardly varies.
FEWER_ROUNDS = 2
QUICK_HOST = ("rmnic-1", "rmnic-2", "inside", "pingpong", "stream", "engine", "nbd", "redis", "memcached")
QUICK_GUEST = ("rmnic", "embedded", "zram", "nvme")


def chosen(name, default, known):
    """Some of the names that there are, in the order in which they stand there; or none."""
    text = os.environ.get(name)
    if not text:
        return list(default)
    if text == "none":
        return []
    wanted = text.split(",")
    for word in wanted:
        if word not in known:
            raise Problem(f"{name}={text}: there is no '{word}'; choose some of {','.join(known)}")
    return [word for word in known if word in wanted]


def number(name, default, lowest, highest):
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or not lowest <= int(text) <= highest:
        raise Problem(f"{name}={text}: expected a number from {lowest} to {highest}")
    return int(text)


class Settings:
    def __init__(self):
        self.quick = number("QUICK", 0, 0, 1) == 1
        seconds = QUICK_S if self.quick else WHOLE_S
        self.budget = Budget(60 * number("MINUTES", 0, 0, 1440) if os.environ.get("MINUTES") else seconds)
        self.runs = chosen("RUNS", RUNS, RUNS)
        self.host_cases = chosen("HOST", QUICK_HOST if self.quick else HOST_CASES, HOST_CASES)
        self.guest_cases = chosen("GUEST", QUICK_GUEST if self.quick else GUEST_CASES, GUEST_CASES)
        self.mix_cases = chosen("MIXES", () if self.quick else MIX_CASES, GUEST_CASES)
        self.program_cases = chosen("PROGRAMS", () if self.quick else PROGRAM_CASES, GUEST_CASES)
        self.kernels = chosen("GUEST_KERNEL", ("6.1",) if self.quick else ("6.1", "6.12"), ("6.1", "6.12"))
        self.rounds = number("ROUNDS", 2 if self.quick else 3, 1, 100)
        self.fewer_rounds = min(self.rounds, FEWER_ROUNDS)
        self.depths = (1, 16, 64) if self.quick else (1, 4, 16, 64, 256)
        self.ops = 15000                               # of each workload at each depth
        self.seconds = 0.2 if self.quick else 0.4      # of peers', that are not told a number
        self.host_mib = 64                             # what the loads on the host work on
        self.engine_mib = 256 if self.quick else 1024  # what the embedded store and memcpy work on
        self.ram = number("RAM", 192, 192, 65536)
        self.working_set = number("WORKING_SET", self.ram * 5 // 4, self.ram + self.ram // 4, 1 << 20)
        self.reads = number("READS", 6000 if self.quick else 12000, 1000, 1 << 30)
        self.rewrites = 2000
        # Swap that is at least half empty keeps what was read in again: clean pages need not be written once more.
        self.store_mib = self.working_set * 9 // 4 + 64
        self.out = os.environ.get("OUT") or os.path.join(ROOT, "build/perf")
