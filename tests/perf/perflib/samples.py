# SPDX-License-Identifier: BSD-3-Clause
"""Measurements of several rounds, and what is left of them: the medians and how far apart they were."""
import statistics

LATENCIES = ("p50", "p90", "p99", "p999", "max")


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

    def add(self, run, case, workload, kernel=None, latency=None, in_rate=None, out_rate=None, cpu=None, more=None):
        """latency: us by name. Rates: pages/s. cpu: us of all processes for one page."""
        key = (run, case, workload, kernel)
        self.cases.setdefault(key, []).append(
            {"latency": latency or {}, "in": in_rate, "out": out_rate, "cpu": cpu, "more": more or {}})

    def bad(self, text):
        self.wrong.append(text)

    def objects(self):
        return [self.object_of(*key, rounds) for key, rounds in self.cases.items()]

    @staticmethod
    def object_of(run, case, workload, kernel, rounds):
        latency = {name: median(sample["latency"].get(name) for sample in rounds) for name in LATENCIES}
        rates = {key: [sample[key] for sample in rounds] for key in ("in", "out", "cpu")}
        p50s = [sample["latency"].get("p50") for sample in rounds]
        result = {"run": run, "case": case, "workload": workload, "kernel": kernel,
                  "page_in_us" if not workload.startswith("out") else "page_out_us": latency if latency["p50"] else None,
                  "page_in_pages_per_s": median(rates["in"]), "page_out_pages_per_s": median(rates["out"]),
                  "cpu_us_per_page": median(rates["cpu"]), "runs": len(rounds),
                  "spread": {"p50": apart(p50s), "page_in_pages_per_s": apart(rates["in"]),
                             "page_out_pages_per_s": apart(rates["out"])}}
        for name in rounds[0]["more"]:
            result[name] = median(sample["more"].get(name) for sample in rounds)
        return result
