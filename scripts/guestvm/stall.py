# SPDX-License-Identifier: BSD-3-Clause
"""The stall that a guest saw: its driver's histograms of before a fault and of after it."""

CLASSES = ("page_in", "page_out")


def parse(text):
    """debugfs' latency: {class: {"buckets": {below_ns: count}, "count": n, "max_ns": n}}."""
    seen = {name: {"buckets": {}, "count": 0, "max_ns": 0} for name in CLASSES}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 4 and words[0] in seen and words[1].isdigit():
            seen[words[0]]["buckets"][int(words[2])] = int(words[3])
        elif len(words) == 7 and words[0] in seen and words[1] == "count":
            seen[words[0]].update(count=int(words[2]), max_ns=int(words[6]))
    return seen


def slowest_ns(before, after):
    """
    Of what came between the two. Where something was as slow before, the histogram says only below what it was: the
    upper end of the highest bucket that has grown.
    """
    if after["max_ns"] > before["max_ns"]:
        return after["max_ns"]
    grown = [below for below, count in after["buckets"].items() if count > before["buckets"].get(below, 0)]
    return min(max(grown, default=0), after["max_ns"])


def compare(before, after):
    """For the summary, in ms. None: the guest did not tell."""
    if not before or not after:
        return None
    first, last = parse(before), parse(after)
    found = {}
    for name in CLASSES:
        found[f"slowest_{name}_ms"] = round(slowest_ns(first[name], last[name]) / 1e6, 2)
        found[f"slowest_{name}_before_ms"] = round(first[name]["max_ns"] / 1e6, 2)
        found[f"{name}s_after"] = last[name]["count"] - first[name]["count"]
    return found
