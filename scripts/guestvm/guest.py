# SPDX-License-Identifier: BSD-3-Clause
"""One guest: starts QEMU, follows console and reports, answers requests, judges the end."""
import json
import os
import selectors
import subprocess
import sys
import time

from guestvm.migration import Migration
from guestvm.process import Process

HEARTBEAT_S = 20
# A first ring that finds the guest still falling asleep would only keep it awake.
RING_FIRST_S = 4
RING_EVERY_S = 3
# A round of the event loop takes a second; what it takes beyond this, the whole machine stood still.
STANDSTILL_S = 5


class Guest:
    """run() gives the job's exit status, or a text that says why there is none."""

    def __init__(self, log_dir, nonce, timeout, say, interactive=False, zeroing_needed=False, look=None, pinned=None):
        self.log_dir = log_dir
        self.nonce = nonce
        self.interactive = interactive   # the console is this terminal, QEMU's from start to end
        self.deadline = time.monotonic() + timeout
        self.timeout = timeout
        self.say = say
        self.zeroing_needed = zeroing_needed
        self.pinned = pinned             # placement.split()'s
        self.look = look                 # command whose output answers 'host look'
        self.refused = None              # why the guest was ended by us
        self.status = None               # of the job, once PID 1 has reported it
        self.booted = None
        self.event_deadline = None
        self.next_ring = None            # when the guest's serial port is rung again
        self.rings = 0
        self.last_line = ""
        self.last_sign = time.monotonic()
        self.partial = {"console": b"", "report": b""}
        self.selector = selectors.DefaultSelector()
        self.vms = []                    # more than one during a migration only
        self.vm = None                   # the one that runs the guest

    def run(self, command):
        self.command = command
        with open(os.path.join(self.log_dir, "console.log"), "wb", buffering=0) as self.console_log:
            try:
                self.vm = self._start([])
                return self._follow()
            finally:
                for vm in self.vms:
                    vm.stop()
                self.selector.close()

    def _start(self, more):
        vm = Process(self.command + more, self.log_dir, self.selector, self.interactive, self.pinned)
        self.vms.append(vm)
        return vm

    def _follow(self):
        """Until QEMU closes its end of everything, or the time is up."""
        before = time.monotonic()
        while self.selector.get_map() and not self.refused:
            now = time.monotonic()
            if now - before > STANDSTILL_S:
                self.deadline += now - before
            before = now
            if now >= self.deadline:
                return f"no end within {self.timeout} s; the last line on its console: {self.last_line!r}"
            if self.event_deadline and now >= self.event_deadline:
                self.event_deadline = None
                self.vm.monitor.give_up_event()
            if self.next_ring and now >= self.next_ring:
                self._ring(now)
            if now - self.last_sign > HEARTBEAT_S and not self.interactive:
                self.last_sign = now
                self.say(f"... {int(self.deadline - now)} s left, console: {self.last_line[-90:]}")
            wait = min(self.event_deadline or self.deadline, self.next_ring or self.deadline, self.deadline, now + 1) - now
            for key, _ in self.selector.select(max(wait, 0)):
                self._readable(key)
        if self.refused:
            return self.refused
        code = self.vm.process.wait()
        if self.status is not None:
            return self.status
        if not self.booted:
            return f"QEMU ended (status {code}) before the guest was up: see qemu.log and console.log"
        return f"the guest ended without a report (panic or early exit); its console's last line: {self.last_line!r}"

    def _readable(self, key):
        name, vm = key.data
        if key.fileobj.fileno() < 0:
            return                       # closed by what was handled before it in this round
        if name == "monitor":
            alive = vm.monitor.feed()
        else:
            try:
                data = key.fileobj.recv(65536)
            except OSError:
                data = b""
            alive = bool(data)
            self._bytes(name, data)
        if not alive and key.fileobj.fileno() >= 0:
            vm.drop(key.fileobj)

    def _bytes(self, name, data):
        if name == "console":
            self.console_log.write(data)
        *lines, self.partial[name] = (self.partial[name] + data).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip("\r")
            if name == "report":
                self._reported(text)
            elif text.strip():
                self.last_line = text

    def _reported(self, line):
        self.last_sign = time.monotonic()
        verb, _, rest = line.partition(" ")
        if verb == "say":
            self.say(rest)
        elif verb == "data":
            name, _, text = rest.partition(" ")
            self._log(os.path.basename(name), text)
        elif verb == "boot":
            self.booted = rest
            self._log("boot", rest)
            if self.zeroing_needed and not rest.endswith("init_on_alloc=on"):
                self.refused = ("the guest's kernel runs without init_on_alloc=1: TCG would execute stale code from "
                                "pages that a backend process has written; take init_on_alloc=0 away, or use KVM")
        elif verb == "exit":
            status, _, nonce = rest.partition(" ")
            if nonce == self.nonce and status.isdigit():
                self.status = int(status)
        elif verb == "qmp":
            self._qmp(rest)
        elif verb == "event":
            name, _, seconds = rest.partition(" ")
            self.event_deadline = time.monotonic() + float(seconds)
            self.vm.monitor.await_event(name, self._answer)
        elif verb == "look":
            self._look()
        elif verb == "bell":
            self._bell(rest == "on")
        elif verb == "migrate":
            Migration(self.vm, self._start, self._migrated)

    def _log(self, name, text):
        with open(os.path.join(self.log_dir, name), "a", encoding="utf-8") as out:
            out.write(text + "\n")

    def _qmp(self, text):
        try:
            request = json.loads(text)
        except ValueError as error:
            self._answer({"error": {"class": "HostError", "desc": f"not JSON: {error}"}})
            return
        self.vm.monitor.execute(request, self._answer)

    def _look(self):
        """The guest waits for it, so what is seen is seen at this moment of the job."""
        if not self.look:
            self._answer({"error": {"class": "HostError", "desc": "guest-run was given no --look"}})
            return
        done = subprocess.run(self.look, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
        try:
            self._answer({"return": json.loads(done.stdout)})
        except ValueError:
            self._answer({"error": {"class": "HostError", "desc": f"{self.look[0]}: status {done.returncode}, no JSON"}})

    def _bell(self, ringing):
        """For a guest that goes to sleep: a ring that comes too early is lost, so it is repeated."""
        if ringing:
            self.rings = 0
        self.next_ring = time.monotonic() + RING_FIRST_S if ringing else None
        self._answer({"return": {"rings": self.rings}})

    def _ring(self, now):
        """An empty line, which 'host' skips when it looks for an answer; and what wakes it from S3 (else refused)."""
        self.next_ring = now + RING_EVERY_S
        self.rings += 1
        try:
            self.vm.report.sendall(b"\n")
        except OSError as error:
            print(f"guest-run: the guest cannot be rung: {error}", file=sys.stderr)
        self.vm.monitor.execute({"execute": "system_wakeup"}, lambda answer: None)

    def _migrated(self, answer, destination):
        if destination:
            self.vms.remove(self.vm)
            self.vm = destination
        self._answer(answer)

    def _answer(self, answer):
        """An error comes first in its line, so that the guest can tell without a JSON parser."""
        self.event_deadline = None
        try:
            self.vm.report.sendall(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
        except OSError as error:
            print(f"guest-run: the guest did not take an answer: {error}", file=sys.stderr)
