# SPDX-License-Identifier: BSD-3-Clause
"""Measurements of several rounds, and what is left of them: the medians and how far apart they were."""
import statistics

LATENCIES = ("p50", "p90", "p99", "p999", "max")
KEY = ("run", "case", "workload", "kernel")   # what tells two cases apart


def median(values):
    values = [value for value in values if value is not None]
    return round(statistics.median(values), 3) if values else None


def apart(values):
    """Largest less smallest, as a share of the median."""
    values = [value for value in values if value is not None]
    middle = statistics.median(values) if values else 0
    return round((max(values) - min(values)) / middle, 3) if middle else None


class Samples:
    """One object for each case, workload and kernel."""

    def __init__(self):
        self.cases = {}
        self.wrong = []
        self.failed = []
        self.cuts = []

    def add(self, run, case, workload, kernel=None, latency=None, in_rate=None, out_rate=None, cpu=None, more=None):
        """latency: us by name. Rates: pages/s. cpu: us of all processes for one page."""
        key = (run, case, workload, kernel)
        self.cases.setdefault(key, []).append(
            {"latency": latency or {}, "in": in_rate, "out": out_rate, "cpu": cpu, "more": more or {}})

    def bad(self, text):
        """A page was wrong."""
        self.wrong.append(text)

    def fail(self, run, case, kernel, reason):
        """Something could not be measured; said once, however many rounds there are."""
        entry = {"run": run, "case": case, "kernel": kernel, "reason": reason}
        if entry not in self.failed:
            self.failed.append(entry)

    def cut(self, run, case, kernel=None):
        """There was no time for all of its rounds; said once."""
        text = f"{run} {case}{f' on Linux {kernel}' if kernel else ''}"
        if text not in self.cuts:
            self.cuts.append(text)

    def objects(self):
        """All with the same keys."""
        return [self.object_of(*key, rounds) for key, rounds in self.cases.items()]

    def details(self):
        """What only some cases have, by the same names."""
        return [detail for key, rounds in self.cases.items() if (detail := self.detail_of(*key, rounds))]

    @staticmethod
    def object_of(run, case, workload, kernel, rounds):
        page_in = not workload.startswith("out")
        rates = {key: [sample[key] for sample in rounds] for key in ("in", "out", "cpu")}
        p50s = [sample["latency"].get("p50") for sample in rounds]
        latency = latency_of(rounds)
        return {"run": run, "case": case, "workload": workload, "kernel": kernel, "page_in_us": latency if page_in else None,
                "page_in_pages_per_s": median(rates["in"]), "page_out_pages_per_s": median(rates["out"]),
                "cpu_us_per_page": median(rates["cpu"]), "runs": len(rounds),
                "spread": {"p50": apart(p50s), "page_in_pages_per_s": apart(rates["in"]),
                           "page_out_pages_per_s": apart(rates["out"])}}

    @staticmethod
    def detail_of(run, case, workload, kernel, rounds):
        found = {name: median(sample["more"].get(name) for sample in rounds) for name in rounds[0]["more"]}
        latency = latency_of(rounds)
        if workload.startswith("out") and latency:
            found["page_out_us"] = latency
        return found and {"run": run, "case": case, "workload": workload, "kernel": kernel, **found}


def latency_of(rounds):
    latency = {name: median(sample["latency"].get(name) for sample in rounds) for name in LATENCIES}
    return latency if latency["p50"] else None


def key_of(entry):
    return tuple(entry[name] for name in KEY)


def joined(summary):
    """The cases of a summary, each with its details."""
    details = {key_of(entry): entry for entry in summary.get("details", [])}
    return [{**entry, **details.get(key_of(entry), {})} for entry in summary["cases"]]
