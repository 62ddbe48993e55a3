# SPDX-License-Identifier: BSD-3-Clause
"""What a memory server promises, seen over a network."""
import os
import pathlib
import re
import time

import rig
from fleetlib import faults
from rig import MIB_PAGES, Net, check, until

LOST, UNKNOWN_SLAB, DENIED = "0x301", 7, 14


def _integrity(scratch, mtu, path):
    with Net(scratch, mtu) as net:
        memd = net.memd("--memory", "40M")
        with net.client([memd]) as c:
            c.ready()
            for seed in 1, 2:
                c.ok(f"out 0 {32 * MIB_PAGES} {seed}")
                c.ok(f"in 0 {32 * MIB_PAGES} {seed}")
            check(f"mtu={path}" in c.ok("peers"), c.ok("peers"))
        stats = memd.ctl("stats")
        check(stats["stored_pages"] and stats["fills"] and not stats["crc_errors"], stats)
        memd.stop()


def pages_at_mtu_9000(scratch):
    _integrity(scratch, 9000, 4222)


def pages_in_segments_at_mtu_1500(scratch):
    _integrity(scratch, 1500, 1500)


def a_full_server_says_how_much_there_is(scratch):
    with Net(scratch) as net:
        memd = net.memd("--memory", "16M")
        with net.client([memd]) as c:
            c.ok(f"wait no-space {rig.LIMIT * 1000}")
            check(c.status()["reserved"] == str(16 * MIB_PAGES), c.status())
            # Everything that is promised can be written.
            c.ok(f"out 0 {16 * MIB_PAGES} 1")
            c.ok(f"in 0 {16 * MIB_PAGES} 1")
            # More memory, and the rest finds its place.
            memd.ctl("memory", "32M")
            c.ready()
            c.ok(f"out 0 {32 * MIB_PAGES} 2")
            c.ok(f"in 0 {32 * MIB_PAGES} 2")


def the_next_server_is_used(scratch):
    with Net(scratch) as net:
        servers = [net.memd("--memory", "16M"), net.memd("--memory", "24M")]
        with net.client(servers) as c:
            c.ready()
            c.ok(f"out 0 {32 * MIB_PAGES} 1")
            c.ok(f"in 0 {32 * MIB_PAGES} 1")
            slabs = [len(m.ctl("slabs")) for m in servers]
            check(sum(slabs) == 32 and slabs[0] <= 16 and slabs[1] <= 24, slabs)
            c.ok("release")
            c.ok(f"wait released {rig.LIMIT * 1000}")
            until(lambda: not any(m.stat("promised_bytes") for m in servers), "all is free again")


def memory_grows_and_shrinks_under_use(scratch):
    with Net(scratch) as net:
        memd = net.memd("--memory", "96M", "--memory-max", "256M")
        with net.client([memd], pages=64 * MIB_PAGES) as c, \
             net.client([memd], device=0xd2, pages=24 * MIB_PAGES) as other:
            other.ready()
            other.ok(f"out 0 {24 * MIB_PAGES} 9")
            c.ready()
            refusal = memd.ctl("memory", "80M", ok=False)
            check("80M is less than the 88M promised" in refusal, refusal)
            other.ok("release")
            other.ok(f"wait released {rig.LIMIT * 1000}")
            until(lambda: memd.stat("promised_bytes") == 64 << 20, "the other device's slabs are free")
            for seed, size in enumerate(["65M", "256M", "64M", "128M", "72M", "64M"]):
                c.tell(f"out 0 {64 * MIB_PAGES} {seed}")  # while it changes
                memd.ctl("memory", size)
                check(c.answer().startswith("ok"), "page-outs go on")
                c.ok(f"in 0 {64 * MIB_PAGES} {seed}")
            until(lambda: memd.ctl("memory")["pool"] < 72 << 20, "the pool is as small as it was asked to be")
            refusal = memd.ctl("memory", "257M", ok=False)
            check("memory-max" in refusal, refusal)


def what_is_free_goes_back_to_the_system(scratch):
    with Net(scratch) as net:
        memd = net.memd("--memory", "128M")
        empty = memd.rss_mib()
        with net.client([memd], pages=96 * MIB_PAGES) as c:
            c.ready()
            c.ok(f"out 0 {96 * MIB_PAGES} 1")
            full = memd.rss_mib()
            check(full > empty + 70, f"{empty} MiB empty, {full} MiB full")
            c.ok(f"free 0 {48 * MIB_PAGES}")
            # What is promised stays where it is: only the pages are of use again.
            stored = memd.stat("stored_pages")
            c.ok(f"out 0 {MIB_PAGES} 2")
            check(memd.stat("stored_pages") < stored, "freed pages are free")
            c.ok("release")
            c.ok(f"wait released {rig.LIMIT * 1000}")
            until(lambda: memd.rss_mib() < full - 60, "the memory of a device that is gone is given back")


