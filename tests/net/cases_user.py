# SPDX-License-Identifier: BSD-3-Clause
"""What a plain user may do: packet sockets, ARP, shared interfaces, links, garbage, waiting."""
import pathlib
import re
import socket
import time

import frames
from rig import A, B, LIMIT, PEER, PINGPONG, Failed, Net, Program, check, run, stopped, until

IP_A, IP_B = socket.inet_aton(A), socket.inet_aton(B)


def whole_pages_at_mtu_9000():
    with Net() as net:
        echo = net.echo()
        got = net.exchange("--size", "4158", "--count", "3000")
        # Pages were sent from where they lie, and each was given back once.
        check(got["multi_segs"] and got["held"] == got["released"] == got["tx_in_place"] >= 3000,
              got)
        check(stopped(echo)["mtu"] == 5000, "the MTU that is of use")


def mtu_1500_to_the_last_byte():
    with Net(mtu=1500) as net:
        echo = net.echo()
        net.exchange("--size", "1472", "--count", "1000")
        ping = net.ping("--size", "1473", "--count", "1", "--timeout-s", "1")
        check(ping.finish() == 1 and ping.result()["tx_long"] > 0, ping.said())
        check(stopped(echo)["mtu"] == 1500, "the interface's MTU")


def a_smaller_mtu_than_the_interface_s():
    with Net() as net:
        echo = net.echo(port=f"vb,address={B}/24,mtu=2000")
        net.exchange("--size", "1972", "--count", "100", port=f"va,address={A}/24,mtu=2000")
        check(stopped(echo)["mtu"] == 2000, "the port's MTU")


def nothing_but_a_header():
    with Net() as net:
        net.echo()
        net.exchange("--size", "0", "--count", "1", "--timeout-s", "20")
        net.exchange("--size", "16", "--count", "100")


def two_lcores_hand_over():
    """RULES F4: the kernel's hash knows nothing of whose socket it is."""
    with Net() as net:
        echo = net.echo("--lcores", "2")
        handed = 0
        # Other ports, another hash: one in two flows goes wrong.
        for port in range(8000, 8080, 10):
            got = net.exchange("--lcores", "2", "--count", "100", "--udp-port", str(port))
            check(got["got"] == 200, got)
            handed += got["handed_over"]
        check(handed + stopped(echo)["handed_over"] > 0, "no frame came to another lcore")


def processes_side_by_side():
    with Net() as net:
        echoes = [net.echo(port=f"vb,address=10.9.0.{n}/24") for n in (2, 3)]
        for n in (2, 3):
            net.exchange("--count", "200", to=f"10.9.0.{n}")
        for echo in echoes:
            check(stopped(echo)["got"] >= 200, "each has its own")


def kernel_socket(net):
    """A UDP socket of the kernel, in the namespace that the test runs in."""
    net.address("a", f"{A}/24")
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def ask_from_kernel(sock, payload, port=7700, to=B):
    """The answer to a datagram, asked for until it comes."""
    end = time.monotonic() + LIMIT
    sock.settimeout(0.2)
    while time.monotonic() < end:
        sock.sendto(payload, (to, port))
        try:
            return sock.recv(65535)
        except TimeoutError:
            continue
    raise Failed(f"no answer from {to}:{port}")


def it_answers_arp_where_nobody_else_does():
    with Net() as net, kernel_socket(net) as sock:
        echo = net.echo()
        # The kernel here finds it, and takes its frames for good ones.
        check(ask_from_kernel(sock, b"hello" * 100) == b"hello" * 100, "another answer")
        entry = run("ip", "neigh", "show", "dev", "va")
        check(B in entry and "lladdr" in entry, entry)
        with frames.Wire("va") as wire:
            wire.send(b"\xff" * 6, 0x806, frames.arp(1, wire.mac, IP_A, bytes(6), IP_B))
            check(wire.receive(LIMIT, lambda f: frames.is_arp(f, 2, IP_A)), "no answer")
        check(not stopped(echo)["kernel"], "there is no kernel's address")


