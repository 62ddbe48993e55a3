# SPDX-License-Identifier: BSD-3-Clause
"""The first page-in after a silence, when everybody sleeps and CPUs do as well."""
import os
import struct
import subprocess
import time

from rig import Fleet, Skip, bench_end, program, until

MORE_US = 3000  # a wake-up that was missed takes a timer's 1 ms, a lost datagram 1 ms or more, a sleeping guest 100 ms


DEVICE = "/dev/cpu_dma_latency"


def _limit():
    """What all together ask for, in us, when nobody of earlier cases asks any more."""
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        raise Skip(f"{DEVICE} is not there, or only for root")

    def limit():
        with open(DEVICE, "rb", buffering=0) as file:
            return struct.unpack("i", file.read(4))[0]

    until("nobody else asks CPUs to be quick", lambda: limit() > 7)
    return limit


def idle__cpus_are_awake_for_a_while_after_a_page_in(_):
    """awake-s: both ends ask, for as long as they were told, and not for page-outs."""
    limit = _limit()
    # Each alone, so that the other's wish does not hide that it has none.
    for backend, server in ("3", "0"), ("0", "3"):
        with Fleet(servers=1, name="daemon-awake", memory="64M", rmnicd_args=["--awake-s", backend],
                   memd_args=["--awake-s", server]) as fleet:
            def page(workloads):
                bench_end(subprocess.Popen(
                    [program("rmnic-bench"), "--socket", fleet.socket, "--json", "--working-set", "1M", "--ops", "100",
                     "--workloads", workloads], stdout=subprocess.PIPE, text=True))
            page("fill,out-rand")
            assert limit() > 7, "a page-out kept CPUs awake"
            page("fill,in-rand")
            asked = time.monotonic()
            until("CPUs are kept awake", lambda: limit() == 0)
            if backend != "0":
                assert fleet.ask("status")["lcores"][0]["awake"]
            until("they may sleep again", lambda: limit() > 7)
            assert time.monotonic() - asked > 1, "that was no while"
            assert not fleet.ask("status")["lcores"][0]["awake"]


def idle__the_way_is_kept_warm_for_a_second(_):
    """Both servers hear something now and then, though nobody asks; without awake-s they do not."""
    _limit()
    for seconds in "10", "0":
        with Fleet(servers=2, name="daemon-warm", memory="64M", rmnicd_args=["--awake-s", seconds, "--scrub-rate", "1"]) as fleet:
            # A page-in each 600 ms: between two of them it never ends, and the last is long past when the bench goes.
            bench = subprocess.Popen(
                [program("rmnic-bench"), "--socket", fleet.socket, "--json", "--working-set", "1M", "--ops", "4",
                 "--pause-us", "600000", "--workloads", "in-rand"], stdout=subprocess.PIPE, text=True)

            def heard():
                return [server.ask("status")["ports"][0]["rx"] for server in fleet.servers]
            until("pages are read", lambda: any(device["pages_in"] for device in fleet.ask("devices")))
            before, start = heard(), time.monotonic()
            bench_end(bench)
            more = [after - old for old, after in zip(before, heard())]
            # What was asked itself, opening and leaving: some 20. In that time each hears a PING each 10 ms.
            ticks = (time.monotonic() - start) / 0.010
            if seconds == "0":
                assert sum(more) < 40, more
            else:
                assert min(more) > ticks / 4, (more, ticks)


def idle__cpus_are_asked_to_be_quick(_):
    """As long as it runs, and by no other wish than its own."""
    limit = _limit()
    wish = Fleet(servers=1, name="daemon-quick", memory="64M", rmnicd_args=["--cpu-dma-latency-us", "7"])
    with wish:
        assert limit() == 7, limit()
        wish.backend.kill()
        wish.backend.wait(60)
        until("the wish ends with its process", lambda: limit() > 7)


def idle__first_page_in(rig):
    """The median: what it costs more than one of many in a row is wake-ups and cold caches, not timers."""
    def median(*words):
        report = bench_end(rig.bench("--working-set", "4M", "--workloads", "fill,in-rand", "--spin-us", "0", *words))
        return report["phases"][1]["page_in_us"]["p50"]

    rig.ask("devices")
    tries = [(median("--ops", "60", "--pause-us", "30000"), median("--ops", "2000")) for _ in range(3)]
    # Other work on the machine makes it slow, never quick.
    first, busy = min(tries, key=lambda pair: pair[0] - pair[1])
    assert first - busy < MORE_US, f"{first:.0f} us after 30 ms of silence, {busy:.0f} us else; all: {tries}"