def _empty_after(scratch, death):
    with Net(scratch) as net:
        memd = net.memd("--memory", "40M")
        with net.client([memd]) as c:
            c.ready()
            c.ok("out 0 1000 1")
            uuid = memd.ctl("status")["uuid"]
            death(memd)
            memd.start()
            check(memd.ctl("status")["uuid"] == uuid, "the server has the name it had")
            # Neither zeros nor anything else is made up.
            said = c.ask("in 0 1000 1")
            check(said == f"failed good=0 wrong=0 failed=1000 status={LOST}", said)
            c.ready()
            check(int(c.status()["slabs_lost"]) == 32, c.status())
            c.ok("out 0 1000 2")
            c.ok("in 0 1000 2")


def a_restarted_server_is_empty_and_known_to_be(scratch):
    _empty_after(scratch, lambda memd: memd.stop())


def a_killed_server_too(scratch):
    _empty_after(scratch, lambda memd: memd.kill())


def _refused(client):
    """What the client says of the server when that has refused it."""
    def asked():
        client.ask("wait ready 100")
        peers = client.ok("peers")
        return peers if "0:refused" in peers else None
    return until(asked, "the server refuses")


def one_device_cannot_see_another(scratch):
    with Net(scratch) as net:
        memd = net.memd("--memory", "64M")
        with net.client([memd], device=0xd1, pages=8 * MIB_PAGES) as a, \
             net.client([memd], device=0xd2, pages=8 * MIB_PAGES) as b, \
             net.client([memd], device=0xd1, token=0x12, pages=8 * MIB_PAGES) as thief:
            a.ready()
            b.ready()
            a.ok("out 0 500 1")
            b.ok("out 0 500 2")
            slabs = memd.ctl("slabs")
            check(len(slabs) == 16, slabs)
            mine = [s for s in slabs if s["device"].startswith("d1")]
            for slab in mine:
                said = b.ok(f"steal 0x{slab['handle']} {slab['slab'] * 256}")
                check(said == f"ok status={UNKNOWN_SLAB}", said)
            # Nor with the other's name: that takes its token.
            check(f"refused={DENIED}" in _refused(thief), thief.ok("peers"))
            check("another token" in memd.said(), memd.said())
            b.ok("release")
            b.ok(f"wait released {rig.LIMIT * 1000}")
            a.ok("in 0 500 1")


def another_version_is_refused_on_both_sides(scratch):
    with Net(scratch) as net:
        memd = net.memd("--memory", "16M")
        with net.client([memd], version=9, pages=MIB_PAGES) as c:
            check("speaks=1-1" in _refused(c), c.ok("peers"))
        until(lambda: "10.9.0.1 refused: it speaks RMP versions 9 to 9, this server 1 to 1" in memd.said(),
              "the server says whom it refused")
        check(memd.stat("versions_refused") >= 1, "it is counted")


def idle_costs_nothing(scratch):
    with Net(scratch) as net:
        memd = net.memd("--memory", "16M")
        with net.client([memd], pages=MIB_PAGES) as c:
            c.ready()
            c.ok("out 0 256 1")
            before, start = memd.cpu_seconds(), time.monotonic()
            time.sleep(10)  # the event that is waited for is that nothing happens
            used, passed = memd.cpu_seconds() - before, time.monotonic() - start
            check(used / passed < 0.01, f"{used:.2f} s in {passed:.1f} s")
            c.ok("in 0 256 1")


def a_silent_device_loses_its_lease(scratch):
    with Net(scratch) as net:
        memd = net.memd("--memory", "16M", "--lease", "8", "--max-devices", "4")
        with net.client([memd], pages=MIB_PAGES) as c:
            c.ready()
            c.ok("out 0 256 1")
            c.ask("wait fenced 12000")  # it only waits: its lease is renewed
            c.ok("in 0 256 1")
        until(lambda: not memd.stat("slabs"), "the slabs of a device that is gone are released")
        check("not heard of for too long" in memd.said(), memd.said())