def it_announces_itself():
    with Net() as net, frames.Wire("va") as wire:
        net.echo()
        check(wire.receive(LIMIT, lambda f: frames.is_arp(f, 1, IP_B) and f[28:32] == IP_B),
              "no gratuitous ARP")
        net.b("ip", "link", "set", "vb", "down")
        net.b("ip", "link", "set", "vb", "up")
        check(wire.receive(LIMIT, lambda f: frames.is_arp(f, 1, IP_B) and f[28:32] == IP_B),
              "none after the link came back")


def arp_is_asked_again_until_somebody_answers():
    with Net() as net:
        questions = net_b_wire(net)
        ping = net.ping("--count", "10", "--timeout-s", "50")
        check(questions.finish() == 0, "it did not ask three times")
        echo = net.echo()
        check(ping.finish() == 0, ping.said())
        check(ping.result()["no_neighbour"] > 0, "there was somebody")
        stopped(echo)


def arp_is_asked_again_by_a_timer():
    with Net() as net:
        # Before there is anything to see: it does not ask for ever.
        questions = net_b_wire(net)
        # One datagram, and nobody who sends it again.
        ping = net.ping("--count", "1", "--timeout-s", "3600", "--retry-ms", "3600000")
        check(questions.finish() == 0, "it did not ask three times")
        ping.stop()
        check(ping.result()["no_neighbour"] == 1, ping.said())


def net_b_wire(net):
    """Waits for three questions for B's address, seen from the other end."""
    script = ("import sys; sys.path.insert(0, sys.argv[1]); import frames, socket\n"
              "w = frames.Wire('vb'); ip = socket.inet_aton(sys.argv[2])\n"
              "print('listening', flush=True)\n"
              "sys.exit(0 if all(w.receive(30, lambda f: frames.is_arp(f, 1, ip))"
              " for _ in range(3)) else 1)\n")
    return Program(net, ["/usr/bin/python3", "-c", script, pathlib.Path(__file__).parent, B], "b", "listening")


def messages_share_a_datagram():
    """RMP-41: what may, and as far as there is room; the rest goes in datagrams of its own."""
    for mtu in (9000, 1500):
        with Net(mtu=mtu) as net:
            net.echo()
            got = net.exchange("--size", "1240", "--parts", "20", "--join", "1240", "--count", "300")
            check(got["tx_joined"] * 20 == got["tx"] * 19 >= 300 * 20 * 19 and not got["wrong"], got)
    with Net() as net:
        echo = net.echo()
        ping = net.ping("--size", "1240", "--parts", "20", "--join", "1239", "--count", "1", "--timeout-s", "1")
        check(ping.finish() == 1 and ping.result()["wrong"] > 0, ping.said())
        # Nineteen and one, each time, neither of them an answer.
        got, echoed = ping.result(), stopped(echo)
        check(got["tx_joined"] * 20 == got["tx"] * 18 and echoed["got"] * 10 == got["tx"], (got, echoed))
        ping = net.ping("--size", "1240", "--parts", "20", "--count", "1", "--timeout-s", "1")
        check(ping.finish() == 1 and ping.result()["tx_joined"] == 0, ping.said())


def a_gateway_leads_to_other_networks():
    with Net() as net:
        net.address("b", f"{B}/24")
        # It has the gateway's hardware address, and this end on its link.
        echo = net.echo(port="vb,address=10.9.7.7/16")
        net.exchange("--count", "200", port=f"va,address={A}/24,gateway={B}", to="10.9.7.7")
        ping = net.ping("--count", "1", "--timeout-s", "1", to="10.9.7.7")
        check(ping.finish() == 1 and ping.result()["tx_long"] > 0, ping.said())
        stopped(echo)


def shared_with_the_kernel():
    """RULES F7: the kernel answers ARP and pings, and never sees our datagrams."""
    with Net() as net, kernel_socket(net) as sock:
        net.address("b", f"{B}/24")
        echo = net.echo(port="vb")
        with frames.Wire("va") as wire:
            check(ask_from_kernel(sock, b"x" * 600) == b"x" * 600, "another answer")
            for _ in range(200):
                sock.sendto(b"x" * 100, (B, 7700))
            check(not wire.receive(1, frames.is_unreachable), "port unreachable")
            # One answer to a question, not two.
            run("ip", "neigh", "flush", "dev", "va")
            ask_from_kernel(sock, b"y")
            check(not wire.receive(1, lambda f: frames.is_arp(f, 2)) or
                  not wire.receive(1, lambda f: frames.is_arp(f, 2)), "two answered")
        check("udp dport 7700-7701" in net.b("nft", "list", "ruleset"), "no rule")
        kernel_lives(net)
        check(stopped(echo)["kernel"], "it has the kernel's address")
        check(net.b("nft", "list", "ruleset") == "", "the rule is left behind")


