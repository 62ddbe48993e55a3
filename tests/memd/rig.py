# SPDX-License-Identifier: BSD-3-Clause
"""Memory servers in one network namespace, clients in another."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/net"))
sys.path.append(str(ROOT / "scripts"))

import importlib.util  # noqa: E402

# The namespaces and programs of the tests of DPDK ports, under another name than this file's.
_spec = importlib.util.spec_from_file_location("net_rig", ROOT / "tests/net/rig.py")
net_rig = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(net_rig)

Failed, Skip, check, until, run = (net_rig.Failed, net_rig.Skip, net_rig.check, net_rig.until,
                                   net_rig.run)
BUILD = ROOT / "build/host-backend"
MEMD, CTL, CLIENT = BUILD / "rmnic-memd", BUILD / "rmnicctl", BUILD / "memd-test/client"
LIMIT = 60
MIB_PAGES = 256
SLACK = 8 << 20  # what a server keeps beside what is promised, in whole granules


class Net(net_rig.Net):
    def __init__(self, scratch, mtu=9000):
        super().__init__(mtu=mtu)
        self.scratch = scratch
        self.address("a", "10.9.0.1/24")
        self.servers = 0

    def memd(self, *args, ok=True):
        return Memd(self, args, ok)

    def client(self, servers, **kw):
        return Client(self, servers, **kw)


class Memd:
    """A server; the first has 10.9.0.2, the next 10.9.0.3."""

    def __init__(self, net, args, ok):
        net.servers += 1
        self.net, self.args = net, [str(a) for a in args]
        self.number = net.servers
        self.address = f"10.9.0.{1 + net.servers}"
        self.udp_port = 7601 + 10 * net.servers
        self.dir = pathlib.Path(net.scratch) / f"memd{self.number}"
        self.dir.mkdir()
        self.control = self.dir / "ctl"
        self.program = None
        if ok:
            self.start()

    def command(self, *more):
        command = [MEMD, "--port", f"vb,address={self.address}/24", "--udp-port", self.udp_port,
                   "--control", self.control, "--no-huge", "--memory-mib", 64, "--slab-size", "1M",
                   *self.args, *more]
        if "--uuid-file" not in map(str, command):
            command += ["--uuid-file", self.dir / "uuid"]
        return [str(c) for c in command]

    def start(self, *more):
        os.environ["RUNTIME_DIRECTORY"] = net_rig.ENV["RUNTIME_DIRECTORY"] = str(self.dir)
        self.program = net_rig.Program(self.net, self.command(*more), "b", marker="ready:")

    def refused(self, *more):
        """What it says when it does not start."""
        program = net_rig.Program(self.net, self.command(*more), "b", marker=None)
        status = program.finish()
        check(status not in (0, -signal.SIGABRT, -signal.SIGSEGV), f"it ended with {status}")
        return program.said()

    def stop(self):
        status = self.program.stop()
        check(status == 0, f"it ended with status {status}:\n{self.program.said()}")

    def restart(self):
        self.stop()
        self.start()

    def kill(self):
        self.program.kill()

    def said(self):
        self.program.pump(0)
        return self.program.said()

    def ctl(self, *command, ok=True):
        done = subprocess.run([str(CTL), "--control", str(self.control), "--json", *map(str, command)],
                              capture_output=True, text=True, timeout=LIMIT)
        check(not ok or done.returncode == 0, f"rmnicctl {command}: {done.stderr}")
        return json.loads(done.stdout) if ok else done.stderr

    def stat(self, name):
        return self.ctl("stats")[name]

    def rss_mib(self):
        text = pathlib.Path(f"/proc/{self.program.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in text.splitlines()
                    if line.startswith("VmRSS")) // 1024

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.program.process.pid}/stat").read_text().rsplit(")")[-1]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Client:
    number = 0

    def __init__(self, net, servers, device=0xd1, token=0x11, pages=32 * MIB_PAGES, reserve=0, version=0):
        Client.number += 1
        where = [f"{s.address}:{s.udp_port}" for s in servers]
        self.process = subprocess.Popen(
            [str(CLIENT), str(7700 + 10 * Client.number), hex(device), hex(token), str(pages), "256",
             str(reserve), str(version), *where], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, bufsize=1, preexec_fn=net_rig.die_with_parent, env=net_rig.ENV)
        self.pending = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline().strip()
        check(line, "the client died")
        return line

    def ask(self, line):
        self.tell(line)
        return self.answer()

    def ok(self, line):
        said = self.ask(line)
        check(said.split()[0] == "ok", f"{line}: {said}")
        return said

    def ready(self):
        self.ok(f"wait ready {LIMIT * 1000}")

    def status(self):
        return dict(word.split("=") for word in self.ok("status").split()[1:] if "=" in word)


def datagram(path, command):
    """One question to DPDK's telemetry."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(LIMIT)
        s.connect(str(path))
        s.recv(4096)
        s.send(command.encode())
        return json.loads(s.recv(65536))
