# SPDX-License-Identifier: BSD-3-Clause
"""What a run comes to: the guest's figures, the device's, where the pages went; as a table and as summary.json."""
import json
import os

from guestvm import machine, stall

ROWS = (("pages out", lambda r: r["pages_out"], "{:,.0f}", None),
        ("pages in", lambda r: r["pages_in"], "{:,.0f}", None),
        ("page-in p50, us", lambda r: r["page_in_us"]["p50"], "{:.1f}", False),
        ("page-in p90, us", lambda r: r["page_in_us"]["p90"], "{:.1f}", False),
        ("page-in p99, us", lambda r: r["page_in_us"]["p99"], "{:.1f}", False),
        ("page-in max, us", lambda r: r["page_in_us"]["max"], "{:.1f}", None),
        ("page-out, pages/s", lambda r: r["page_out_pages_per_s"], "{:,.0f}", True),
        ("page-in, pages/s", lambda r: r["page_in_pages_per_s"], "{:,.0f}", True),
        ("mismatches", lambda r: r["mismatches"], "{:d}", None))


def read_log(log_name, name):
    try:
        with open(machine.path("build/log", log_name, name), encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def summary_of(settings, status, accel, log_name, fault=None):
    """The numbers are the guest's; 'ok' also takes in how the guest ended and what the servers saw."""
    results = {}
    for device in settings.devices:
        text = read_log(log_name, f"result-{device}")
        results[device] = json.loads(text.splitlines()[-1]) if text else None
    release, _, zeroing = read_log(log_name, "boot").strip().partition(" ")
    summary = {"accel": accel, "kernel": release, "device": settings.device, "remote": settings.remote,
               "ram_mib": settings.ram, "working_set_pages": settings.working_set * 256}
    summary.update(results[settings.device] or {})
    summary["init_on_alloc"] = zeroing == "init_on_alloc=on"
    summary["ok"] = (status == 0 and summary["init_on_alloc"]
                     and all(result and result["ok"] for result in results.values()))
    peers = {device: result for device, result in results.items() if device != settings.device}
    if peers:
        summary["peers"] = peers
    if settings.device == "rmnic":
        add_device_counters(summary, log_name)
    if settings.remote:
        add_wire(summary, log_name)
    if fault:
        add_fault(summary, log_name, fault)
    return summary


def add_fault(summary, log_name, fault):
    """All that the dead server held must be elsewhere now, and the guest must have paged meanwhile."""
    seen = stall.compare(read_log(log_name, "latency-before"), read_log(log_name, "latency-after"))
    summary["fault"] = {**fault.result, **(seen or {}), "problem": fault.problem}
    summary["fault"]["ok"] = bool(seen and not fault.problem and seen["page_ins_after"] and seen["page_outs_after"]
                                  and fault.result["slabs"] and fault.result["repaired"] == fault.result["slabs"])
    summary["ok"] = summary["ok"] and summary["fault"]["ok"]


def add_device_counters(summary, log_name):
    """The device must have seen the pages that the guest says it paged, or something else took them."""
    for key, name in (("device_stats", "device-stats"), ("device_latency", "device-latency")):
        text = read_log(log_name, name)
        summary[key] = json.loads(text).get("return") if text else None
    stats = summary["device_stats"] or {}
    summary["seen_by_device"] = (stats.get("pages-out", 0) >= summary.get("pages_out", 1)
                                 and stats.get("pages-in", 0) >= summary.get("pages_in", 1))
    summary["ok"] = summary["ok"] and summary["seen_by_device"]


def add_wire(summary, log_name):
    """The servers must have been sent every page that went out and was not one word repeated."""
    text = read_log(log_name, "wire")
    wire = json.loads(text).get("return") if text else None
    summary["servers"] = wire["servers"] if wire else []
    summary["wire"] = wire["wire"] if wire else None
    summary["spill"] = wire["spill"] if wire else None
    stats = summary["device_stats"] or {}
    sent = sum(server["pages"] or 0 for server in summary["servers"])
    summary["seen_by_servers"] = sent > 0 and sent >= summary.get("pages_out", 1) - stats.get("pages-same-filled", 0)
    summary["ok"] = summary["ok"] and summary["seen_by_servers"]


def print_table(settings, summary):
    """Peers' columns carry how many times better the device is than they are."""
    columns = [(settings.device, summary)] + [(name, peer) for name, peer in summary.get("peers", {}).items() if peer]
    print(f"\n{'':20}" + "".join(f"{name:>20}" for name, _ in columns))
    for label, value, form, more_is_better in ROWS:
        line = f"{label:20}"
        mine = value(summary)
        for name, result in columns:
            cell = form.format(value(result))
            if name != settings.device and more_is_better is not None and mine and value(result):
                ratio = mine / value(result) if more_is_better else value(result) / mine
                cell += f" ({ratio:.1f}x)" if ratio >= 1 else f" ({ratio:.2f}x)"
            line += f"{cell:>20}"
        print(line)
    print()
    if settings.remote and summary["wire"]:
        print_wire(summary)
    if summary.get("fault"):
        print_fault(summary["fault"])


def print_fault(fault):
    print(f"fault: {fault['server']} was killed half way; it held slabs {fault['slabs']}")
    if fault["repair_s"] is not None:
        print(f"repaired {fault['repair_s']} s later, on other memory: {fault['repaired']}, {fault['pages_copied']:,d} pages "
              "copied")
    if "slowest_page_in_ms" in fault:
        for name in stall.CLASSES:
            print(f"slowest {name.replace('_', '-'):8}  {fault[f'slowest_{name}_ms']:10.2f} ms  "
                  f"(before: {fault[f'slowest_{name}_before_ms']:.2f} ms)")
    print()


def print_wire(summary):
    print(f"{'memory server':24}{'pages sent there':>18}{'bytes':>16}")
    for server in summary["servers"]:
        if server["pages"] is None:
            print(f"{server['address']:24}{'dead':>18}")
            continue
        print(f"{server['address']:24}{server['pages']:>18,d}{server['bytes']:>16,d}")
    wire = summary["wire"]
    print(f"on the wire: {wire['retransmits']:,d} retransmits, {wire['segments']:,d} segments, "
          f"{wire['crc_errors']:,d} CRC errors")
    spill = summary["spill"]
    print(f"spill file: {spill['pages']:,d} pages in it, {spill['out']:,d} were sent there\n")


def complain(summary):
    """What is wrong beyond what the guest has said, for standard error."""
    said = []
    fault = summary.get("fault")
    if fault and not fault["ok"]:
        said.append(f"the fault: {fault['problem'] or 'not every slab of the dead server was repaired: see fault in the summary'}")
    if summary["kernel"] and not summary["init_on_alloc"]:
        said.append("the guest's kernel does not zero pages on allocation (init_on_alloc): not a stock kernel's default, "
                    "and not safe under TCG")
    if summary.get("page_in_us"):
        if summary.get("seen_by_device") is False:
            said.append("the device counted fewer pages than the guest paged: see device_stats in the summary")
        if summary.get("seen_by_servers") is False:
            said.append("the servers were sent fewer pages than the guest paged out: see servers in the summary")
    return said


def record(directory, summary):
    os.makedirs(directory, exist_ok=True)
    file = os.path.join(directory, "summary.json")
    with open(file + ".new", "w", encoding="utf-8") as out:
        json.dump(summary, out, indent=2)
        out.write("\n")
    os.replace(file + ".new", file)
    return os.path.relpath(file, machine.ROOT)
