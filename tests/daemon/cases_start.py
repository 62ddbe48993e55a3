# SPDX-License-Identifier: BSD-3-Clause
"""What is wrong at the start is said with file, line, value and range, and nothing is served."""
import os
import socket
import subprocess
import tempfile

from rig import program

PORT = "ports = ( \"lo-is-none\" );\n"


def _start(words, space=None):
    """rmnicd's status and words."""
    done = subprocess.run([program("rmnicd"), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60, preexec_fn=space.enter if space else None, check=False)
    return done.returncode, done.stdout


def _refused(text, *expected, status=2):
    """A configuration file with this text is refused in these words."""
    with tempfile.TemporaryDirectory(prefix="rmnic-daemon-") as scratch:
        path = os.path.join(scratch, "rmnicd.conf")
        with open(path, "w", encoding="ascii") as conf:
            conf.write(text)
        got, said = _start(["--config", path, "--no-huge", "--socket", scratch + "/s", "--control", scratch + "/c"])
        assert got == status, f"status {got}: {said}"
        for word in expected:
            assert word.replace("FILE", path) in said, f"'{word}' is not in: {said}"
        assert not os.path.exists(scratch + "/s"), "it listened"


def start__port_out_of_range(_):
    _refused(PORT + "servers = (\n  \"10.0.0.1:70000\" );\n", "rmnicd.conf:3:", "70000", "65534")


def start__number_out_of_range(_):
    _refused(PORT + "\nreplicas = 9;\n", "FILE:3:", "replicas", "9", "0", "4")
    _refused(PORT + "drop_ms = 0;\n", "FILE:2:", "drop_ms", "1", "10000")
    _refused(PORT + "hedge_permille = 1001;\n", "FILE:2:", "hedge_permille", "1", "1000")
    _refused("lcores = 0;\n", "FILE:1:", "lcores", "0", "1", "32")


def start__number_of_more_than_32_bits(_):
    """libconfig itself takes it for a 5."""
    _refused(PORT + "udp_port = 4294967301;\n", "FILE:2:", "udp_port", "4294967301", "out of range")


def start__unknown_key(_):
    _refused("\n\nserver_list = ();\n", "FILE:3:", "server_list", "servers")


def start__wrong_type(_):
    _refused("udp_port = \"many\";\n", "FILE:1:", "udp_port", "whole number")


def start__unknown_poll_mode(_):
    _refused("poll = \"lazy\";\n", "FILE:1:", "lazy", "adaptive", "busy", "block")


def start__no_such_file(_):
    got, said = _start(["--config", "/nonexistent/rmnicd.conf"])
    assert got == 2 and "/nonexistent/rmnicd.conf" in said and "No such file" in said, said


def start__unknown_argument(_):
    got, said = _start(["--prot", "eth0"])
    assert got == 2 and "--prot" in said, said


def start__no_port(_):
    _refused("replicas = 1;\n", "no port is given", "--port", status=1)


def start__udp_ports_that_do_not_fit(_):
    _refused(PORT + "udp_port = 65500;\nmax_devices = 64;\n", "65500", "64", status=1)


def start__token_that_is_none(_):
    with tempfile.NamedTemporaryFile("w", suffix=".token") as token:
        token.write("secret\n")
        token.flush()
        _refused(PORT + f"token_file = \"{token.name}\";\n", token.name, "64 hexadecimal digits", status=1)
    _refused(PORT + "token_file = \"/nonexistent/token\";\n", "/nonexistent/token", "No such file", status=1)


def start__server_twice(_):
    _refused(PORT + "servers = ( \"10.0.0.1\", \"10.0.0.1:7611\" );\n", "10.0.0.1:7611", "twice", status=1)


def start__interface_that_is_not_there(rig):
    scratch = rig.fleet.scratch
    got, said = _start(["--no-huge", "--port", "nowhere0", "--socket", scratch + "/x", "--control", scratch + "/y"],
                       rig.fleet.space)
    assert got == 1 and "nowhere0" in said, said


def start__socket_that_somebody_serves(rig):
    """A second rmnicd does not take the first one's socket away."""
    words = rig.fleet.backend_argv()[1:] + ["--control", rig.fleet.scratch + "/other.ctl", "--udp-port", "9000"]
    got, said = _start(words, rig.fleet.space)
    assert got == 1 and rig.fleet.socket in said and "another daemon" in said, said
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(rig.fleet.socket)


def start__help_and_version(_):
    got, said = _start(["--help"])
    assert got == 0 and "--reserve-timeout-ms" in said, said
    got, said = _start(["--version"])
    assert got == 0 and "rmnicd" in said, said
