# SPDX-License-Identifier: BSD-3-Clause
"""The peers' servers, across a link like those of the fleet, but with addresses of the kernel's."""
import os
import shutil
import socket
import subprocess
import time

from fleetlib.netns import Namespace, Problem
from perflib.processes import SERVING_CPUS, cpu_s, entering

CLIENT, SERVER = "198.51.100.1", "198.51.100.6"   # of those kept for documentation
PORTS = {"nbd": 10809, "redis": 6379, "memcached": 11211}
READY_S = 30


def argv_of(kind, mib):
    """How each is started: in memory, one thread for the work, nothing saved, no limit that it would meet."""
    return {
        "nbd": ["nbdkit", "--foreground", "--ipaddr", SERVER, "--port", str(PORTS["nbd"]), "memory", f"{mib}M"],
        "redis": ["redis-server", "--bind", SERVER, "--port", str(PORTS["redis"]), "--save", "", "--appendonly", "no",
                  "--protected-mode", "no"],
        "memcached": ["memcached", "-u", "nobody", "-l", SERVER, "-p", str(PORTS["memcached"]), "-U", "0", "-t", "1",
                      "-m", str(mib * 2 + 64), "-n", "4096", "-o", "no_lru_crawler"],
    }[kind]


class PeerLink:
    """A namespace for the server, and a link (veth) to it from the namespace of the fleet's backend."""

    def __init__(self, fleet, bridge=False):
        self.fleet = fleet
        self.space = Namespace(fleet.space)
        fleet.space.joined("n0", self.space, "up0", fleet.mtu)
        self.space.ip("address", "add", SERVER + "/24", "dev", "up0")
        if bridge:
            self._bridge()
        else:
            fleet.space.ip("address", "add", CLIENT + "/24", "dev", "n0")

    def _bridge(self):
        """For a guest's network card: QEMU opens the tap of this name."""
        space, mtu = self.fleet.space, str(self.fleet.mtu)
        space.ip("tuntap", "add", "tap0", "mode", "tap")
        space.ip("link", "add", "br0", "type", "bridge")
        for name in ("n0", "tap0"):
            space.ip("link", "set", name, "mtu", mtu, "master", "br0", "up")
        space.ip("link", "set", "br0", "mtu", mtu, "up")

    def close(self):
        self.space.close()


class PeerServer:
    def __init__(self, link, kind, mib, log_dir, cpus=SERVING_CPUS):
        self.cpus = cpus
        self.link, self.kind, self.argv = link, kind, argv_of(kind, mib)
        self.log = os.path.join(log_dir, kind + ".log")
        self.process = None

    def __enter__(self):
        os.makedirs(os.path.dirname(self.log), exist_ok=True)
        program = shutil.which(self.argv[0], path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if not program:
            raise Problem(f"{self.argv[0]} is not there: run 'scripts/setup perf'")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([program] + self.argv[1:], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=entering(self.link.space, self.cpus), cwd="/")
        try:
            self._ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def _ready(self):
        """None of them says when it listens, so it is tried."""
        limit = time.monotonic() + READY_S
        while True:
            with self.link.space.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                if sock.connect_ex((SERVER, PORTS[self.kind])) == 0:
                    return
            if self.process.poll() is not None:
                raise Problem(f"{self.argv[0]} ended with status {self.process.returncode}: see {self.log}")
            if time.monotonic() > limit:
                raise Problem(f"{self.argv[0]} did not listen within {READY_S} s: see {self.log}")
            time.sleep(0.02)

    def cpu(self):
        return cpu_s(self.process.pid)
