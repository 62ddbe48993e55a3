# SPDX-License-Identifier: BSD-3-Clause
"""The fleet: memory servers, each joined by a link of its own to the namespace of the backend."""
import os
import shlex
import shutil
import sys
import tempfile
import uuid

from fleetlib.child import Child
from fleetlib.control import ask
from fleetlib.netns import Namespace, Problem

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = os.path.join(ROOT, "build/host-backend")
PORT = 7611            # of page-in at a server; page-out's is one above
READY_S = 60           # generous: machines are slow and shared, readiness is an event
MAX_SERVERS = 8        # links that one backend can have


def program(name):
    path = os.path.join(PROGRAMS, name)
    if not os.access(path, os.X_OK):
        raise Problem(f"{os.path.relpath(path, ROOT)} is not built: run 'make backend'")
    return path


def look(control, servers):
    """Where the pages of all devices went, and what that took. servers: ADDRESS:PORT=CONTROL each."""
    stats = ask(control, "stats")
    wire = {key: stats[key] for key in ("retransmits", "segments", "crc_errors")}
    sent = []
    for server in servers:
        address, _, path = server.partition("=")
        # Pages that it was sent and has stored since it started, those that were given back again included.
        try:
            pages = ask(path, "stats")["writes"]
        except Problem:
            sent.append({"address": address, "pages": None, "bytes": None})  # it is dead, and so are its counters
            continue
        sent.append({"address": address, "pages": pages, "bytes": pages * 4096})
    spill = {"pages": stats["spilled_pages"], "out": stats["pages_spilled"], "free": stats["spill_free_pages"]}
    return {"servers": sent, "wire": wire, "spill": spill}


class Server:
    """One memory server: its namespace, its link, its process."""

    def __init__(self, fleet, index):
        self.fleet, self.index = fleet, index
        self.name = f"memd{index}"
        self.uuid = str(uuid.uuid4())   # kept over a restart: it is the same server then
        # A subnet of four addresses a link, of those kept for documentation.
        self.gateway, self.address = (f"192.0.2.{4 * index + host}" for host in (1, 2))
        self.control = os.path.join(fleet.scratch, self.name + ".ctl")
        self.link = f"s{index}"
        self.space = Namespace(fleet.space)
        fleet.space.joined(self.link, self.space, "up0", fleet.mtu)
        self.child = None
        self.named = index < fleet.count   # to the backend, when it starts
        self.memory = fleet.memory[index]

    def argv(self):
        fleet = self.fleet
        return [program("rmnic-memd"), "--control", self.control, "--port", fleet.port("up0", self.address),
                "--udp-port", str(PORT), "--uuid", self.uuid, "--memory", self.memory, "--slab-size", fleet.slab,
                *fleet.common, *fleet.memd_args]

    def start(self):
        fleet = self.fleet
        self.child = Child(self.name, self.argv(), self.space, fleet.scratch, fleet.log_dir, fleet.cpus)
        return self.child.start()

    def ask(self, command, **arguments):
        return ask(self.control, command, **arguments)


class Fleet:
    """
    with Fleet(servers=2) as fleet: fleet.socket is where QEMU's chardev connects.

    memory: what each server lends, one text for all or a list. spare: servers more that have a link, but are neither
    started nor known to the backend. spill: what the backend's spill file may take; none: there is none. common, memd_args, rmnicd_args: further
    arguments of the programs. cpus: that its programs run on; backend_cpus: the backend, if on others. Logs are in build/log/NAME.
    """

    def __init__(self, servers=2, name="fleet", mtu=9000, driver="packet", memory="512M", slab="64M",
                 memory_mib=64, poll=None, common=(), memd_args=(), rmnicd_args=(), spare=0, spill=None, cpus=None,
                 backend_cpus=None):
        if not 1 <= servers <= servers + spare <= MAX_SERVERS:
            raise Problem(f"{servers + spare} servers: choose 1 to {MAX_SERVERS}, the backend has a link to each")
        self.links = servers + spare
        self.count, self.mtu, self.driver, self.slab = servers, mtu, driver, slab
        self.memory = [memory] * self.links if isinstance(memory, str) else list(memory)
        self.common = ["--no-huge", "--memory-mib", str(memory_mib), *(["--poll", poll] if poll else []), *common]
        self.memd_args, self.rmnicd_args = list(memd_args), list(rmnicd_args)
        self.spill = spill
        self.cpus, self.backend_cpus = cpus, backend_cpus or cpus
        self.log_dir = os.path.join(ROOT, "build/log", name)
        self.scratch = self.space = self.backend = None
        self.servers = []

    def __enter__(self):
        try:
            self.lay_out()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def port(self, link, address):
        return f"{self.driver}:{link},address={address}/30,mtu={self.mtu}"

    def lay_out(self):
        """Namespaces and links, no programs yet."""
        shutil.rmtree(self.log_dir, ignore_errors=True)
        os.makedirs(self.log_dir)
        # Not in the log directory: the path of a socket has to be short.
        self.scratch = tempfile.mkdtemp(prefix="rmnic-fleet-")
        self.socket = os.path.join(self.scratch, "rmnic.sock")
        self.control = os.path.join(self.scratch, "rmnicd.ctl")
        self.spill_dir = os.path.join(self.scratch, "spill")
        os.mkdir(self.spill_dir)
        self.space = Namespace()
        for index in range(self.links):
            self.servers.append(Server(self, index))

    def start(self):
        self.start_servers()
        self.start_backend()

    def start_servers(self):
        # All at once: what takes time is each program's own start.
        children = [server.start() for server in self.servers if server.named]
        for child in children:
            child.ready(READY_S)

    def backend_argv(self):
        argv = [program("rmnicd"), "--socket", self.socket, "--control", self.control, *self.common]
        for server in self.servers:
            argv += ["--port", self.port(server.link, server.gateway)]
            argv += ["--server", f"{server.address}:{PORT}"] if server.named else []
        if self.spill:
            argv += ["--spill-dir", self.spill_dir, "--spill-size", self.spill]
        return argv + self.rmnicd_args

    def start_backend(self):
        """Also after a kill: a successor on the same sockets."""
        if self.backend:
            self.backend.stop()
        self.backend = Child("rmnicd", self.backend_argv(), self.space, self.scratch, self.log_dir, self.backend_cpus)
        self.backend.start()
        self.backend.ready(READY_S)

    def ask(self, command, **arguments):
        return ask(self.control, command, **arguments)

    def look_command(self):
        """For guest-run --look."""
        words = [sys.executable, "-B", os.path.join(ROOT, "scripts/fleet"), "--look", self.control]
        return shlex.join(words + [f"{server.address}:{PORT}={server.control}" for server in self.servers])

    def children(self):
        return [child for child in [self.backend] + [server.child for server in self.servers] if child]

    def close(self):
        """Everything that was started is gone when this returns, the backend before its servers."""
        for child in self.children():
            child.stop()
        for space in [server.space for server in self.servers] + ([self.space] if self.space else []):
            space.close()
        self.servers, self.space, self.backend = [], None, None
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.scratch = None