def settings_that_make_no_sense(scratch):
    with Net(scratch) as net:
        memd = net.memd("--memory", "16M", ok=False)
        for args, text in (
                (["--udp-port", "70000"], "udp-port"), (["--memory", "lots"], "memory"),
                (["--lcores", "2"], "one lcore serves all devices"),
                (["--slab-size", "32M"], "less than one slab"),
                (["--memory-max", "8M"], "memory-max is less than memory"),
                (["--port", "nosuch0"], "nosuch0"), (["--uuid", "x"], "uuid")):
            said = memd.refused(*args)
            check(text in said and len(said.splitlines()) < 12, f"{args}: {said}")


def two_servers_do_not_share_a_name(scratch):
    file = pathlib.Path(scratch) / "one.uuid"
    with Net(scratch) as net:
        memd = net.memd("--memory", "16M", "--uuid-file", file)
        twin = net.memd("--memory", "16M", "--uuid-file", file, ok=False)
        said = twin.refused()
        check("another server has this uuid" in said, said)
        memd.stop()
        twin.start()
        check(twin.ctl("status")["uuid"] == file.read_text().strip(), "the name is kept in the file")
        twin.stop()
        file.write_text("nonsense\n")
        check("it has no uuid in it" in twin.refused(), "a file with something else")


def figures_for_others(scratch):
    with Net(scratch) as net:
        metrics = pathlib.Path(scratch) / "metrics"
        memd = net.memd("--memory", "16M", "--metrics-file", metrics, "--metrics-interval-ms", "100")
        with net.client([memd], pages=MIB_PAGES) as c:
            c.ready()
            c.ok("out 0 256 1")
            wanted = re.compile(r"^rmnic_memd_writes_total \d*[1-9]\d*$", re.M)
            until(lambda: wanted.search(metrics.read_text()), "the metrics file counts the pages")
            path = next(memd.dir.rglob("dpdk_telemetry.v2"), None)
            if path:
                told = rig.datagram(path, "/rmnic/memd/stats")["/rmnic/memd/stats"]
                check(told["writes"] == memd.stat("writes"), told)
            else:
                check("telemetry" in memd.said(), "without telemetry it says so")
        memd.stop()
        check(not metrics.exists(), "figures of a server that is gone are no figures")


def _spoil(memd, pages):
    return faults.spoil_memory(memd.program.process.pid, pages)


def damage_at_rest_is_found(scratch):
    """RMP-40"""
    with Net(scratch) as net:
        memd = net.memd("--memory", "32M", "--scrub-rate", "100000")
        with net.client([memd], pages=8 * MIB_PAGES) as c:
            c.ready()
            c.ok(f"out 0 {8 * MIB_PAGES} 1")
            until(lambda: memd.stat("scrubbed_pages") > 8 * MIB_PAGES, "pages are looked at")
            check(not memd.stat("damaged_pages"), "and are as they should be")
            spoilt = _spoil(memd, 5)
            check(spoilt == 5, f"{spoilt} pages were found to be spoilt")
            looked = memd.stat("scrubbed_pages")
            until(lambda: memd.stat("scrubbed_pages") > looked + 24 * MIB_PAGES, "all pages are looked at again")
            # Some of what was spoilt may have been free: what a page left that came twice.
            bad = memd.stat("bad_pages")
            check(1 <= bad <= 5, f"{bad} of 5 damaged pages were found")
            check("was damaged in this server's memory" in memd.said(), memd.said())
            said = c.ask(f"in 0 {8 * MIB_PAGES} 1")
            check(said.startswith(f"failed good={8 * MIB_PAGES - bad} wrong=0 failed={bad}"), said)
            c.ok(f"out 0 {8 * MIB_PAGES} 2")
            c.ok(f"in 0 {8 * MIB_PAGES} 2")
            check(memd.stat("bad_pages") == 0 and memd.stat("healed_pages") == bad, memd.ctl("stats"))


def damage_is_not_given_out_unfound_either(scratch):
    with Net(scratch) as net:
        memd = net.memd("--memory", "32M", "--scrub-rate", "0")
        with net.client([memd], pages=8 * MIB_PAGES) as c:
            c.ready()
            c.ok(f"out 0 {8 * MIB_PAGES} 1")
            check(_spoil(memd, 3) == 3, "three pages are spoilt")
            said = c.ask(f"in 0 {8 * MIB_PAGES} 1")
            good, wrong, failed = (int(word.split("=")[1]) for word in said.split()[1:4])
            # Not all three perhaps: see above.
            check(said.startswith("failed ") and wrong == 0 and 1 <= failed <= 3 and good == 8 * MIB_PAGES - failed, said)
            check(not memd.stat("scrubbed_pages"), "nobody looked")
            memd.ctl("scrub-rate", "100000")
            until(lambda: memd.stat("bad_pages") == failed, "now somebody does")


