# SPDX-License-Identifier: BSD-3-Clause
"""What the project has set itself, as ratios of two cases of one run."""


def finder(cases):
    def find(run, case, workload, kernel, *path):
        for entry in cases:
            if (entry["run"], entry["case"], entry["workload"]) == (run, case, workload) and kernel in (None, entry["kernel"]):
                value = entry
                for name in path:
                    value = value and value.get(name)
                return value
        return None
    return find


P50, P99 = ("page_in_us", "p50"), ("page_in_us", "p99")
IN, OUT = ("page_in_pages_per_s",), ("page_out_pages_per_s",)
RAND, SEQ, FILL = "random read", "sweep", "fill"

# what, (run, case, workload, figure) over (run, case, workload, figure), at most or at least
RATIOS = (
    ("guest page-in p50: rmnic / zram", ("guest", "rmnic", RAND, P50), ("guest", "zram", RAND, P50), "<=", 1.1),
    ("guest page-in p50: rmnic / NVMe", ("guest", "rmnic", RAND, P50), ("guest", "nvme", RAND, P50), "<=", 0.35),
    ("guest page-in p50: rmnic / nbd", ("guest", "rmnic", RAND, P50), ("guest", "nbd", RAND, P50), "<=", 0.10),
    ("guest page-in p50: rmnic / pmem", ("guest", "rmnic", RAND, P50), ("guest", "pmem", RAND, P50), "<=", 1.6),
    ("guest page-in p50: rmnic / embedded", ("guest", "rmnic", RAND, P50), ("guest", "embedded", RAND, P50), "<=", 1.6),
    ("guest page-out: rmnic, 2 replicas / NVMe", ("guest", "rmnic2", FILL, OUT), ("guest", "nvme", FILL, OUT), ">=", 1.0),
    ("guest sequential page-in, page-cluster 3: rmnic / zram", ("guest", "rmnic", SEQ, IN), ("guest", "zram", SEQ, IN), ">=", 2.0),
    ("guest page-in p99, rmnic: beside a burst of page-outs / without", ("guest", "rmnic", "4 CPUs: read-beside-burst", P99),
     ("guest", "rmnic", "4 CPUs: read", P99), "<=", 3.0),
    ("host page-in p50, depth 1: in the lcore / bare ping-pong", ("host", "inside", "in-rand depth 1", P50),
     ("host", "pingpong", "in-rand depth 1", P50), "<=", 1.25),
    ("host page-in rate, depth 64: in the lcore / bare ping-pong", ("host", "inside", "in-rand depth 64", IN),
     ("host", "pingpong", "in-rand depth 64", IN), ">=", 0.8),
    ("host, embedded store / memcpy of the same set", ("host", "engine", "in-rand depth 16", IN),
     ("host", "memcpy", "in-rand depth 1", IN), ">=", 0.4),
    ("host page-out rate, depth 64: 2 replicas / 1", ("host", "rmnic-2", "out-rand depth 64", OUT),
     ("host", "rmnic-1", "out-rand depth 64", OUT), ">=", 0.45),
)
VALUES = (
    ("host, embedded store, page-ins/s of one core", ("host", "engine", "in-rand depth 16", IN), ">=", 1e6),
    ("CPU of an idle backend, % of a core", ("cost", "backend", "idle", ("cpu_percent",)), "<=", 1.0),
    ("CPU of an idle server, % of a core", ("cost", "server", "idle", ("cpu_percent",)), "<=", 1.0),
    ("bytes of backend memory for a page", ("cost", "backend", "memory", ("bytes_per_page",)), "<=", 8.0),
    ("bytes of server metadata for a page", ("cost", "server", "memory", ("bytes_per_page",)), "<=", 16.0),
)


def row(what, kernel, value, sign, target):
    met = None if value is None else value <= target if sign == "<=" else value >= target
    return {"what": what, "kernel": kernel, "value": None if value is None else round(value, 3), "target": f"{sign} {target:g}",
            "met": met}


def ratios(find, kernels, above, below):
    """(kernel, ratio) wherever both were measured."""
    found = []
    for kernel in kernels if above[0] == "guest" else [None]:
        top, bottom = (find(*place[:3], kernel, *place[3]) for place in (above, below))
        if top and bottom:
            found.append((kernel, top / bottom))
    return found


def compare(cases):
    """A row for each target, of the guest's one for each kernel. Without a value: that was not measured."""
    find, rows = finder(cases), []
    kernels = sorted({entry["kernel"] for entry in cases if entry["kernel"]}, key=lambda name: [int(n) for n in name.split(".")])
    for what, above, below, sign, target in RATIOS:
        rows += [row(what, kernel, value, sign, target)
                 for kernel, value in ratios(find, kernels, above, below) or [(None, None)]]
    for what, place, sign, target in VALUES:
        rows.append(row(what, None, find(*place[:3], None, *place[3]), sign, target))
    return rows


VERDICT = {True: "met", False: "NOT MET", None: "not measured"}


def print_targets(rows):
    print(f"\n{'':70}{'measured':>12}{'target':>12}")
    for entry in rows:
        kernel = f" ({entry['kernel']})" if entry["kernel"] else ""
        value = "" if entry["value"] is None else f"{entry['value']:,g}"
        print(f"{entry['what'] + kernel:70}{value:>12}{entry['target']:>12}  {VERDICT[entry['met']]}")
    print()
