# SPDX-License-Identifier: BSD-3-Clause
"""Live migration of the guest to a second QEMU on this host, as a chain of continuations."""
import os
import shutil
import tempfile

# The guest goes on paging meanwhile, so it must be allowed to pause for what it dirties.
PARAMETERS = {"max-bandwidth": 10 << 30, "downtime-limit": 2000}
CAPABILITIES = [{"capability": name, "state": True} for name in ("events", "auto-converge")]


class Migration:
    """then(answer, destination or None) is called once, at the end."""

    def __init__(self, source, start_destination, then):
        self.source = source
        self.then = then
        # Not in the log directory: the path of a socket has to be short.
        self.directory = tempfile.mkdtemp(prefix="rmnic-migrate-")
        self.uri = "unix:" + os.path.join(self.directory, "socket")
        self.destination = start_destination(["-incoming", self.uri])
        self.destination.monitor.on_event["MIGRATION"] = lambda event: None
        source.monitor.on_event["MIGRATION"] = self._event
        # It answers once it listens.
        self._step(self.destination, "migrate-set-capabilities", {"capabilities": CAPABILITIES}, self._prepare)

    def _step(self, vm, command, arguments, then):
        def check(answer):
            if "error" in answer:
                self._end(answer)
            else:
                then()
        vm.monitor.execute({"execute": command, "arguments": arguments}, check)

    def _prepare(self):
        self._step(self.source, "migrate-set-capabilities", {"capabilities": CAPABILITIES}, self._tune)

    def _tune(self):
        self._step(self.source, "migrate-set-parameters", PARAMETERS, self._go)

    def _go(self):
        self._step(self.source, "migrate", {"uri": self.uri}, lambda: None)

    def _event(self, event):
        status = event["data"]["status"]
        if status == "completed":
            self.source.monitor.execute({"execute": "query-migrate"}, self._completed)
        elif status in ("failed", "cancelled"):
            self.source.monitor.execute({"execute": "query-migrate"}, lambda answer: self._end(
                {"error": {"class": "Migration", "desc": answer.get("return", {}).get("error-desc", status)}}))

    def _completed(self, answer):
        info = answer.get("return", {})
        self._end({"return": {"total-ms": info.get("total-time"), "downtime-ms": info.get("downtime")}})

    def _end(self, answer):
        then, self.then = self.then, lambda *_: None
        shutil.rmtree(self.directory, ignore_errors=True)
        if "return" in answer:
            self.source.stop()
            then(answer, self.destination)
        else:
            self.destination.stop()
            then(answer, None)
