# SPDX-License-Identifier: BSD-3-Clause
"""What the kernel's runner printed in the guest, as flat results: nothing missing, nothing twice."""
import itertools
import re

RESULT = re.compile(r"^(ok|not ok) (\d+)(?: -)? ?(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)")
OUTER = re.compile(r"^(ok|not ok) \d+ selftests: rmnic: (\S+)(.*)$")
HEADER = re.compile(r"^# selftests: rmnic: (\S+)$")
# The harness's line before each case; its SKIP results carry no name.
RUNNING = re.compile(r"^#\s+RUN\s+(\S+)")
# What no test may leave in the kernel's log.
COMPLAINT = re.compile(
    r"WARNING: |BUG: |Oops|general protection|Call Trace:|soft lockup|hard LOCKUP|rcu:.*stall|"
    r"blocked for more than|KASAN|kmemleak: \d+ new|DMA-API: |UBSAN|refcount_t|list_(add|del) corruption|Bad page state")
# What the kernel itself says when it is an allocation of its own that fails in a start of the driver: no
# room, and later that an entry of an interrupt, or the driver's group in sysfs, which it could not make
# (device_add_groups(), in really_probe()), is not there to be removed. DMA-API's own bookkeeping gives up.
# Leaks are looked at one by one (judge_leaks() in run).
INJECTED = (
    (re.compile(r"DMA-API: cacheline tracking ENOMEM"), re.compile(r"disabled")),
    (re.compile(r"kmemleak: \d+ new suspected"), re.compile(r"leaks")),
    (re.compile(r"(vmalloc error|page allocation failure): "), re.compile(r"Mem-Info:")),
    (re.compile(r"WARNING: .* (remove_proc_entry|sysfs_remove_group)\+"), re.compile(r"end trace")),
)


class Program:
    """One test program: its own plan and results, and the runner's verdict on it."""

    def __init__(self, name):
        self.name = name
        self.plan = None
        self.results = []        # (ok, words)
        self.verdict = None      # the runner's: (ok, words)
        self.running = ""
        self.notes = []

    def nested(self, line):
        plan, result, running = PLAN.match(line), RESULT.match(line), RUNNING.match(line)
        if plan and self.plan is None:
            self.plan = int(plan.group(1))
            skip = line.partition("# SKIP")
            if self.plan == 0 and skip[1]:
                self.results.append((True, f"everything # SKIP{skip[2]}"))
        elif result:
            words = result.group(3)
            if words.startswith("# SKIP"):
                words = f"{self.running} {words}"
            self.results.append((result.group(1) == "ok", words))
        elif running:
            self.running = running.group(1)
        self.notes.append(line)

    def flat(self):
        """(ok, words) for each case planned, plus one for what no case accounts for."""
        yield from self.results
        missing = max(self.plan or 0, 1) - len(self.results)
        why = "the guest ended or hung before" if self.verdict is None else "the program ended before"
        for number in range(missing):
            yield False, f"case {len(self.results) + number + 1}: {why} its result"
        if self.verdict and not self.verdict[0] and missing <= 0 and all(ok for ok, _ in self.results):
            yield False, f"the runner's verdict:{self.verdict[1] or ' not ok'}"


def parse(lines, expected):
    """Programs in the order expected; those never begun are there too, without results."""
    programs = {name: Program(name) for name in expected}
    current = None
    for line in lines:
        header, outer = HEADER.match(line), OUTER.match(line)
        if header:
            current = programs.setdefault(header.group(1), Program(header.group(1)))
        elif outer and outer.group(2) in programs:
            programs[outer.group(2)].verdict = (outer.group(1) == "ok", outer.group(3))
            current = None
        elif current and line.startswith("# "):
            current.nested(line[2:])
    return list(programs.values())


def without_injected(console):
    """The console without the kernel's words about allocations that were made to fail."""
    end = None
    for line in console:
        if not end:
            end = next((last for first, last in INJECTED if first.search(line)), None)
            if not end:
                yield line
        if end and end.search(line):
            end = None


def complaints(console):
    """Lines of the console by which the kernel says that it is broken, up to its end."""
    lines = list(itertools.takewhile(lambda line: "reboot: Power down" not in line, console))
    return [line.strip() for line in lines if COMPLAINT.search(line)]
