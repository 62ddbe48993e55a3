# SPDX-License-Identifier: BSD-3-Clause
"""What is shown and what may be changed while it runs: rmnicctl, telemetry, figures, servers, idle cost."""
import json
import os
import select
import signal
import socket
import subprocess

from guest import SC_OK, content
from rig import TOP, Problem, Skip, bench_end, device_id, program, until


def _ctl(rig, *words):
    done = subprocess.run([program("rmnicctl"), "--control", rig.fleet.control, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def _work(rig):
    guest = rig.guest()
    for rpn in range(10):
        guest.fill(20, content(rpn))
        assert guest.page_out(rpn, 20) == SC_OK
        assert guest.page_in(rpn, 21) == SC_OK
    return guest


def control__devices_servers_slabs(rig):
    guest = _work(rig)
    name = device_id(guest)
    device = rig.devices()[name]
    assert device["state"] == "running" and device["vm"] == "vm" and device["epoch"] == 1
    assert device["pages_out"] == device["pages_in"] == device["stored_pages"] == 10, device
    assert device["pid"] == os.getpid() and device["capacity_pages"] == 16384
    assert 0 < device["page_in_us"]["p50"] <= device["page_in_us"]["max"]
    slabs = rig.ask("slabs", device=name)
    assert [slab["slab"] for slab in slabs] == [0] and len(slabs[0]["members"]) == 1
    until("both servers are met", lambda: [server["state"] for server in rig.ask("servers")] == ["ready"] * 2)
    servers = rig.ask("servers")
    holder = [server for server in servers if server["uuid"] == slabs[0]["members"][0]["server"]]
    assert len(holder) == 1 and holder[0]["slabs"] >= 1 and holder[0]["pages"] >= 10, servers
    guest.close()


def control__stats_latency_status_config(rig):
    guest = _work(rig)
    stats = rig.ask("stats")
    assert stats["pages_out"] >= 10 and stats["net_tx"] > 20 and stats["crc_errors"] == 0
    stages = {entry["stage"]: entry for entry in rig.ask("latency") if entry["device"] == device_id(guest)}
    assert stages["page-in-total"]["count"] == 10 and stages["page-out-total"]["count"] == 10, stages
    status = rig.ask("status")
    assert status["pid"] == rig.pid and len(status["lcores"]) == 1 and len(status["ports"]) == 2
    assert "lock" in status["memory"] and all(port["link"] for port in status["ports"])
    assert rig.ask("config")["udp_port"] == 7700
    guest.close()


def control__tables_for_people(rig):
    guest = _work(rig)
    for words, expected in ((["devices"], device_id(guest)), (["servers"], "ready"), (["slabs"], "SLAB"),
                            (["latency"], "page-in"), (["stats"], "pages_out"), (["status"], "rmnicd"),
                            (["top", "--once"], device_id(guest)), (["config"], "7700")):
        status, said = _ctl(rig, *words)
        assert status == 0 and expected in said, (words, said)
    status, said = _ctl(rig, "slabs", "no-such-device")
    assert status != 0 and "no-such-device" in said, said
    status, said = _ctl(rig, "--json", "devices")
    assert device_id(guest) in [device["uuid"] for device in json.loads(said)]
    guest.close()


def control__log_level(rig):
    assert rig.ask("log-level", level="debug")["level"] == "debug"
    assert rig.ask("log-level", level="info")["level"] == "info"
    status, said = _ctl(rig, "log-level", "loud")
    assert status != 0 and "loud" in said


def control__server_added_and_removed(rig):
    """A server may go when no slab is on it, and is used as soon as it is there."""
    guest = _work(rig)
    used = rig.ask("slabs", device=device_id(guest))[0]["members"][0]["server"]
    by_uuid = {server["uuid"]: server["address"] for server in rig.ask("servers")}
    idle = next(address for who, address in by_uuid.items() if who != used)
    # Devices of earlier cases may still be giving their slabs back.
    until("only this device is on it",
          lambda: "holds 1 slab of 1 device" in _ctl(rig, "server", "remove", by_uuid[used])[1])
    status, said = _ctl(rig, "server", "remove", by_uuid[used])
    assert status != 0 and "drain " + by_uuid[used] in said, said
    until("nothing is on the idle server", lambda: _ctl(rig, "server", "remove", idle)[0] == 0)
    assert [server["address"] for server in rig.ask("servers")] == [by_uuid[used]]
    status, said = _ctl(rig, "server", "remove", idle)
    assert status != 0 and "no server" in said
    assert _ctl(rig, "server", "add", idle + ",label=again")[0] == 0
    status, said = _ctl(rig, "server", "add", idle)
    assert status != 0 and "already" in said

    def ready():
        return all(server["state"] == "ready" for server in rig.ask("servers"))
    until("the server is met again", ready)
    assert guest.page_in(3, 21) == SC_OK and guest.look(21) == content(3)
    guest.close()


def _reload(rig, path, text, expected):
    seen = len(rig.log())
    with open(path, "w", encoding="ascii") as conf:
        conf.write(text)
    os.kill(rig.pid, signal.SIGHUP)
    until(f"'{expected}' in the log", lambda: expected in rig.log()[seen:])


def control__reload(rig):
    """SIGHUP: the list of servers changes as a whole or not at all, with a line that says why."""
    fleet = rig.fleet
    path = os.path.join(fleet.scratch, "servers.conf")
    addresses = [f"{server.address}:7611" for server in fleet.servers]
    everything = "servers = ( " + ", ".join(f'"{a}"' for a in addresses) + " );\n"
    with open(path, "w", encoding="ascii") as conf:
        conf.write(everything)
    plain = fleet.backend_argv
    words = plain()
    for address in addresses:
        at = words.index(address)
        del words[at - 1:at + 1]
    fleet.backend_argv = lambda: words + ["--servers-file", path]
    try:
        fleet.start_backend()
        guest = _work(rig)
        used = rig.ask("slabs", device=device_id(guest))[0]["members"][0]["server"]
        by_uuid = {server["uuid"]: server["address"] for server in rig.ask("servers")}
        idle = next(address for who, address in by_uuid.items() if who != used)
        _reload(rig, path, f'servers = ( "{by_uuid[used]}" );\n', "reloaded")
        assert [server["address"] for server in rig.ask("servers")] == [by_uuid[used]]
        _reload(rig, path, everything, "reloaded")
        assert len(rig.ask("servers")) == 2
        _reload(rig, path, 'servers = (\n"10.0.0.1:99999" );\n', "servers.conf:2:")
        assert len(rig.ask("servers")) == 2
        # What is not listed any more is drained, and goes when it is empty.
        _reload(rig, path, f'servers = ( "{idle}" );\n', f"server {by_uuid[used]} removed")
        assert [server["address"] for server in rig.ask("servers")] == [idle]
        assert rig.ask("slabs", device=device_id(guest))[0]["members"][0]["address"] == idle
        assert guest.page_in(3, 21) == SC_OK and guest.look(21) == content(3)
        guest.close()
    finally:
        fleet.backend_argv = plain
        fleet.start_backend()


def control__settings_change(rig):
    """What may change while devices are served does so by rmnicctl set and by SIGHUP; the rest says that it may not."""
    fleet = rig.fleet
    path = os.path.join(fleet.scratch, "rmnicd.conf")

    def settings():
        config = rig.ask("config")
        return [config[name] for name in ("drop_ms", "away_ms", "hedge_permille", "repair_rate")]

    with open(path, "w", encoding="ascii") as conf:
        conf.write("drop_ms = 40;\n")
    plain = fleet.backend_argv
    fleet.backend_argv = lambda: plain() + ["--config", path]
    try:
        fleet.start_backend()
        guest = _work(rig)
        assert settings() == [40, 10000, 20, 20000], settings()
        assert _ctl(rig, "set", "drop-ms") == (0, "drop-ms  40\n"), _ctl(rig, "set", "drop-ms")
        for name, value in (("drop-ms", 77), ("away-ms", 2000), ("hedge-permille", 5), ("repair-rate", 300)):
            status, said = _ctl(rig, "set", name, str(value))
            assert status == 0 and str(value) in said, said
        assert settings() == [77, 2000, 5, 300], settings()
        status, said = _ctl(rig, "set", "drop-ms", "0")
        assert status == 1 and "1-10000" in said, said
        status, said = _ctl(rig, "set", "udp-port", "9")
        assert status == 1 and "udp-port" in said and "drop-ms" in said, said
        # The file has a new word to say of one of them; what a command has said of the others stays.
        _reload(rig, path, "drop_ms = 50; away_ms = 10000;\n", "reloaded")
        assert settings() == [50, 2000, 5, 300], settings()
        _reload(rig, path, "drop_ms = 0;\n", "rmnicd.conf:1:")
        _reload(rig, path, "drop_ms = 50; udp_port = 7900;\n", "udp-port cannot change")
        assert settings() == [50, 2000, 5, 300], settings()
        assert guest.page_in(3, 21) == SC_OK and guest.look(21) == content(3)
        guest.close()
    finally:
        fleet.backend_argv = plain
        fleet.start_backend()


def control__a_fleet_for_a_command(_):
    """As README.md says it: what a fleet is made for finds the fleet's sockets by itself."""
    for words, expected in ((["rmnicctl", "servers"], "192.0.2.6:7611"),
                            (["rmnic-bench", "--working-set", "1M", "--ops", "50"], "0 mismatches")):
        done = subprocess.run([os.path.join(TOP, "scripts/fleet"), "--name", "daemon-command", "--", *words],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
        assert done.returncode == 0 and expected in done.stdout, (words, done.stdout)


def control__figures_for_prometheus(rig):
    fleet = rig.fleet
    path = os.path.join(fleet.scratch, "rmnicd.prom")
    plain = fleet.rmnicd_args
    fleet.rmnicd_args = plain + ["--metrics-file", path, "--metrics-interval-ms", "200"]
    try:
        fleet.start_backend()
        guest = _work(rig)
        want = f'rmnicd_pages_out_total{{device="{device_id(guest)}",vm="vm"}} 10\n'

        def written():
            with open(path, encoding="ascii") as prom:
                return want in prom.read()
        until("the figures are written", written)
        with open(path, encoding="ascii") as prom:
            text = prom.read()
        assert "# TYPE rmnicd_page_in_seconds histogram" in text and "rmnicd_server_ready" in text
        guest.close()
    finally:
        fleet.rmnicd_args = plain
        fleet.start_backend()
    assert not os.path.exists(path), "figures of a program that is gone"


def _telemetry(path, command):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(20)
        sock.connect(path)
        sock.recv(16384)  # who it is
        sock.send(command.encode())
        return json.loads(sock.recv(65536))[command.partition(",")[0]]


def control__telemetry(rig):
    """What dpdk-telemetry.py asks for."""
    guest = _work(rig)
    # In the namespace of the backend there is no other program of DPDK's.
    with open(f"/proc/{rig.pid}/net/unix", encoding="ascii") as sockets:
        ours = [line.split()[-1] for line in sockets if "dpdk_telemetry" in line]
    if not ours:
        raise Skip("DPDK offers no telemetry socket to this user")
    name = device_id(guest)
    path = ours[0]
    devices = {device["uuid"]: device for device in _telemetry(path, "/rmnic/devices").values()}
    assert devices[name]["pages_out"] == 10, devices
    assert len(_telemetry(path, "/rmnic/servers")) == 2
    assert _telemetry(path, "/rmnic/stats")["pages_out"] >= 10
    guest.close()


def control__two_lcores(rig):
    """Devices are spread; what the network brings to the wrong lcore is handed over (RULES F4)."""
    fleet = rig.fleet
    plain = fleet.rmnicd_args
    fleet.rmnicd_args = plain + ["--lcores", "2"]
    try:
        fleet.start_backend()
        guests = [_work(rig) for _ in range(4)]
        assert sorted(device["lcore"] for device in rig.ask("devices")) == [1, 1, 2, 2]
        words = ["--working-set", "16M", "--workloads", "fill,mix,verify", "--ops", "4000", "--queue-depth", "8"]
        for bench in [rig.bench(*words, "--seed", str(seed)) for seed in (1, 2)]:
            bench_end(bench)
        assert sum(lcore["devices"] for lcore in rig.ask("status")["lcores"]) >= 4
        for guest in guests:
            assert guest.page_in(3, 21) == SC_OK and guest.look(21) == content(3)
            guest.close()
    finally:
        fleet.rmnicd_args = plain
        fleet.start_backend()


def control__idle_costs_nothing(rig):
    """DESIGN D10: below 1% of a core, with a device that is enabled and sleeps."""
    guest = _work(rig)
    until("it sleeps", lambda: guest.inn.need_wakeup() == 1 and guest.out.need_wakeup() == 1)
    before = rig.cpu_s()
    select.select([], [], [], 10)
    used = rig.cpu_s() - before
    assert used < 0.1, f"{used:.2f} s of CPU in 10 s"
    assert guest.page_in(3, 21) == SC_OK and guest.look(21) == content(3)
    guest.close()


def control__a_generator_beside_it(rig):
    """Looking in does not disturb: all commands again and again under load."""
    bench = rig.bench("--working-set", "16M", "--workloads", "fill,mix,verify", "--ops", "20000", "--queue-depth", "16")
    while bench.poll() is None:
        for command in ("devices", "servers", "slabs", "latency", "stats", "status"):
            try:
                rig.ask(command)
            except Problem as why:
                raise AssertionError(str(why)) from why
    bench_end(bench)
