# SPDX-License-Identifier: BSD-3-Clause
"""What a paging guest goes through, one thing after the other; each ends when every page has all its replicas again."""
import time

from fleetlib import faults
from guestvm import machine, stall

from remotelib.guestrun import GuestRun

# What a guest's kernel says when a page did not go out or come in.
COMPLAINTS = ("Write-error on swap-device", "Read-error on swap-device", "I/O error", "Buffer I/O", "rmnic: giving up")
COUNTED = ("members_dropped", "resyncs", "repairs", "pages_copied", "pages_lost", "crc_errors", "retransmits")
# A server that is silent for so long is replaced: here soon, or each case would wait for it. One is dropped later than
# by default: were it dropped only because the machine is busy, the next one that is killed might be the last.
RMNICD = ("--replicas", "2", "--away-ms", "1500", "--drop-ms", "200", "--repair-rate", "50000")


class Ordeal:
    """
    A fleet and a guest that reads and rewrites in rounds until it is told to end (tests/guest/jobs/run, FAULT). Three
    servers at least, two replicas: so that one can be missing.
    """

    def __init__(self, fleet, name, size=320, ram=128, reads=3000, rewrites=2000, timeout=600, kernel="6.1"):
        self.fleet, self.name = fleet, name
        self.guest = GuestRun(name, fleet.socket, size=size, ram=ram, timeout=timeout, kernel=kernel, qmp=fleet.scratch + "/monitor",
                              env={"FAULT": 1, "READS": reads, "REWRITES": rewrites})
        self.before = {}     # what backends that are gone had counted
        self.done = []       # (fault, seconds)

    def __enter__(self):
        self.guest.__enter__()
        try:
            self.guest.until("half way")
        except BaseException:
            self.guest.__exit__()
            raise
        self.guest.drain()
        return self

    def __exit__(self, *what):
        self.guest.__exit__(*what)

    # --- What every fault is held to ---

    def moves(self, pages=1000, limit=120):
        """The guest pages on."""
        base = faults.paged(self.fleet)

        def look():
            assert self.guest.running(), "the guest has ended"
            return faults.paged(self.fleet) >= base + pages
        faults.eventually(f"{pages} pages move", look, limit)

    def whole(self, limit=180):
        def look():
            assert self.guest.running(), "the guest has ended"
            return faults.is_whole(self.fleet)
        try:
            faults.eventually("every page has all its replicas", look, limit)
        except faults.Problem:
            print(self.fleet.ask("devices"), self.fleet.ask("servers"), sep="\n", flush=True)
            raise

    def suffer(self, fault, *args):
        """Gives how long it took."""
        start = time.monotonic()
        print(f"--- {fault.__name__} {' '.join(getattr(arg, 'name', str(arg)) for arg in args)}", flush=True)
        fault(*args)
        self.whole()
        self.moves()
        self.done.append((fault.__name__, time.monotonic() - start))
        print(f"    {self.done[-1][1]:.1f} s", flush=True)

    def end(self):
        """The guest sweeps through all it has and ends: every page right, no error said. Gives its result."""
        self.guest.press_power_button()
        self.guest.ended()
        result = self.guest.result()
        with open(machine.path("build/log", self.name, "console.log"), encoding="utf-8", errors="replace") as file:
            console = file.read()
        for complaint in COMPLAINTS:
            assert complaint not in console, f"the guest's kernel said '{complaint}'"
        stats = self.guest.data("device-stats")["return"]
        for counter in ("status-data", "aborted", "fatal-errors"):
            assert stats[counter] == 0, f"the device counted {stats[counter]} of {counter}"
        return result

    def slowest(self):
        """In ms, since the first fault, as the guest's driver saw it."""
        return stall.compare(self.guest.text("latency-before"), self.guest.text("latency-after"))

    def counted(self):
        """What the backends did about it, in all."""
        now = self.fleet.ask("stats")
        return {key: self.before.get(key, 0) + now[key] for key in COUNTED}

    # --- Servers ---

    def _views(self, server):
        return faults.slabs_on(self.fleet, server)

    def _dropped(self, server):
        faults.eventually(f"{server.name} is not waited for", lambda: not self._views(server))

    def holders(self):
        """The servers that have most of the guest's pages, first."""
        return sorted((server for server in self.fleet.servers if server.named), key=lambda server: -len(self._views(server)))

    def _kill(self, server):
        """It is not the last one that has some page."""
        self.whole()
        faults.kill_server(server)

    def server_dies(self, server):
        """Its pages are copied to the others while it is gone; then it comes back, empty, and may be used again."""
        assert self._views(server), f"{server.name} holds nothing: its death would show nothing"
        self._kill(server)
        self._dropped(server)
        self.moves()
        self.whole()
        faults.start_server(server)

    def server_restarts(self, server):
        """Back before anybody else has taken its place, but empty."""
        self._kill(server)
        faults.start_server(server)

    def server_stands_still(self, server, seconds=5):
        server.child.freeze()
        try:
            self.moves()
            time.sleep(seconds)
        finally:
            server.child.thaw()

    def server_leaves(self, server):
        """Drained, removed, ended: nothing of the guest's is on it when it goes."""
        faults.drain(self.fleet, server)
        faults.eventually(f"{server.name} is empty", lambda: not server.ask("slabs"))
        assert not self._views(server)
        faults.remove(self.fleet, server)
        faults.kill_server(server)

    def server_joins(self, server):
        faults.start_server(server)
        faults.add(self.fleet, server)

    # --- The backend ---

    def backend_dies(self):
        self.before = self.counted()
        faults.kill_backend(self.fleet)
        self.fleet.start_backend()

    def both_die(self, server):
        """In turn: the successor finds a server missing that was there a moment before."""
        self._kill(server)
        self.backend_dies()
        self.moves()
        faults.start_server(server)

    # --- The network ---

    def cable_is_cut(self, server, seconds=3):
        """RULES F5: what waited in the transmit ring goes out when the link is back."""
        faults.cut(server)
        try:
            self.moves()
            time.sleep(seconds)
        finally:
            faults.mend(server)

    def all_cables_are_cut(self, seconds=2):
        """Not at one moment, so that some members are dropped and a last one never is (STATE-22). The guest waits."""
        servers = [server for server in self.fleet.servers if server.named]
        for server in servers:
            faults.cut(server)
        try:
            time.sleep(seconds)
        finally:
            for server in servers:
                faults.mend(server)

    def deaf(self, server, to_server, seconds=3):
        faults.deafen(server, to_server)
        try:
            self.moves()
            faults.eventually("a datagram is held up", lambda: sum(faults.disturbed(server)))
            time.sleep(seconds)
        finally:
            faults.quiet(server)

    def noise(self, seconds=4):
        """Loss, doubles and damage on every link, both ways."""
        servers = [server for server in self.fleet.servers if server.named]
        before = self.fleet.ask("stats")
        for server in servers:
            faults.make_noise(server)
        try:
            time.sleep(seconds)
            self.moves(5000)
            after = self.fleet.ask("stats")
            counts = [faults.disturbed(server) for server in servers]
        finally:
            for server in servers:
                faults.quiet(server)
        print("lost, doubled, damaged in three places, there and back:", counts, flush=True)
        # Which link a slab is behind is chance; all of them together have met each kind.
        assert all(sum(kind) for kind in zip(*counts)), counts
        for counter in ("crc_errors", "retransmits"):
            assert after[counter] > before[counter], f"{counter} did not grow: nothing was disturbed"
