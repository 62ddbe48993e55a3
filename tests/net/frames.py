# SPDX-License-Identifier: BSD-3-Clause
"""Frames by hand, good and bad ones, over a packet socket."""
import random
import socket
import struct

ETH_P_ALL = 3


def mac_bytes(text):
    return bytes(int(b, 16) for b in text.split(":"))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def datagram(src, dst, sport, dport, payload, **bend):
    """An IPv4 packet with a UDP datagram; bend replaces fields by name."""
    length = bend.get("udp_length", 8 + len(payload))
    udp = struct.pack("!HHHH", sport, dport, length, 0) + payload
    if "udp_sum" in bend:
        pseudo = src + dst + struct.pack("!BBH", 0, 17, 8 + len(payload))
        total = checksum(pseudo + udp) if bend["udp_sum"] == "good" else bend["udp_sum"]
        udp = udp[:6] + struct.pack("!H", total) + udp[8:]
    head = struct.pack(
        "!BBHHHBBH4s4s", bend.get("version_ihl", 0x45), bend.get("tos", 0),
        bend.get("total", 20 + len(udp)), 1, bend.get("fragment", 0), 64,
        bend.get("protocol", 17), 0, src, dst)
    total = checksum(head) ^ bend.get("ip_sum_xor", 0)
    return head[:10] + struct.pack("!H", total) + head[12:] + udp


def arp(op, sha, sip, tha, tip, **bend):
    return struct.pack("!HHBBH6s4s6s4s", bend.get("hardware", 1), bend.get("protocol", 0x800),
                       bend.get("hlen", 6), bend.get("plen", 4), op, sha, sip, tha, tip)


class Wire:
    """A packet socket on an interface: sends frames, collects what comes in."""

    def __init__(self, interface):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((interface, 0))
        self.mac = self.socket.getsockname()[4]

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, dst, kind, body):
        self.socket.send((dst + self.mac + struct.pack("!H", kind) + body).ljust(14, b"\0"))

    def send_raw(self, frame):
        self.socket.send(frame)

    def receive(self, seconds, wanted):
        """The first incoming frame for which wanted(frame) is true, or None."""
        import time
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame, address = self.socket.recvfrom(65535)
            except TimeoutError:
                return None
            if address[2] != socket.PACKET_OUTGOING and wanted(frame):
                return frame
        return None


def is_udp(frame, dport):
    return (frame[12:14] == b"\x08\x00" and frame[23] == 17
            and struct.unpack("!H", frame[36:38])[0] == dport)


def is_arp(frame, op, tip=None):
    return (frame[12:14] == b"\x08\x06" and struct.unpack("!H", frame[20:22])[0] == op
            and (tip is None or frame[38:42] == tip))


def is_unreachable(frame):
    return frame[12:14] == b"\x08\x00" and frame[23] == 1 and frame[34] == 3


def bad_datagrams(me, peer, sport, dport):
    """Each way in which an IPv4/UDP frame may be wrong: (what, packet)."""
    body = b"x" * 64
    other = peer[:3] + bytes([peer[3] ^ 0x40])
    loop = bytes([127, 0, 0, 1])
    many = bytes([224, 0, 0, 1])
    def make(**bend):
        return datagram(me, peer, sport, dport, body, **bend)
    yield "version 6", make(version_ihl=0x65)
    yield "header length 4 words", make(version_ihl=0x44)
    yield "header length 15 words", make(version_ihl=0x4f)
    yield "total length beyond the frame", make(total=1400)
    yield "total length below the headers", make(total=27)
    yield "total length 0", make(total=0)
    yield "first fragment", make(fragment=0x2000)
    yield "last fragment", make(fragment=8)
    yield "header checksum", make(ip_sum_xor=0x0100)
    yield "protocol TCP", make(protocol=6)
    yield "another machine's address", datagram(me, other, sport, dport, body)
    yield "from its own address", datagram(peer, peer, sport, dport, body)
    yield "from loopback", datagram(loop, peer, sport, dport, body)
    yield "from a multicast address", datagram(many, peer, sport, dport, body)
    yield "from 0.0.0.0", datagram(bytes(4), peer, sport, dport, body)
    yield "from port 0", datagram(me, peer, 0, dport, body)
    yield "a port nobody has", datagram(me, peer, sport, 9, body)
    yield "UDP length beyond the packet", make(udp_length=500)
    yield "UDP length below the packet", make(udp_length=20)
    yield "UDP length 0", make(udp_length=0)
    yield "UDP checksum", make(udp_sum=0x1234)
    yield "cut in the UDP header", make()[:24]
    yield "cut in the IP header", make()[:10]
    yield "empty", b""


def bad_arps(mac, me, peer):
    yield "hardware type", arp(1, mac, me, bytes(6), peer, hardware=6)
    yield "protocol", arp(1, mac, me, bytes(6), peer, protocol=0x86dd)
    yield "hardware length", arp(1, mac, me, bytes(6), peer, hlen=8)
    yield "protocol length", arp(1, mac, me, bytes(6), peer, plen=16)
    yield "from a multicast address", arp(1, b"\xff" * 6, me, bytes(6), peer)
    yield "cut", arp(1, mac, me, bytes(6), peer)[:20]


def noise(seed, count, me, peer, sport, dport, dst_mac, src_mac):
    """Frames that were good until some of their bytes were changed."""
    chance = random.Random(seed)
    for _ in range(count):
        kind = chance.random()
        if kind < 0.2:
            frame = dst_mac + src_mac + b"\x08\x06" + arp(chance.choice((1, 2)), src_mac, me,
                                                          bytes(6), peer)
        else:
            body = chance.randbytes(chance.randrange(0, 200))
            frame = dst_mac + src_mac + b"\x08\x00" + datagram(me, peer, sport, dport, body,
                                                               udp_sum="good")
        frame = bytearray(frame)
        for _ in range(chance.randrange(1, 6)):
            # Mostly in the headers, which are behind the hardware addresses.
            at = chance.randrange(12, min(len(frame), 60))
            frame[at] = chance.randrange(256)
        if chance.random() < 0.2:
            frame = frame[:chance.randrange(14, len(frame))]
        yield bytes(frame)
