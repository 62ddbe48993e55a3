# SPDX-License-Identifier: BSD-3-Clause
"""Peers of another version on each wire: refused, and the message says which versions there are."""
import os
import socket
import threading

from fleetlib.fleet import PORT, Fleet

from remotelib import wire
from remotelib.death import eventually
from remotelib.guestrun import GuestRun


def front_end_of_another_version(_scratch):
    """USER-4: the text names both ranges."""
    with Fleet(1, "e2e-front-fleet") as fleet:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(30)
            sock.connect(fleet.socket)
            sock.sendall(wire.user_hello(41, 43))
            status, text = wire.user_reply(sock.makefile("rb"))
        print(status, text)
        assert status == wire.USER_S_VERSION, status
        assert "41" in text and "43" in text and "1" in text.replace("41", ""), text


def backend_of_another_version(scratch):
    """USER-4: QEMU does not start, and repeats what the backend says."""
    path, text = os.path.join(scratch, "old.sock"), "this backend speaks versions 41 to 43, the front end 1 to 1"

    def serve(listener):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(wire.user_refusal(connection.recv(4096), text))
            connection.recv(1)

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        with GuestRun("e2e-old-backend", path, timeout=60) as guest:
            said = "".join(guest.ended(125))
    assert "41 to 43" in said, "QEMU's message does not name the versions"


def client_of_another_version(_scratch):
    """RMP-7: a server says which versions it speaks."""
    fleet = Fleet(1, "e2e-client-fleet")
    try:
        fleet.lay_out()
        fleet.start_servers()
        server = fleet.servers[0]
        fleet.space.ip("addr", "add", f"{server.gateway}/30", "dev", server.link)
        with fleet.space.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(1)
            status, low, high = ask(sock, (server.address, PORT + 1))
        print("status", status, "versions", low, "to", high)
        assert status == wire.RMP_S_VERSION and (low, high) == (1, 1)
    finally:
        fleet.close()


def ask(sock, address):
    """HELLO of version 9 until it is answered; a cookie is returned as often as it is asked for."""
    cookie = bytes(16)
    for request in range(1, 30):
        sock.sendto(wire.rmp_hello(request, 9, cookie), address)
        try:
            status, low, high, cookie = wire.rmp_answer(sock.recv(2048))
        except socket.timeout:
            continue
        if status != wire.RMP_S_COOKIE:
            return status, low, high
    raise AssertionError("no answer but cookies")


def server_of_another_version(_scratch):
    """RMP-7: the backend's log and its list of servers say why it cannot be used."""
    fleet = Fleet(1, "e2e-server-fleet")
    fleet.rmnicd_args = ["--log-level", "info"]
    try:
        fleet.lay_out()
        server = fleet.servers[0]
        server.space.ip("addr", "add", f"{server.address}/30", "dev", "up0")
        sock = server.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((server.address, PORT + 1))

        def serve():
            while True:
                data, client = sock.recvfrom(4096)
                if data[1] == wire.RMP_HELLO:
                    sock.sendto(wire.rmp_welcome(data, 9), client)

        threading.Thread(target=serve, daemon=True).start()
        fleet.start_backend()
        with GuestRun("e2e-old-server", fleet.socket, timeout=120) as guest:
            eventually("rmnicd's log names the version", lambda: "version" in open(fleet.backend.log, encoding="utf-8").read())
            print(open(fleet.backend.log, encoding="utf-8").read())
            guest.process.terminate()
    finally:
        fleet.close()
