# SPDX-License-Identifier: BSD-3-Clause
"""A guest in the hands of a case: started, its lines read as they come, ended in any case."""
import json
import os
import subprocess
import threading

from guestvm import devices, machine, monitor


class GuestRun:
    """scripts/guest-run with a remote device; with ... as guest: for line in guest.lines(): ..."""

    def __init__(self, name, socket, job="run", size=384, ram=128, smp=1, kernel="6.1", env=(), extra=(), shared=True,
                 timeout=240, append=(), qmp=None):
        self.name, self.qmp = name, qmp
        self.drained = None
        args = (devices.shared_ram(ram) if shared else []) + devices.rmnic(0, size, "rmnic", socket) + list(extra)
        self.command = [machine.path("scripts/guest-run"), "--kernel", kernel, "--job", job, "--name", name,
                        "--ram", str(ram), "--smp", str(smp), "--timeout", str(timeout),
                        "--overlay", machine.path("tests/e2e/root")]
        settings = {"DEVICES": "rmnic", "WORKING_SET": 2 * ram, "READS": 3000, "REWRITES": 2000, **dict(env)}
        for key, value in settings.items():
            self.command += ["--env", f"{key}={value}"]
        if qmp:
            self.command += ["--qmp", qmp]
        for word in append:
            self.command += ["--append", word]
        for arg in args:
            self.command += ["--qemu-arg", arg]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        if self.drained:
            self.drained.join()
        else:
            self.process.stdout.read()
        self.process.wait()

    def lines(self):
        """What guest-run prints, as it comes; also printed, for the log."""
        for line in self.process.stdout:
            print(f"{self.name}: {line}", end="", flush=True)
            yield line

    def until(self, text):
        """Reads on until a line holds text."""
        for line in self.lines():
            if text in line:
                return line
        raise AssertionError(f"{self.name} ended with status {self.process.wait()} and never said '{text}'")

    def press_power_button(self):
        """Ends the rounds of a guest that was told to expect faults (tests/guest/jobs/run)."""
        monitor.tell(self.qmp, "system_powerdown")

    def drain(self):
        """Reads in the background from now on, so that a guest that says much does not wait for us."""
        self.rest = []
        self.drained = threading.Thread(target=lambda: self.rest.extend(self.lines()), daemon=True)
        self.drained.start()

    def running(self):
        return self.process.poll() is None

    def ended(self, status=0):
        """Reads to the end and checks how it ended. Gives all lines read here."""
        if self.drained:
            self.drained.join()
        rest = self.rest if self.drained else list(self.lines())
        got = self.process.wait()
        assert got == status, f"{self.name}: status {got}, expected {status}"
        return rest

    def result(self, label="rmnic"):
        """What pagerload found, checked."""
        result = self.data("result-" + label)
        assert result["ok"] is True and result["mismatches"] == 0, result
        return result

    def text(self, name):
        """What the guest has reported under that name."""
        with open(machine.path("build/log", self.name, name), encoding="utf-8") as file:
            return file.read()

    def data(self, name):
        return json.loads(self.text(name).splitlines()[-1])

    def mismatches(self):
        """As many as it has said so far, one a page; of many only the first ones are said."""
        return sum("MISMATCH" in line for line in self.rest)

    def qemu_pid(self):
        """QEMU is guest-run's only child that lasts."""
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                    comm, rest = stat.read().rsplit(")", 1)
            except OSError:
                continue
            if int(rest.split()[1]) == self.process.pid and "qemu" in comm:
                return int(entry)
        raise AssertionError("QEMU is not running")
