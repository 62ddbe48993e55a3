# SPDX-License-Identifier: BSD-3-Clause
"""The control socket of rmnicd and rmnic-memd: one JSON object a line, each way."""
import json
import socket

from fleetlib.netns import Problem


def ask(path, command, timeout=10, **arguments):
    """What the program answers to a command."""
    request = json.dumps({"command": command, **arguments}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            sock.connect(path)
            sock.sendall(request)
            with sock.makefile("rb") as stream:
                line = stream.readline()
    except OSError as error:
        raise Problem(f"{path}: '{command}' could not be asked: {error}") from error
    if not line:
        raise Problem(f"{path}: '{command}' was not answered: the connection was closed")
    answer = json.loads(line)
    if not answer.get("ok"):
        raise Problem(f"{path}: '{command}' was refused: {answer.get('error', 'without a reason')}")
    return answer.get("result")
