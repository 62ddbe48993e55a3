# SPDX-License-Identifier: BSD-3-Clause
"""One guest: starts QEMU, follows console and reports, answers requests, judges the end."""
import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time

from guestvm.monitor import Monitor

HEARTBEAT_S = 20


def die_with_parent():
    """A QEMU whose runner was killed must not go on using the machine."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Guest:
    """run() gives the job's exit status, or a text that says why there is none."""

    def __init__(self, log_dir, nonce, timeout, say, interactive=False):
        self.log_dir = log_dir
        self.nonce = nonce
        self.interactive = interactive   # the console is this terminal, QEMU's from start to end
        self.deadline = time.monotonic() + timeout
        self.timeout = timeout
        self.say = say
        self.status = None          # of the job, once PID 1 has reported it
        self.booted = None
        self.event_deadline = None
        self.last_line = ""
        self.last_sign = time.monotonic()
        self.partial = {"console": b"", "report": b""}
        self.selector = selectors.DefaultSelector()

    def run(self, command):
        self._start(command)
        try:
            return self._follow()
        finally:
            self._stop()

    def _start(self, command):
        pairs = {name: socket.socketpair() for name in ("console", "report", "monitor")}
        args = list(command)
        if self.interactive:
            del pairs["console"]
            args += ["-chardev", "stdio,id=console,mux=on,signal=off", "-mon", "chardev=console"]
        for name, (_, theirs) in pairs.items():
            args += ["-chardev", f"socket,id={name},fd={theirs.fileno()}"]
        args += ["-serial", "chardev:console", "-serial", "chardev:report",
                 "-mon", "chardev=monitor,mode=control"]
        with open(os.path.join(self.log_dir, "qemu.log"), "wb") as log:
            self.process = subprocess.Popen(
                args, stdin=None if self.interactive else subprocess.DEVNULL,
                stdout=None if self.interactive else log, stderr=log,
                pass_fds=[theirs.fileno() for _, theirs in pairs.values()],
                preexec_fn=die_with_parent, start_new_session=not self.interactive)
        for _, theirs in pairs.values():
            theirs.close()
        self.console_log = open(os.path.join(self.log_dir, "console.log"), "wb", buffering=0)
        self.report = pairs["report"][0]
        self.monitor = Monitor(pairs["monitor"][0])
        for name, (ours, _) in pairs.items():
            self.selector.register(ours, selectors.EVENT_READ, name)

    def _stop(self):
        """The end of the sockets comes with QEMU's end, so nothing of the console is lost."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.console_log.close()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    def _follow(self):
        """Until QEMU closes its end of everything, or the time is up."""
        while self.selector.get_map():
            now = time.monotonic()
            if now >= self.deadline:
                return f"no end within {self.timeout} s; the last line on its console: {self.last_line!r}"
            if self.event_deadline and now >= self.event_deadline:
                self.event_deadline = None
                self.monitor.give_up_event()
            if now - self.last_sign > HEARTBEAT_S and not self.interactive:
                self.last_sign = now
                self.say(f"... {int(self.deadline - now)} s left, console: {self.last_line[-90:]}")
            wait = min(self.event_deadline or self.deadline, self.deadline, now + 1) - now
            for key, _ in self.selector.select(max(wait, 0)):
                self._readable(key)
        code = self.process.wait()
        if self.status is not None:
            return self.status
        if not self.booted:
            return f"QEMU ended (status {code}) before the guest was up: see qemu.log and console.log"
        return f"the guest ended without a report (panic or early exit); its console's last line: {self.last_line!r}"

    def _readable(self, key):
        if key.data == "monitor":
            alive = self.monitor.feed()
        else:
            try:
                data = key.fileobj.recv(65536)
            except OSError:
                data = b""
            alive = bool(data)
            self._bytes(key.data, data)
        if not alive:
            self.selector.unregister(key.fileobj)
            key.fileobj.close()

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
            with open(os.path.join(self.log_dir, os.path.basename(name)), "a", encoding="utf-8") as out:
                out.write(text + "\n")
        elif verb == "boot":
            self.booted = rest
            with open(os.path.join(self.log_dir, "boot"), "w", encoding="utf-8") as out:
                out.write(rest + "\n")
        elif verb == "exit":
            status, _, nonce = rest.partition(" ")
            if nonce == self.nonce and status.isdigit():
                self.status = int(status)
        elif verb == "qmp":
            self._qmp(rest)
        elif verb == "event":
            name, _, seconds = rest.partition(" ")
            self.event_deadline = time.monotonic() + float(seconds)
            self.monitor.await_event(name, self._answer)

    def _qmp(self, text):
        try:
            request = json.loads(text)
        except ValueError as error:
            self._answer({"error": {"class": "HostError", "desc": f"not JSON: {error}"}})
            return
        self.monitor.execute(request, self._answer)

    def _answer(self, answer):
        """An error comes first in its line, so that the guest can tell without a JSON parser."""
        self.event_deadline = None
        try:
            self.report.sendall(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
        except OSError as error:
            print(f"guest-run: the guest did not take an answer: {error}", file=sys.stderr)