def short_memory_is_given_back(scratch):
    with Net(scratch) as net:
        memd = net.memd("--memory", "96M", "--pressure", "on")
        check(memd.ctl("pressure")["pressure"] and memd.ctl("memory")["free"] <= 4096, memd.ctl("memory"))
        with net.client([memd], pages=32 * MIB_PAGES) as c:
            c.ask("wait no-space 2000")
            check(not memd.stat("slabs"), "nothing is promised while memory is short")
            memd.ctl("pressure", "off")
            until(lambda: memd.ctl("memory")["memory"] == 96 << 20, "all is lent again")
            c.ready()
            c.ok(f"out 0 {32 * MIB_PAGES} 1")
            # The system has less than this machine will ever have.
            memd.ctl("pressure", "auto")
            check(not memd.ctl("pressure")["pressure"], memd.ctl("pressure"))
            memd.ctl("pressure", "on")
            until(lambda: memd.ctl("memory")["pool"] <= (32 << 20) + rig.SLACK, "what is not promised leaves")
            c.ok(f"in 0 {32 * MIB_PAGES} 1")
            c.ok(f"out 0 {32 * MIB_PAGES} 2")
            check("0:ready" in c.ok("peers") and "pressure" in c.ok("peers"), c.ok("peers"))
            c.ok("release")
            c.ok(f"wait released {rig.LIMIT * 1000}")
            until(lambda: memd.ctl("memory")["pool"] <= rig.SLACK, "slabs that leave leave no memory behind")
            memd.ctl("pressure", "auto")
            until(lambda: memd.ctl("memory")["memory"] == 96 << 20, "and all is lent again")
        memd = net.memd("--memory", "16M", "--pressure-available", "8T")
        check(memd.ctl("pressure")["pressure"] and memd.stat("pressure"), memd.ctl("pressure"))
        check("memory is short" in memd.said(), memd.said())


def a_drained_server_takes_no_new_slabs(scratch):
    with Net(scratch) as net:
        memd = net.memd("--memory", "64M")
        with net.client([memd], pages=8 * MIB_PAGES) as c, \
             net.client([memd], device=0xd2, pages=8 * MIB_PAGES) as other:
            c.ready()
            check(memd.ctl("drain", "on")["draining"] and memd.ctl("memory")["draining"], memd.ctl("memory"))
            other.ok(f"wait no-space {rig.LIMIT * 1000}")
            c.ok(f"out 0 {8 * MIB_PAGES} 1")
            c.ok(f"in 0 {8 * MIB_PAGES} 1")
            check(not memd.ctl("drain", "off")["draining"], "it is over")
            other.ready()


def it_waits_for_who_has_its_cpu(scratch):
    """As long as that costs little, its lcore does not interrupt who sends, and its other threads are as ever."""
    with Net(scratch) as net:
        memd = net.memd("--memory", "64M")
        with net.client([memd], pages=8 * MIB_PAGES) as c:
            c.ready()

            def waits():
                c.ok(f"out 0 {MIB_PAGES} 1")
                policies = [os.sched_getscheduler(int(thread)) for thread in os.listdir(f"/proc/{memd.program.process.pid}/task")]
                return policies.count(os.SCHED_BATCH) == 1 and memd.ctl("status")["lcores"][0]["sched"] == "batch"
            until(waits, "it lets the sender finish")


CASES = [pages_at_mtu_9000, pages_in_segments_at_mtu_1500, a_full_server_says_how_much_there_is,
         the_next_server_is_used, memory_grows_and_shrinks_under_use,
         what_is_free_goes_back_to_the_system, a_restarted_server_is_empty_and_known_to_be,
         a_killed_server_too, one_device_cannot_see_another, another_version_is_refused_on_both_sides,
         idle_costs_nothing, a_silent_device_loses_its_lease, settings_that_make_no_sense,
         two_servers_do_not_share_a_name, figures_for_others, damage_at_rest_is_found,
         damage_is_not_given_out_unfound_either, short_memory_is_given_back,
         a_drained_server_takes_no_new_slabs, it_waits_for_who_has_its_cpu]
