# SPDX-License-Identifier: BSD-3-Clause
"""What can be done to a fleet: machines that die or stand still, cables, a network that loses, doubles and damages."""
import json
import os
import subprocess
import time

from fleetlib.fleet import PORT, READY_S
from fleetlib.netns import Problem

# Where damage is done, in bytes behind the IPv4 header's start: RMP's header, the page's beginning, its middle.
DAMAGED_AT = (28 + 20, 28 + 62 + 8, 28 + 62 + 1024)


def eventually(what, condition, limit=120):
    """For what no event tells of: another process' books. Gives what the condition gave."""
    end = time.monotonic() + limit
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() >= end:
            raise Problem(f"not within {limit} s: {what}")
        time.sleep(0.05)


# --- Machines -------------------------------------------------------------------------------------


def kill_server(server):
    """kill -9: its memory is gone."""
    server.child.kill()
    server.child.wait(READY_S)
    server.child.stop()


def start_server(server):
    """The same server, with the memory that it starts with: empty."""
    server.start().ready(READY_S)


def kill_backend(fleet):
    fleet.backend.kill()
    fleet.backend.wait(READY_S)


def spoil_memory(pid, pages):
    """
    Flips a bit in so many of the pages that a memory server keeps, behind its back. Gives how many it were. Pages are
    known by their content: what a workload writes has few zeros, the program's own memory many.
    """
    regions, spoilt = [], 0
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        for line in maps:
            fields = line.split()
            low, high = (int(end, 16) for end in fields[0].split("-"))
            if fields[1].startswith("rw") and len(fields) == 5 and high - low >= 16 << 20:
                regions.append((low, high))
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        for low, high in regions:
            for at in range(low, high, 4096):
                if spoilt == pages:
                    return spoilt
                memory.seek(at)
                page = memory.read(4096)
                if len(page) == 4096 and page.count(0) < 64:
                    memory.seek(at + 1000)
                    memory.write(bytes([page[1000] ^ 1]))
                    spoilt += 1
    return spoilt


# --- The network ----------------------------------------------------------------------------------


def cut(server):
    """The cable is out, as both ends can see."""
    server.space.ip("link", "set", "up0", "down")


def mend(server):
    server.space.ip("link", "set", "up0", "up")


def _nft(space, script, may_fail=False):
    done = subprocess.run(["nft", "-f", "-"], input=script, preexec_fn=space.enter, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False,
                          env=dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"))
    if done.returncode and not may_fail:
        raise Problem(f"nft (package nftables) could not disturb the network: {done.stdout.strip()}")


def _disturb(space, link, rules):
    """At the egress hook: packet sockets see what arrives before any rule, but send through this one."""
    _calm(space, link)
    _nft(space, f"table netdev fault_{link} {{ chain out {{ type filter hook egress device {link} priority 0;\n"
                f"{rules}\n}}\n}}\n")


def _calm(space, link):
    _nft(space, f"delete table netdev fault_{link}\n", may_fail=True)


def deafen(server, to_server):
    """A partition in one direction: nothing of the backend's reaches the server, or nothing of the server's the backend."""
    if to_server:
        _disturb(server.fleet.space, server.link, "counter drop")
    else:
        _disturb(server.space, "up0", "counter drop")


def make_noise(server, loss=100, double=100, damage=30):
    """
    Both ways, in datagrams of ten thousand. Damage overwrites a word of RMP's header, of the page's beginning,
    of its middle, that often each.
    """
    for space, link in ((server.fleet.space, server.link), (server.space, "up0")):
        draw = "numgen random mod 10000"
        rules = [f"ip protocol udp {draw} < {loss} counter drop", f'ip protocol udp {draw} < {double} counter dup to "{link}"']
        for at in DAMAGED_AT:
            rules.append(f"ip protocol udp {draw} < {damage} counter @nh,{at * 8},32 set 0x5ca1ab1e")
        _disturb(space, link, "\n".join(rules))


def quiet(server):
    """Takes away what was done to the network between the server and the backend."""
    _calm(server.fleet.space, server.link)
    _calm(server.space, "up0")


def disturbed(server):
    """Datagrams that rules have met since they were made, as nft counts them, in order of the rules, both ways."""
    counts = []
    for space, link in ((server.fleet.space, server.link), (server.space, "up0")):
        done = subprocess.run(["nft", "-j", "list", "table", "netdev", f"fault_{link}"], preexec_fn=space.enter,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False,
                              env=dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"))
        if done.returncode:
            continue  # only the other way is disturbed
        rules = [item["rule"] for item in json.loads(done.stdout)["nftables"] if "rule" in item]
        counts += [part["counter"]["packets"] for rule in rules for part in rule["expr"] if "counter" in part]
    return counts


# --- Membership ------------------------------------------------------------------------------------


def name_of(server):
    return f"{server.address}:{PORT}"


def drain(fleet, server):
    fleet.ask("server", action="drain", server=name_of(server))


def add(fleet, server):
    """Known to the backend from now on, and to each successor of it."""
    server.named = True
    fleet.ask("server", action="add", server=name_of(server))


def remove(fleet, server):
    server.named = False
    fleet.ask("server", action="remove", server=name_of(server))


# --- How it stands ----------------------------------------------------------------------------------


def slab_counts(fleet):
    """Of all devices together: how many slabs have a place, and what is not right with some."""
    total = {}
    for device in fleet.ask("devices"):
        for key, value in device["slabs"].items():
            total[key] = total.get(key, 0) + value
    return total


def is_whole(fleet):
    """Every page has all its replicas, on servers."""
    now = slab_counts(fleet)
    return now.get("placed", 0) > 0 and not any(value for key, value in now.items() if key != "placed")


def paged(fleet):
    """Pages that the present backend has moved."""
    return sum(device["pages_in"] + device["pages_out"] for device in fleet.ask("devices"))


def slabs_on(fleet, server):
    """{(device, slab): view} of the slabs that the server is a member of, as the backend's rows have it."""
    return {(slab["device"], slab["slab"]): slab["view"] for slab in fleet.ask("slabs")
            if any(member["server"] == server.uuid and member["state"] != "away" for member in slab["members"])}
