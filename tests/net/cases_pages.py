# SPDX-License-Identifier: BSD-3-Clause
"""A backend and a memory server on ports that are no interface of the kernel's: pages go there and come back."""
import contextlib
import json
import tempfile

from rig import A, B, BUILD, Net, Program, check, run

RMNICD, MEMD, BENCH = (BUILD / name for name in ("rmnicd", "rmnic-memd", "rmnic-bench"))
COMMON = ["--no-huge", "--memory-mib", "64"]


@contextlib.contextmanager
def _pair(net, server_port, backend_port):
    """A memory server and a backend, both in this namespace; gives the backend's socket."""
    with tempfile.TemporaryDirectory(prefix="rmnic-net-") as scratch:
        server = Program(net, [MEMD, *COMMON, "--control", f"{scratch}/m.ctl", "--memory", "128M",
                               "--port", server_port], "a", " lent,")
        backend = Program(net, [RMNICD, *COMMON, "--control", f"{scratch}/d.ctl", "--socket", f"{scratch}/d.sock",
                                "--port", backend_port, "--server", B], "a", "listening at")
        yield f"{scratch}/d.sock"
        for program in backend, server:
            check(program.stop() == 0, program.said())


def _page(net, socket):
    """Every page that comes back is compared with what went out."""
    bench = Program(net, [BENCH, "--socket", socket, "--working-set", "1M", "--workloads", "fill,mix,verify",
                          "--ops", "200", "--json"], "a", None)
    check(bench.finish() == 0, bench.said())
    report = json.loads(bench.text["out"])
    check(report["phases"], report)
    for phase in report["phases"]:
        check(phase["commands"] > 0 and phase["errors"] == phase["mismatches"] == 0, phase)


def pages_over_memif():
    with Net() as net, tempfile.TemporaryDirectory(prefix="rmnic-net-") as scratch:
        path = f"{scratch}/memif.sock"
        with _pair(net, f"memif:server:{path},address={B}/24", f"memif:client:{path},address={A}/24") as socket:
            _page(net, socket)


def pages_over_tap():
    """Interfaces that the programs make themselves, joined by a bridge when they are there."""
    with Net() as net:
        run("ip", "link", "add", "br0", "type", "bridge")
        run("ip", "link", "set", "br0", "addrgenmode", "none", "up")
        with _pair(net, f"tap:ts,address={B}/24", f"tap:tb,address={A}/24") as socket:
            for index, name in enumerate(("ts", "tb")):
                # The kernel's end has the port's own address at first, and a bridge keeps what is for that.
                run("ip", "link", "set", name, "address", f"02:00:00:00:00:0{index}")
                run("ip", "link", "set", name, "master", "br0", "up")
            _page(net, socket)


CASES = [pages_over_memif, pages_over_tap]
