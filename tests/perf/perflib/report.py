# SPDX-License-Identifier: BSD-3-Clause
"""summary.json as a page: plots and tables in one file that needs no network."""
import html
import io
import os

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402  (the backend has to be chosen before)

from perflib.samples import joined  # noqa: E402
from perflib.targets import RAND  # noqa: E402

STYLE = """body { font: 15px/1.45 sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px } td, th { padding: .2em .7em; border-bottom: 1px solid #ddd }
td { text-align: right } td:first-child, th:first-child { text-align: left } svg { max-width: 100%; height: auto }
.no { color: #a00; font-weight: bold } .yes { color: #060 }"""
VERDICTS = {True: '<span class="yes">met</span>', False: '<span class="no">not met</span>', None: "not measured"}
SHARES = ("p50", "p90", "p99", "p999", "max")


def drawn(figure):
    text = io.StringIO()
    figure.tight_layout()
    figure.savefig(text, format="svg")
    pyplot.close(figure)
    return text.getvalue()[text.getvalue().index("<svg"):]


def of(summary, run, **wanted):
    return [entry for entry in joined(summary) if entry["run"] == run
            and all(entry[key] == value for key, value in wanted.items())]


def latency_plot(cases, title):
    figure, axes = pyplot.subplots(figsize=(9, 4))
    for entry in cases:
        points = [(name, entry["page_in_us"][name]) for name in SHARES if entry["page_in_us"].get(name)]
        axes.plot([name for name, _ in points], [value for _, value in points], marker="o", label=entry["case"])
    axes.set(yscale="log", ylabel="us", title=title)
    axes.grid(True, which="both", alpha=.3)
    axes.legend()
    return drawn(figure)


def depth_plot(summary, direction):
    figure, axes = pyplot.subplots(figsize=(9, 4))
    lines, key = {}, f"page_{direction}_pages_per_s"
    for entry in of(summary, "host"):
        workload, _, depth = entry["workload"].partition(" depth ")
        if workload == f"{direction}-rand" and entry["case"] not in ("engine", "memcpy") and entry[key]:
            lines.setdefault(entry["case"], []).append((int(depth), entry[key]))
    for case, points in lines.items():
        axes.plot(*zip(*sorted(points)), marker="o", label=case)
    axes.set(xscale="log", yscale="log", xlabel="queue depth", ylabel="pages/s", title=f"Page-{direction} rate, on the host")
    axes.set_xscale("log", base=2)
    axes.grid(True, which="both", alpha=.3)
    if lines:
        axes.legend()
    return drawn(figure)


def bars_plot(entries, key, title):
    figure, axes = pyplot.subplots(figsize=(9, 3))
    axes.bar([entry["case"] for entry in entries], [entry[key] or 0 for entry in entries], color="#47a")
    axes.set(ylabel="pages/s", title=title)
    axes.grid(True, axis="y", alpha=.3)
    return drawn(figure)


def slow_down_plot(summary, program, kernel):
    """How much longer a program takes than with all the memory that it wants."""
    figure, axes = pyplot.subplots(figsize=(9, 3))
    lines = {}
    for entry in of(summary, "guest", kernel=kernel):
        name, _, share = entry["workload"].partition(" ")
        if name == program and entry.get("slow_down"):
            lines.setdefault(entry["case"], []).append((int(share.rstrip("%")), entry["slow_down"]))
    for case, points in lines.items():
        axes.plot(*zip(*sorted(points, reverse=True)), marker="o", label=case)
    axes.set(xlabel="% of its memory that is local", ylabel="times as slow", title=f"{program}, Linux {kernel}")
    axes.invert_xaxis()
    axes.grid(True, alpha=.3)
    axes.legend()
    return drawn(figure)


def table(head, rows):
    cells = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{html.escape(name)}</th>' for name in head)}</tr>{cells}</table>"


def shown(value, form="{:,.1f}"):
    return "" if value is None else form.format(value)


def targets_table(summary):
    return table(("target", "kernel", "measured", "wanted", ""), [
        (html.escape(row["what"]), row["kernel"] or "", shown(row["value"], "{:,g}"), html.escape(row["target"]),
         VERDICTS[row["met"]]) for row in summary["targets"]])


def cases_table(cases):
    def latencies(entry):
        return entry.get("page_in_us") or entry.get("page_out_us") or {}
    return table(("case", "workload", "p50 us", "p90", "p99", "p99.9", "max", "in, pages/s", "out, pages/s", "CPU us/page",
                  "runs", "spread of p50", "of the rate"), [
        (html.escape(entry["case"]), html.escape(entry["workload"]), *(shown(latencies(entry).get(name)) for name in SHARES),
         shown(entry["page_in_pages_per_s"], "{:,.0f}"), shown(entry["page_out_pages_per_s"], "{:,.0f}"),
         shown(entry["cpu_us_per_page"]), entry["runs"], shown(entry["spread"]["p50"], "{:.0%}"),
         shown(entry["spread"]["page_in_pages_per_s"] or entry["spread"]["page_out_pages_per_s"], "{:.0%}"))
        for entry in cases])