def kernel_lives(net):
    """The other namespace's kernel still has its own traffic."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as icmp:
        icmp.settimeout(LIMIT)
        body = b"\x08\x00\x00\x00\x00\x01\x00\x01" + b"ping" * 8
        icmp.sendto(body[:2] + frames.checksum(body).to_bytes(2) + body[4:], (B, 0))
        while (answer := icmp.recv(2000))[20] != 0:
            pass
        check(answer.endswith(b"ping" * 8), "another answer to ping")


def the_kernel_is_spared_on_a_port_of_our_own():
    with Net() as net:
        echo = net.echo()
        check("udp dport 7700-7701" in net.b("nft", "list", "ruleset"), "no rule")
        net.exchange("--count", "50")
        stopped(echo)
        check(net.b("nft", "list", "ruleset") == "", "the rule is left behind")


def a_dead_process_s_rule_is_replaced():
    with Net() as net:
        net.address("b", f"{B}/24")
        net.echo(port="vb").kill()
        check("udp dport 7700-7701" in net.b("nft", "list", "ruleset"), "the rule should be there")
        echo = net.echo(port="vb")
        check(net.b("nft", "list", "ruleset").count("udp dport") == 1, "two rules")
        net.exchange("--count", "50")
        stopped(echo)
        check(net.b("nft", "list", "ruleset") == "", "the rule is left behind")


def without_the_rule_it_says_so():
    with Net() as net:
        net.address("b", f"{B}/24")
        # nft is there, and does not run.
        echo = Program(net, ["unshare", "--mount", "sh", "-c",
                             'mount --bind /dev/null "$(command -v nft)" && exec "$@"', "sh", PEER,
                             "echo", "--port", "vb"], "b")
        check("the kernel's stack sees our datagrams as well" in echo.said(), echo.said())
        net.exchange("--count", "50")
        stopped(echo)


def link_down_and_up():
    """RULES F5: what was sent into the void is not sent again when the link is back."""
    with Net() as net:
        echo = net.echo()
        ping = net.ping("--count", "600", "--gap-us", "10000", "--timeout-s", "50")
        for _ in range(3):
            time.sleep(0.3)
            run("ip", "link", "set", "va", "down")
            until(lambda: pumped(ping).count("link is down") > pumped(ping).count("link is up"),
                  "it did not notice")
            time.sleep(0.2)
            run("ip", "link", "set", "va", "up")
            until(lambda: pumped(ping).count("link is up") == pumped(ping).count("link is down"),
                  "it did not notice")
        check(ping.finish() == 0, ping.said())
        check(ping.result()["link_down"] > 0, "nothing was dropped")
        check(ping.result()["link_up"], "it is up")
        stopped(echo)


def pumped(program):
    program.pump(0)
    return program.said()


def a_down_link_costs_no_cpu():
    """The error that an interface leaves on its sockets would wake a sleeping lcore for ever."""
    with Net() as net:
        echo = net.echo()
        net.exchange("--count", "10")
        net.b("ip", "link", "set", "vb", "down")
        echo.expect("link is down")
        time.sleep(3)
        told = stopped(echo)
        check(told["cpu_us"] < told["ran_us"] / 20, f"{told['cpu_us']} of {told['ran_us']} us")


def garbage_is_counted_and_not_answered(port=f"vb,address={B}/24"):
    with Net(mtu=3000) as net, frames.Wire("va") as wire:
        net.address("a", f"{A}/24")
        echo = net.echo(port=port)
        mac, questions = known(net, wire)
        sent = 0
        for what, packet in frames.bad_datagrams(IP_A, IP_B, 5555, 7700):
            wire.send(mac, 0x800, packet)
            sent += 1
            check(answered(wire, mac, b"still there? %d" % sent), f"{what}: it does not answer any more")
        for what, packet in frames.bad_arps(wire.mac, IP_A, IP_B):
            wire.send(b"\xff" * 6, 0x806, packet)
            sent += 1
        for kind in 0x86dd, 0x8100, 0x88cc, 0, 0x45:
            wire.send(mac, kind, b"x" * 60)
            sent += 1
        check(answered(wire, mac), "it does not answer any more")
        told = stopped(echo)
        check(told["rx_bad"] >= sent, f"{told['rx_bad']} refused of {sent}")
        # The good ones were taken, and nothing else.
        good = len(list(frames.bad_datagrams(IP_A, IP_B, 1, 1))) + 1 + questions
        check(told["got"] == good, f"{told['got']} taken for good, {good} were")


def answered(wire, mac, payload=b"still there?", seconds=LIMIT, **bend):
    wire.send(mac, 0x800, frames.datagram(IP_A, IP_B, 5555, 7700, payload, **bend))
    # A late answer to an earlier question is none to this one.
    return wire.receive(seconds, lambda f: frames.is_udp(f, 5555) and f[42:42 + len(payload)] == payload)


def known(net, wire):
    """Until the peer knows our hardware address; then its own, and the questions that took."""
    mac = frames.mac_bytes(re.search(r"ether (\S+)", net.b("ip", "link", "show", "vb"))[1])
    questions = 1
    while not answered(wire, mac, seconds=0.5):
        questions += 1
        check(questions < 100, "it never answers")
    return mac, questions


def checksums_and_congestion_marks():
    with Net() as net, frames.Wire("va") as wire:
        net.address("a", f"{A}/24")
        echo = net.echo()
        mac, questions = known(net, wire)
        check(answered(wire, mac, b"even", udp_sum="good"), "a good checksum")
        check(answered(wire, mac, b"uneven!", udp_sum="good"), "a good checksum, uneven length")
        check(answered(wire, mac, b"none"), "no checksum")
        check(answered(wire, mac, b"able", tos=2), "able to mark")
        check(answered(wire, mac, b"marked", tos=3), "marked")
        told = stopped(echo)
        check(told["marked"] == 1 and told["got"] == 5 + questions, told)


def noise():
    with Net() as net, frames.Wire("va") as wire:
        net.address("a", f"{A}/24")
        echo = net.echo()
        mac, questions = known(net, wire)
        for frame in frames.noise(7, 20000, IP_A, IP_B, 5555, 7700, mac, wire.mac):
            wire.send_raw(frame)
        # Some of it was ARP with a wrong address in it, which is found out by asking.
        known(net, wire)
        check(stopped(echo)["rx_bad"] > 1000, "most of it should have been refused")


def idle_costs_less_than_one_percent():
    """DESIGN D10"""
    with Net() as net:
        echo = net.echo()
        net.exchange("--count", "10")
        time.sleep(5)
        told = stopped(echo)
        check(told["cpu_us"] < told["ran_us"] / 100, f"{told['cpu_us']} of {told['ran_us']} us")


def it_wakes_up_from_idle():
    for mode in "adaptive", "block", "busy":
        with Net() as net:
            echo = net.echo("--poll", mode)
            got = net.exchange("--count", "20", "--gap-us", "100000", "--poll", mode)
            check(got["got"] == 20, got)
            stopped(echo)


def pingpong_at_both_mtus():
    for mtu in 9000, 1500:
        with Net(mtu=mtu) as net:
            server = Program(net, [PINGPONG, "server", "--port", f"vb,address={B}/24", "--no-huge",
                                   "--store-mib", "16", "--json"], "b", "answering")
            for more in [], ["--depth", "8"], ["--reply", "9000", "--depth", "4"]:
                client = Program(net, [PINGPONG, "client", "--port", f"va,address={A}/24", "--to", B,
                                       "--no-huge", "--count", "3000", "--json", *more], "a", None)
                check(client.finish() == 0, client.said())
                got = client.result()
                check(got["exchanges"] == 3000 and 0 < got["p50_us"] <= got["max_us"], got)
            check(stopped(server)["served"] >= 12000, "it served them")


def pingpong_over_memif():
    """A port without a kernel, and without anything to sleep on."""
    with Net() as net:
        path = f"/tmp/rmnic-net-{net.holder.pid}.sock"
        server = Program(net, [PINGPONG, "server", "--port", f"memif:server:{path},address={B}/24",
                               "--no-huge", "--store-mib", "16", "--json"], "b", "answering")
        client = Program(net, [PINGPONG, "client", "--port", f"memif:client:{path},address={A}/24",
                               "--to", B, "--no-huge", "--count", "50", "--warmup", "5", "--json"],
                         "a", None)
        check(client.finish() == 0, client.said() + server.said())
        check(client.result()["exchanges"] == 50, client.said())
        stopped(server)


def nobody_answers():
    with Net() as net:
        client = Program(net, [PINGPONG, "client", "--port", f"va,address={A}/24", "--to", B,
                               "--no-huge"], "a", None)
        check(client.finish() == 1, client.said())
        check(f"{B}: nobody on the link has this address" in client.said(), client.said())


WRONG = [
    (["client", "--to", B], "port"),
    (["client", "--port", f"va,address={A}/24"], "to whom? --to ADDRESS"),
    (["client", "--to", B, "--port", "nosuch"], "interface nosuch: No such device"),
    (["client", "--to", B, "--port", "lo"], "interface lo is not Ethernet"),
    (["client", "--to", B, "--port", "va"], "port va: no address: the kernel has none there"),
    (["client", "--to", B, "--port", "dpaa:va"], "expected an interface (eth0)"),
    (["client", "--to", B, "--port", f"va,address={A}/24,mtu=9001"],
     "MTU 9001 is out of range (1280-9000"),
    (["client", "--to", B, "--port", f"va,address={A}/24,mtu=68"], "1280-"),
    (["client", "--to", B, "--port", "va,address=10.9.0.0/24"], "is none of a host"),
    (["client", "--to", B, "--port", "va,address=127.0.0.1/8"], "is none of a host"),
    (["client", "--to", B, "--port", f"va,address={A}/24,gateway=10.8.0.1"],
     "gateway 10.8.0.1 is not in the port's network (10.9.0.1/24)"),
    (["client", "--to", B, "--port", f"va,address={A}/24", "--cpus", "4095"], "4095"),
    (["client", "--to", B, "--port", f"va,address={A}/24", "--depth", "1000"], "1-256"),
    (["client", "--to", "10.8.0.1", "--port", f"va,address={A}/24"], "no port leads there"),
    (["client", "--to", B, "--port", "0000:ff:1f.7,address=10.9.0.1/24"], "vfio-pci"),
    (["server", "--port", f"af_xdp:va,address={A}/24"], "af_xdp is for root, packet is not"),
]


def wrong_arguments():
    with Net() as net:
        for args, text in WRONG:
            program = Program(net, [PINGPONG, args[0], "--no-huge", *args[1:]], "a", None)
            status = program.finish()
            check(status in (1, 2), f"{args}: status {status}: {program.said()}")
            check(text in program.text["err"], f"{args}: '{text}' is not in:\n{program.said()}")


def an_address_that_another_machine_has():
    with Net() as net, frames.Wire("va") as wire:
        echo = net.echo()
        wire.send(b"\xff" * 6, 0x806, frames.arp(2, wire.mac, IP_B, bytes(6), IP_B))
        echo.expect("another machine says that it has our address")
        net.exchange("--count", "10")
        stopped(echo)


CASES = [
    whole_pages_at_mtu_9000, messages_share_a_datagram, mtu_1500_to_the_last_byte, a_smaller_mtu_than_the_interface_s,
    nothing_but_a_header, two_lcores_hand_over, processes_side_by_side,
    it_answers_arp_where_nobody_else_does, it_announces_itself,
    arp_is_asked_again_until_somebody_answers, arp_is_asked_again_by_a_timer,
    a_gateway_leads_to_other_networks,
    an_address_that_another_machine_has, shared_with_the_kernel,
    the_kernel_is_spared_on_a_port_of_our_own, a_dead_process_s_rule_is_replaced,
    without_the_rule_it_says_so, link_down_and_up,
    a_down_link_costs_no_cpu,
    garbage_is_counted_and_not_answered, checksums_and_congestion_marks, noise,
    idle_costs_less_than_one_percent, it_wakes_up_from_idle, pingpong_at_both_mtus,
    pingpong_over_memif, nobody_answers, wrong_arguments,
]
