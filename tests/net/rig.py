# SPDX-License-Identifier: BSD-3-Clause
"""Two network namespaces joined by veth, and the programs in them."""
import ctypes
import json
import os
import pathlib
import select
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/host-backend"
PEER = BUILD / "net/peer"
PINGPONG = BUILD / "rmnic-pingpong"

LIMIT = 60  # seconds until what should come is said not to come

# DPDK's libraries keep memory until the end, and LeakSanitizer needs rights of its own.
ENV = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"}
A, B = "10.9.0.1", "10.9.0.2"


class Failed(Exception):
    pass


class Skip(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failed(text)


def until(condition, text, seconds=LIMIT):
    end = time.monotonic() + seconds
    while not (value := condition()):
        check(time.monotonic() < end, f"{text}: not within {seconds} s")
        time.sleep(0.02)
    return value


def run(*command, ok=True):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=LIMIT)
    check(not ok or done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def die_with_parent():
    """In a child: nothing is left over, however the test ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Program:
    """A program in one of the namespaces; what it prints is collected."""

    def __init__(self, net, command, where, marker="ready"):
        enter = ["nsenter", "-t", str(net.holder.pid), "-n"] if where == "b" else []
        self.command = [str(c) for c in command]
        self.text = {"out": "", "err": ""}
        self.process = subprocess.Popen(
            enter + self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=ENV, preexec_fn=die_with_parent)
        net.programs.append(self)
        self.open = {self.process.stdout: "out", self.process.stderr: "err"}
        if marker:
            self.expect(marker)

    def pump(self, seconds):
        ready, _, _ = select.select(list(self.open), [], [], seconds)
        for stream in ready:
            data = os.read(stream.fileno(), 65536).decode(errors="replace")
            if data:
                self.text[self.open[stream]] += data
            else:
                del self.open[stream]

    def said(self):
        return self.text["out"] + self.text["err"]

    def expect(self, marker, seconds=LIMIT):
        """Waits until the program said this."""
        end = time.monotonic() + seconds
        while marker not in self.said():
            check(self.open and time.monotonic() < end,
                  f"{' '.join(self.command)} did not say '{marker}':\n{self.said()}")
            self.pump(0.5)

    def finish(self, seconds=LIMIT):
        """Its exit status, when it has ended by itself."""
        end = time.monotonic() + seconds
        while self.open:
            if time.monotonic() > end:
                self.process.kill()
                raise Failed(f"{' '.join(self.command)} did not end:\n{self.said()}")
            self.pump(0.5)
        return self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.finish()

    def kill(self):
        self.process.kill()
        self.finish()

    def result(self):
        """The JSON object that it printed at the end."""
        lines = [line for line in self.text["out"].splitlines() if line.startswith("{")]
        check(lines, f"{' '.join(self.command)} printed no result:\n{self.said()}")
        return json.loads(lines[-1])


DRIVER = ""   # what ports name in front of an interface, with a colon; empty: the default


class Net:
    """veth "va" here, "vb" in the other namespace."""

    def __init__(self, mtu=9000, queues=1):
        self.programs = []
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"],
                                       preexec_fn=die_with_parent)
        own = os.readlink("/proc/self/ns/net")
        until(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != own, "a namespace")
        sizes = ["mtu", mtu, "numtxqueues", queues, "numrxqueues", queues]
        run("ip", "link", "add", "va", *sizes, "type", "veth", "peer", "name", "vb", *sizes)
        run("ip", "link", "set", "vb", "netns", self.holder.pid)
        for do, name in (run, "va"), (self.b, "vb"):
            do("ip", "link", "set", "lo", "up")
            # The kernel's own chatter (IPv6) is none of the test's.
            do("ip", "link", "set", name, "addrgenmode", "none")
            do("ip", "link", "set", name, "up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in self.programs:
            if program.process.poll() is None:
                program.process.kill()
            program.process.wait()
            program.process.stdout.close()
            program.process.stderr.close()
        run("ip", "link", "del", "va", ok=False)
        self.holder.kill()
        self.holder.wait()

    def b(self, *command, ok=True):
        """Runs a command in the other namespace."""
        return run("nsenter", "-t", self.holder.pid, "-n", *command, ok=ok)

    def address(self, where, address):
        (run if where == "a" else self.b)("ip", "addr", "add", address, "dev", "v" + where)

    def echo(self, *args, port=f"vb,address={B}/24", where="b"):
        return Program(self, [PEER, "echo", "--port", port_of(port), *args], where)

    def ping(self, *args, port=f"va,address={A}/24", to=B, where="a"):
        return Program(self, [PEER, "ping", "--port", port_of(port), "--to", to, *args], where, "ready")

    def exchange(self, *args, **kw):
        """A ping that must succeed; its result."""
        ping = self.ping(*args, **kw)
        status = ping.finish()
        check(status == 0, f"ping failed ({status}):\n{ping.said()}")
        return ping.result()


def port_of(port):
    return port if ":" in port else DRIVER + port


def stopped(program):
    """Its result, when it was asked to end and did so well."""
    status = program.stop()
    check(status == 0, f"it ended with status {status}:\n{program.said()}")
    return program.result()
