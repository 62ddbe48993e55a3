# SPDX-License-Identifier: BSD-3-Clause
"""One page-in, stage by stage: each case adds something to the one before it, and so to its p50."""
from perflib.targets import P50, RAND, finder

LADDER = (("the network: two frames of these sizes", "host", "pingpong", "in-rand depth 1"),
          ("RMP, checksums, the engine, the server's store", "host", "inside", "in-rand depth 1"),
          ("rings and wake-ups of another process, CPUs shared", "host", "rmnic-1", "in-rand depth 1"),
          ("the guest: fault, swap, driver, interrupts of its CPU", "guest", "rmnic", RAND))


def stages(cases):
    """[{"stage", "us"}] for each kernel; empty where a rung of the ladder was not measured."""
    find, found = finder(cases), {}
    for kernel in sorted({entry["kernel"] for entry in cases if entry["kernel"]}):
        rungs = [(text, find(run, case, workload, kernel if run == "guest" else None, *P50)) for text, run, case, workload in LADDER]
        if all(value for _, value in rungs):
            before = [0] + [value for _, value in rungs]
            found[kernel] = [{"stage": text, "us": round(value - before[number], 2)} for number, (text, value) in enumerate(rungs)]
    return found
