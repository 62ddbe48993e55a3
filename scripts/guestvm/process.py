# SPDX-License-Identifier: BSD-3-Clause
"""One QEMU process and the three sockets by which it is followed: console, report, monitor."""
import ctypes
import os
import selectors
import signal
import socket
import subprocess

from guestvm import placement
from guestvm.monitor import Monitor


def die_with_parent():
    """A QEMU whose runner was killed must not go on using the machine."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Process:
    """Started by its constructor; its sockets are registered under (name, self)."""

    def __init__(self, command, log_dir, selector, interactive, pinned=None):
        """pinned: placement.split()'s; None: the scheduler decides."""
        self.selector = selector
        pairs = {name: socket.socketpair() for name in ("console", "report", "monitor")}
        args = list(command)
        if interactive:
            del pairs["console"]
            args += ["-chardev", "stdio,id=console,mux=on,signal=off", "-mon", "chardev=console"]
        for name, (_, theirs) in pairs.items():
            args += ["-chardev", f"socket,id={name},fd={theirs.fileno()}"]
        args += ["-serial", "chardev:console", "-serial", "chardev:report",
                 "-mon", "chardev=monitor,mode=control"]
        def before_qemu():
            die_with_parent()
            if pinned:
                os.sched_setaffinity(0, pinned[1])

        with open(os.path.join(log_dir, "qemu.log"), "ab") as log:
            self.process = subprocess.Popen(
                args, stdin=None if interactive else subprocess.DEVNULL,
                stdout=None if interactive else log, stderr=log,
                pass_fds=[theirs.fileno() for _, theirs in pairs.values()],
                preexec_fn=before_qemu, start_new_session=not interactive)
        for _, theirs in pairs.values():
            theirs.close()
        self.report = pairs["report"][0]
        self.monitor = Monitor(pairs["monitor"][0])
        for name, (ours, _) in pairs.items():
            selector.register(ours, selectors.EVENT_READ, (name, self))
        if pinned:
            self.monitor.execute({"execute": "query-cpus-fast"}, lambda answer: placement.move(answer, pinned[0]))

    def drop(self, sock):
        self.selector.unregister(sock)
        sock.close()

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for key in list(self.selector.get_map().values()):
            if key.data[1] is self:
                self.drop(key.fileobj)
