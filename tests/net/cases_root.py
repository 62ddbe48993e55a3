# SPDX-License-Identifier: BSD-3-Clause
"""What needs root: af_xdp (RULES F1, F8)."""
import time

from cases_user import garbage_is_counted_and_not_answered
from rig import A, B, PEER, Net, Program, check, stopped

XA, XB = f"af_xdp:va,address={A}/24", f"af_xdp:vb,address={B}/24"


def af_xdp_at_both_mtus():
    for mtu, size in (1500, 1472), (3000, 2972):
        with Net(mtu=mtu) as net:
            echo = net.echo(port=XB)
            # More than the rings hold, several times over.
            got = net.exchange("--size", str(size), "--count", "10000", port=XA)
            check(not got["multi_segs"] and got["held"] == got["released"] >= 10000, got)
            stopped(echo)


def af_xdp_and_af_packet():
    with Net(mtu=3000) as net:
        echo = net.echo(port=XB)
        net.exchange("--size", "2972", "--count", "1000")
        stopped(echo)


def af_xdp_idle_and_awake():
    """Asleep it costs nothing, and wakes up. (Its driver may block in a receive that finds nothing;
    over veth, where the kernel copies, it does not, so that is not seen here.)"""
    with Net(mtu=3000) as net:
        echo = net.echo(port=XB)
        got = net.exchange("--count", "40", "--gap-us", "50000", port=XA)
        check(got["got"] == 40, got)
        time.sleep(4)
        told = stopped(echo)
        check(told["cpu_us"] < told["ran_us"] / 50, f"{told['cpu_us']} of {told['ran_us']} us")


def af_xdp_with_more_lcores_than_queues():
    with Net(mtu=3000) as net:
        ping = Program(net, [PEER, "ping", "--port", XA, "--to", B, "--lcores", "2"], "a", None)
        check(ping.finish() == 2, ping.said())
        check("queue count 2 is larger than combined queue count 1" in ping.said(), ping.said())


def af_xdp_leaves_nothing_behind():
    with Net(mtu=3000) as net:
        echo = net.echo(port=XB)
        check("xdp" in net.b("ip", "link", "show", "vb"), "no program on the interface")
        stopped(echo)
        check("xdp" not in net.b("ip", "link", "show", "vb"), "the program is left behind")


def garbage_over_af_xdp():
    """Of net_af_packet's frames the kernel has put fragments together, or dropped them."""
    garbage_is_counted_and_not_answered(XB)


def af_xdp_is_refused_where_the_kernel_has_an_address():
    with Net(mtu=3000) as net:
        net.address("a", f"{A}/24")
        ping = Program(net, [PEER, "ping", "--port", "af_xdp:va", "--to", B], "a", None)
        check(ping.finish() == 2, ping.said())
        check("af_xdp takes every frame from the kernel" in ping.said(), ping.said())


CASES = [
    af_xdp_at_both_mtus, af_xdp_and_af_packet, af_xdp_idle_and_awake,
    af_xdp_with_more_lcores_than_queues, garbage_over_af_xdp,
    af_xdp_leaves_nothing_behind, af_xdp_is_refused_where_the_kernel_has_an_address,
]
