# SPDX-License-Identifier: BSD-3-Clause
"""What the user asked for, checked before anything is started."""
import os

from perflib import ROOT
from fleetlib.netns import Problem

RUNS = ("host", "guest", "cost")
HOST_CASES = ("rmnic-1", "rmnic-2", "af_xdp", "inside", "pingpong", "embedded", "engine", "nbd", "redis", "memcached")
GUEST_CASES = ("rmnic", "rmnic2", "embedded", "zram", "nvme", "virtio-blk", "nbd", "pmem")
MIX_CASES = ("rmnic", "embedded", "zram", "nvme")
PROGRAM_CASES = ("rmnic", "zram", "nvme")
QUICK_HOST = ("rmnic-1", "rmnic-2", "inside", "pingpong", "engine", "nbd", "redis", "memcached")
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
        self.runs = chosen("RUNS", RUNS, RUNS)
        self.host_cases = chosen("HOST", QUICK_HOST if self.quick else HOST_CASES, HOST_CASES)
        self.guest_cases = chosen("GUEST", QUICK_GUEST if self.quick else GUEST_CASES, GUEST_CASES)
        self.mix_cases = chosen("MIXES", () if self.quick else MIX_CASES, GUEST_CASES)
        self.program_cases = chosen("PROGRAMS", () if self.quick else PROGRAM_CASES, GUEST_CASES)
        self.kernels = chosen("GUEST_KERNEL", ("6.1",) if self.quick else ("6.1", "6.12"), ("6.1", "6.12"))
        self.rounds = number("ROUNDS", 2 if self.quick else 3, 1, 100)
        self.depths = (1, 64) if self.quick else (1, 4, 16, 64, 256)
        self.seconds = 0.3 if self.quick else 0.6      # of each workload at each depth
        self.host_mib = 64                             # what the loads on the host work on
        self.engine_mib = 256 if self.quick else 1024  # what the embedded store and memcpy work on
        self.ram = number("RAM", 256, 192, 65536)
        self.working_set = number("WORKING_SET", self.ram * 3 // 2, self.ram + self.ram // 4, 1 << 20)
        self.reads = number("READS", 8000 if self.quick else 20000, 1000, 1 << 30)
        self.rewrites = 2000
        self.out = os.environ.get("OUT") or os.path.join(ROOT, "build/perf")
