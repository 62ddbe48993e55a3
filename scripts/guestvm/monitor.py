# SPDX-License-Identifier: BSD-3-Clause
"""QMP over a socket, without threads: the event loop feeds it, callers leave a continuation."""
import json
import socket


def tell(path, command):
    """One command to a monitor of its own (guest-run --qmp), without arguments; waits for its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(60)
        sock.connect(path)
        with sock.makefile("rw", encoding="utf-8") as stream:
            for request in ("qmp_capabilities", command):
                stream.write(json.dumps({"execute": request, "id": request}) + "\n")
                stream.flush()
            for line in stream:
                if json.loads(line).get("id") == command:
                    return json.loads(line)
    return {"error": {"class": "HostError", "desc": f"{path}: closed before it answered '{command}'"}}


class Monitor:
    """Sends one command at a time; answers and events come in through feed()."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        self.waiting = []          # continuations of commands sent, in order
        self.events = []           # events nobody has asked for yet
        self.event_waiter = None   # (name, continuation)
        self.on_event = {}         # name to a function that takes all events of that name
        self.execute({"execute": "qmp_capabilities"}, lambda answer: None)

    def fileno(self):
        return self.sock.fileno()

    def execute(self, request, then):
        self.waiting.append(then)
        try:
            self.sock.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            self.waiting.pop()
            then({"error": {"class": "HostError", "desc": str(error)}})

    def await_event(self, name, then):
        """Gives the oldest event of that name not asked for before, now or when it comes."""
        for event in self.events:
            if event["event"] == name:
                self.events.remove(event)
                then(event)
                return
        self.event_waiter = (name, then)

    def give_up_event(self):
        if self.event_waiter:
            name, then = self.event_waiter
            self.event_waiter = None
            then({"error": {"class": "Timeout", "desc": f"no event {name} within the time"}})

    def feed(self):
        """Reads what there is; False at the end of the connection."""
        try:
            data = self.sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            return False
        self.buffer += data
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            self._message(json.loads(line))
        return True

    def _message(self, message):
        if "QMP" in message:
            return
        if "event" not in message:
            self.waiting.pop(0)(message)
        elif message["event"] in self.on_event:
            self.on_event[message["event"]](message)
        elif self.event_waiter and self.event_waiter[0] == message["event"]:
            _, then = self.event_waiter
            self.event_waiter = None
            then(message)
        else:
            self.events = self.events[-99:] + [message]
