# SPDX-License-Identifier: BSD-3-Clause
"""The two wires by hand, for peers that speak another version: layouts as in spec/rmp.md and spec/user.md."""
import struct

USER_MAGIC, USER_HELLO, USER_REPLY, USER_S_VERSION = 0x31525355, 1, 1, 1
RMP_HELLO, RMP_REPLY, RMP_S_VERSION, RMP_S_COOKIE = 1, 0x80, 11, 12
USER_HDR = struct.Struct("<IHHIIH6x")
REQ = struct.Struct("<BBB3sQQQQIIIII")    # a request's header, without its check word
REP = struct.Struct("<BBB3sQIHHQQIIIII")  # an answer's


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def sealed(header, payload):
    """Header, check word over it and the pseudo-header of a datagram outside a session, payload."""
    return header + struct.pack("<I", crc32c(header + struct.pack("<QI", 0, len(payload)))) + payload


def rmp_hello(request, version, cookie):
    """A client's first word, of one version only."""
    payload = struct.pack("<BBHIIIQ16s16s32s16sQ16x", version, version, 0, 1, 1, 0, 0, b"c" * 16, b"d" * 16, bytes(32),
                          cookie, 7)
    header = REQ.pack(1, RMP_HELLO, 62, bytes(3), request, 0, 0, 0, 0, 1, 0, len(payload), crc32c(payload))
    return sealed(header, payload)


def rmp_welcome(hello, version):
    """A server's answer that has no version in common with the client."""
    _, _, _, stamp, request, _, _, _, _, _, _, _, _ = REQ.unpack_from(hello)
    nonce = struct.unpack_from("<Q", hello, 62 + 104)[0]
    payload = struct.pack("<BBBBIIIQ16sQQ16sQIIII32x", version, version, 0, 0, 1, 1, 0, 0, b"s" * 16, 5, 6, bytes(16),
                          nonce, 1500, 8, 16384, 0)
    header = REP.pack(1, RMP_HELLO | RMP_REPLY, 62, stamp, request, 0, 0, RMP_S_VERSION, 0, 0, 0, 0, 0, len(payload),
                      crc32c(payload))
    return sealed(header, payload)


def rmp_answer(datagram):
    """(status, lowest version, highest version, cookie) of a server's answer to HELLO."""
    status = REP.unpack_from(datagram)[7]
    low, high = datagram[62], datagram[63]
    return status, low, high, datagram[62 + 56:62 + 72]


def user_hello(low, high):
    return USER_HDR.pack(USER_MAGIC, USER_HELLO, 0, 16, 1, 0) + struct.pack("<HHIQ", low, high, 0, 0)


def user_reply(stream):
    """(status, text) of the next reply."""
    header = stream.read(24)
    magic, _, flags, size, _, status = USER_HDR.unpack(header)
    assert magic == USER_MAGIC and flags == USER_REPLY, header
    payload = stream.read(size)
    return status, payload[:256].rstrip(b"\0").decode("ascii") if status else ""


def user_refusal(request, text):
    """A backend's answer to HELLO that finds no version in common."""
    seq = USER_HDR.unpack_from(request)[4]
    payload = text.encode().ljust(256, b"\0") + bytes(8)
    return USER_HDR.pack(USER_MAGIC, USER_HELLO, USER_REPLY, len(payload), seq, USER_S_VERSION) + payload
