# SPDX-License-Identifier: BSD-3-Clause
"""The report's part about fleets of growing size."""
import html

from perflib.report import drawn, of, pyplot, shown, table


def lines_plot(entries, title, label, lines):
    """lines: (what, key) of each; against the number of servers."""
    figure, axes = pyplot.subplots(figsize=(9, 3.5))
    for what, key in lines:
        points = [(entry["servers"], key(entry)) for entry in entries]
        axes.plot(*zip(*points), marker="o", label=what)
    axes.set(xscale="log", xlabel="servers, ten devices each", ylabel=label, title=title)
    axes.set_ylim(bottom=0)
    axes.grid(True, which="both", alpha=.3)
    axes.legend()
    return drawn(figure)


def failure_plots(entries):
    parts = [lines_plot(entries, "A server dies: until all is well again", "s, virtual",
                        (("all who had pages there do without it", lambda entry: entry["dropped_ms"] / 1000),
                         ("all its pages are elsewhere", lambda entry: entry["whole_ms"] / 1000)))]
    figure, axes = pyplot.subplots(figsize=(9, 3.5))
    for what, key in (("mean", "copied_per_server"), ("most", "copied_most")):
        axes.plot([entry["servers"] for entry in entries], [entry[key] for entry in entries], marker="o", label=what)
    axes.set(xscale="log", yscale="log", xlabel="servers", ylabel="pages", title="... what each of the others is given of its pages")
    axes.grid(True, which="both", alpha=.3)
    axes.legend()
    return parts + [drawn(figure), lines_plot(entries, "... page-ins of those pages meanwhile", "ms, virtual",
                                              (("99.9%", lambda entry: entry["page_in_us"]["p999"] / 1000),
                                               ("slowest", lambda entry: entry["page_in_us"]["max"] / 1000)))]


def steady_table(entries):
    return table(("fleet", "capacity, GiB", "backend B/page", "server B/page", "messages out, in", "CPU us out, in",
                  "alone: us out, in", "all at once: in p99 us", "fullest / mean", "idle messages/s"), [
        (html.escape(entry["case"]), shown(entry["capacity_gib"], "{:,.0f}"), shown(entry["backend_bytes_per_page"], "{:.2f}"),
         shown(entry["server_bytes_per_page"], "{:.2f}"), f"{entry['messages_out']:.1f}, {entry['messages_in']:.1f}",
         f"{entry['cpu_us_out']:.1f}, {entry['cpu_us_in']:.1f}", f"{entry['alone_out_us']:.1f}, {entry['alone_in_us']:.1f}",
         shown(entry["page_in_us"]["p99"]), shown(entry["fullest"], "{:.2f}"), shown(entry["idle_messages"], "{:.1f}"))
        for entry in entries])


def failure_table(entries):
    return table(("fleet", "slabs", "pages", "devices", "noticed, s", "whole, s", "copied", "per server", "most", "slowest page-in, ms"), [
        (html.escape(entry["case"]), shown(entry["slabs"], "{:,.0f}"), shown(entry["pages"], "{:,.0f}"), shown(entry["devices"], "{:,.0f}"),
         shown(entry["dropped_ms"] / 1000, "{:.2f}"), shown(entry["whole_ms"] / 1000, "{:.2f}"), shown(entry["copied"], "{:,.0f}"),
         shown(entry["copied_per_server"]), shown(entry["copied_most"], "{:,.0f}"), shown(entry["page_in_us"]["max"] / 1000))
        for entry in entries])


def scale_part(summary):
    steady, failures = of(summary, "scale", workload="all well"), of(summary, "scale", workload="failure of a server")
    if not steady:
        return ""
    fleets = [entry for entry in steady if entry["fleet"]]
    names = {entry["case"] for entry in fleets}
    hit = [entry for entry in failures if entry["case"] in names]
    parts = ["<h2>Fleets of growing size, under a virtual clock</h2>", lines_plot(
        fleets, "Memory for a page of capacity", "bytes", (("backend", lambda entry: entry["backend_bytes_per_page"]),
                                                           ("server", lambda entry: entry["server_bytes_per_page"])))]
    parts.append(lines_plot(fleets, "CPU for a page: backend, servers and the simulated network in one process", "us", (
        ("out, to two servers", lambda entry: entry["cpu_us_out"]), ("in", lambda entry: entry["cpu_us_in"]))))
    parts.append(steady_table(steady))
    return "".join(parts + (failure_plots(hit) if hit else []) + [failure_table(failures)])
