# SPDX-License-Identifier: BSD-3-Clause
"""One program of the fleet: started in its namespace, waited for by events, ended by its process id."""
import os
import selectors
import signal
import socket
import subprocess
import time

from fleetlib.netns import Problem


ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Child:
    """It says READY=1 on the socket systemd's protocol names, as it does under systemd."""

    def __init__(self, name, argv, space, scratch, log_dir, cpus=None):
        """cpus: that it may run on; None: all."""
        self.name, self.argv, self.space = name, argv, space
        self.cpus = cpus
        self.log = os.path.join(log_dir, name + ".log")
        self.notify_path = os.path.join(scratch, name + ".notify")
        self.process = None
        self.pidfd = None

    @property
    def pid(self):
        return self.process.pid

    def _enter(self, blocked):
        """In the child, before the program."""
        self.space.enter()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if self.cpus:
            os.sched_setaffinity(0, self.cpus)

    def start(self):
        """Starts it without waiting: see ready()."""
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.notify_path)
        # A signal that ends us comes before there is a process, or when it is known and can be stopped.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        try:
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                preexec_fn=lambda: self._enter(blocked), start_new_session=True,
                                                env=dict(os.environ, NOTIFY_SOCKET=self.notify_path))
            self.pidfd = os.pidfd_open(self.pid)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return self

    def ready(self, timeout):
        """Waits until it says that it serves; a program that ends before is a problem with its last words."""
        limit = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self.notify, selectors.EVENT_READ)
            selector.register(self.pidfd, selectors.EVENT_READ)
            while True:
                left = limit - time.monotonic()
                files = [key.fileobj for key, _ in selector.select(max(left, 0))]
                if self.notify in files and b"READY=1" in self.notify.recv(4096).split(b"\n"):
                    return self
                if self.pidfd in files:
                    status = self.process.wait()
                    raise Problem(f"{self.name} ended with status {status} before it served: {self.last_words()}")
                if left <= 0:
                    raise Problem(f"{self.name} was not ready within {timeout:.0f} s: {self.last_words()}")

    def last_words(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                lines = [line.strip() for line in log if line.strip()]
        except OSError:
            lines = []
        return " | ".join(lines[-4:]) or f"it said nothing ({self.log})"

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self, number=signal.SIGKILL):
        if self.alive():
            self.process.send_signal(number)

    def wait(self, timeout):
        """Its status, or None when it is still there after so many seconds."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.pidfd, selectors.EVENT_READ)
            if not selector.select(timeout):
                return None
        return self.process.wait()

    def freeze(self):
        """SIGSTOP, until all its threads stand: the signal stops one of them, and that one the others, when it runs."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self):
        os.kill(self.pid, signal.SIGCONT)

    def stop(self, timeout=10):
        """Ends it kindly, then not. True: it went by itself."""
        if self.process is None:
            return True
        self.kill(signal.SIGCONT)
        self.kill(signal.SIGTERM)
        kindly = self.wait(timeout) is not None
        self.kill()
        self.process.wait()
        self.process = None  # first: who is interrupted from here on does not stop it again
        os.close(self.pidfd)
        self.notify.close()
        if os.path.exists(self.notify_path):
            os.unlink(self.notify_path)
        return kindly