def stages_part(summary):
    """Bars that begin where the one before ended; one of less than nothing is the machine's noise."""
    parts = []
    for kernel, stages in summary["stages"].items():
        figure, axes = pyplot.subplots(figsize=(9, 2.6))
        begin = 0
        for number, stage in enumerate(stages):
            axes.barh(-number, stage["us"], left=begin, color="#47a")
            begin += stage["us"]
        axes.set_yticks([-number for number in range(len(stages))], [stage["stage"] for stage in stages])
        axes.set(xlabel="us", title=f"One page-in of rmnic, p50, Linux {kernel}")
        parts += [drawn(figure), table(("stage", "us"), [(html.escape(stage["stage"]), shown(stage["us"])) for stage in stages])]
    return "<h2>One page-in, stage by stage</h2>" + "".join(parts) if parts else ""


def guest_part(summary, kernel):
    random = [entry for entry in of(summary, "guest", kernel=kernel, workload=RAND) if entry["page_in_us"]]
    if not random:
        return ""
    parts = [f"<h2>In the guest, Linux {kernel}</h2>", latency_plot(random, f"Random page-in, Linux {kernel}")]
    for workload, key, title in (("sweep", "page_in_pages_per_s", "Sequential page-in, the kernel's own readahead (page-cluster 3)"),
                                 ("sweep without readahead", "page_in_pages_per_s", "Sequential page-in, page-cluster 0"),
                                 ("fill", "page_out_pages_per_s", "Page-out")):
        parts.append(bars_plot(of(summary, "guest", kernel=kernel, workload=workload), key, title))
    measured = [entry for entry in of(summary, "guest", kernel=kernel) if "slow_down" not in entry]
    return "".join(parts + [cases_table(measured)])


def programs_part(summary, kernel):
    programs = list(dict.fromkeys(entry["workload"].partition(" ")[0] for entry in of(summary, "guest", kernel=kernel)
                                  if "slow_down" in entry))
    rows = [(entry["case"], html.escape(entry["workload"]), shown(entry["memory_mib"]), shown(entry["seconds"], "{:.2f}"),
             shown(entry["slow_down"], "{:.2f}")) for entry in of(summary, "guest", kernel=kernel) if "slow_down" in entry]
    if not rows:
        return ""
    return ("<h2>Whole programs with less memory than they want</h2>" + "".join(slow_down_plot(summary, name, kernel) for name in programs)
            + table(("case", "program and local share", "wants, MiB", "seconds", "times as slow"), rows))


def host_part(summary):
    first = [entry for entry in of(summary, "host", workload="in-rand depth 1") if entry["page_in_us"]]
    if not of(summary, "host"):
        return ""
    return ("<h2>On the host, without a guest</h2>" + (latency_plot(first, "Page-in at queue depth 1, on the host") if first else "")
            + depth_plot(summary, "in") + depth_plot(summary, "out") + cases_table(of(summary, "host")))


def failed_part(summary):
    """What the figures below are not to be believed for, or lack."""
    rows = [("a page was wrong", html.escape(text)) for text in summary["wrong"]]
    rows += [(html.escape(" ".join(filter(None, (entry["run"], entry["case"], entry["kernel"])))), html.escape(entry["reason"]))
             for entry in summary["failed"]]
    return "<h2>What went wrong</h2>" + table(("", ""), rows) if rows else ""


def cost_part(summary):
    rows = [(entry["case"], entry["workload"], shown(entry.get("cpu_percent"), "{:.2f}"), shown(entry.get("bytes_per_page"), "{:.2f}"),
             shown(entry["cpu_us_per_page"], "{:.2f}")) for entry in of(summary, "cost")]
    return "<h2>What it costs</h2>" + table(("", "", "CPU, % of a core", "bytes/page", "CPU us/page"), rows) if rows else ""


def page_write(directory, summary, parts=()):
    """parts: functions that make more of it from the summary."""
    machine = summary["machine"]
    kernels = list(dict.fromkeys(entry["kernel"] for entry in summary["cases"] if entry["kernel"]))
    body = [f"<h1>rmnic, side by side</h1><p>{html.escape(summary['started'])}, {summary['seconds']} s"
            f"{', quick' if summary['quick'] else ''}; {machine['cpus']} CPUs, {html.escape(machine['cpu'])}, Linux "
            f"{html.escape(machine['kernel'])}. Medians of the rounds; spread is the largest less the smallest, as a share of the "
            "median.</p>", failed_part(summary), "<h2>Targets</h2>", targets_table(summary)]
    body += [part(summary, kernel) for kernel in kernels for part in (guest_part, programs_part)] + [stages_part(summary), host_part(summary), cost_part(summary)]
    body += [part(summary) for part in parts]
    file = os.path.join(directory, "index.html")
    with open(file, "w", encoding="utf-8") as out:
        out.write(f"<!doctype html><meta charset=utf-8><title>rmnic: performance</title><style>{STYLE}</style>{''.join(body)}\n")
    return file
