# SPDX-License-Identifier: BSD-3-Clause
"""Where processes run, and what they took: CPU time and memory, as /proc says."""
import os

from guestvm import placement

# The load runs on a CPU of its own and what answers it on the others, rmnic and peers alike: a scheduler may
# put both on one while another one has nothing to do. None where there is one CPU.
LOAD_CPUS, SERVING_CPUS = placement.split(1) or (None, None)
TICK = os.sysconf("SC_CLK_TCK")


def entering(space, cpus):
    """What a child does before its program: enters a namespace, and keeps to CPUs; None: neither."""
    def enter():
        if space:
            space.enter()
        if cpus:
            os.sched_setaffinity(0, cpus)
    return enter


def _stat(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def cpu_s(pid):
    """Seconds of all its threads. Fine-grained where the kernel counts its run time."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    if total:
        return total / 1e9
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def children(pid):
    """Processes that pid started."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(_stat(entry)[1]) == pid:
                found.append(int(entry))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
