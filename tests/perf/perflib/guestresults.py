# SPDX-License-Identifier: BSD-3-Clause
"""What a guest said of its swap devices, as samples; what it did not say, as failures."""
import json

from guestvm import machine

REPLICAS = {"rmnic": 1, "rmnic2": 2}   # of the cases that have a fleet
LINES = {"pager": "result", "mix": "mix", "programs": "program"}
MIXES = 4


def lines_of(log_name, name, text=False):
    try:
        with open(machine.path("build/log", log_name, name), encoding="utf-8") as file:
            return [line.strip() if text else json.loads(line) for line in file if line.strip()]
    except OSError:
        return []


class GuestResults:
    def __init__(self, runs, log_name, kernel):
        self.runs, self.samples, self.settings = runs, runs.samples, runs.settings
        self.log_name, self.kernel = log_name, kernel

    def lines(self, kind, case):
        return lines_of(self.log_name, f"{LINES[kind.name]}-{case}")

    def count(self, kind, case):
        return len(self.lines(kind, case))

    def collect(self, kind, case, whole=True):
        """whole: all that was to be measured must be there."""
        lines = self.lines(kind, case)
        programs = kind.environment.get(f"PROGRAMS_{case.upper()}") or kind.environment.get("PROGRAMS", "")
        turns = planned = self.runs.rounds_of(case, self.kernel) if kind.rounds else 1
        if lines_of(self.log_name, "time-is-up", text=True):
            turns = lines_of(self.log_name, "turns", text=True).count(case)
        if whole and turns < planned:
            self.samples.cut("guest", f"{case}, {kind.about}", self.kernel)
        wanted = turns * {"pager": 1, "mix": MIXES, "programs": 4 * len(programs.split())}[kind.name]
        getattr(self, "take_" + kind.name)(case, lines)
        if whole and len(lines) != wanted:
            why = lines_of(self.log_name, f"refused-{case}", text=True) or ["no reason was given"]
            self.samples.fail("guest", case, self.kernel,
                              f"{kind.about}: {len(lines)} results of {wanted}: {why[-1]}; see build/log/{self.log_name}")

    def take_pager(self, case, lines):
        # The host answers with an error when a process is gone.
        cpus = [line.get("return") for line in lines_of(self.log_name, f"cpu-{case}")]
        for number, result in enumerate(lines):
            self.add(case, result, cpus[2 * number:2 * number + 2])

    def add(self, case, result, cpus):
        if not result["ok"]:
            self.samples.bad(f"{case} on Linux {self.kernel}: {result['mismatches']} mismatches, {result['unverified']} pages unverified")
        cpu, more = None, {"local_us": result["local_us"]}
        if len(cpus) == 2 and all(cpus):
            before, after = cpus
            pages = result["pages_out"] + result["pages_in"]
            taken = {who: (after[who] - before[who]) * 1e6 / pages for who in ("qemu", *([case] if case in REPLICAS else []))}
            cpu = sum(taken.values())
            more["backend_and_servers_cpu_us_per_page"] = cpu - taken["qemu"]
        add = self.samples.add
        add("guest", case, "random read", self.kernel, latency=result["page_in_us"], cpu=cpu, more=more)
        add("guest", case, "fill", self.kernel, out_rate=result["page_out_pages_per_s"])
        add("guest", case, "sweep", self.kernel, in_rate=result["sweep_ahead_pages_per_s"])
        add("guest", case, "sweep without readahead", self.kernel, in_rate=result["page_in_pages_per_s"])

    def take_mix(self, case, lines):
        for result in lines:
            if result["mismatches"]:
                self.samples.bad(f"{case} on Linux {self.kernel}, {result['workload']}: {result['mismatches']} mismatches")
            self.samples.add("guest", case, f"4 CPUs: {result['workload']}", self.kernel, latency=result["page_in_us"],
                             in_rate=result["page_in_pages_per_s"], out_rate=result["page_out_pages_per_s"])

    def take_programs(self, case, lines):
        whole = {result["program"]: result["centiseconds"] for result in lines if result["share"] == 100}
        for result in lines:
            key, seconds = result["program"], result["centiseconds"] / 100
            if self.runs.answers.setdefault(key, result["answer"]) != result["answer"]:
                self.samples.bad(f"{case}: {key} with {result['share']}% of its memory computed something else: {result['answer']}")
            self.samples.add("guest", case, f"{key} {result['share']}%", self.kernel,
                             more={"seconds": seconds, "slow_down": result["centiseconds"] / whole[key],
                                   "memory_mib": result["peak"] / 2 ** 20})
