# SPDX-License-Identifier: BSD-3-Clause
"""Packets by the thousand, made faster than scapy makes them; and some that collide."""
import socket
import struct

CRC32C = 0x82F63B78


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(src, dst, proto, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0,
                       socket.inet_aton(src), socket.inet_aton(dst))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(src, dst, proto, payload):
    return (struct.pack("!IHBB", 6 << 28, len(payload), proto, 64) +
            socket.inet_pton(socket.AF_INET6, src) +
            (dst if isinstance(dst, bytes) else socket.inet_pton(socket.AF_INET6, dst)) + payload)


def syn(sport, dport):
    """Without a right checksum: that is for the receiver to look at, and nobody receives these."""
    return struct.pack("!HHIIBBHHH", sport, dport, 1, 0, 5 << 4, 2, 1024, 1, 0)


def udp(sport, dport):
    return struct.pack("!HHHH", sport, dport, 8, 1)


def crc32c(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (CRC32C if crc & 1 else 0)
    return crc


def flow_key(src, low, sport, dport):
    """The bytes that tables of flows commonly hash: of an IPv6 datagram to 2001:db8:80::<low>."""
    return (socket.inet_pton(socket.AF_INET6, src) + bytes.fromhex("20010db800800000") + low +
            struct.pack("<HHBBH", sport, dport, 17, 6, 0))


def colliding(src, count):
    """UDP datagrams from one source whose addresses and ports have one and the same CRC32C. It is
    linear: which of the 96 bits of destination and ports may change together follows by
    elimination."""
    def parts(bits):
        return bits.to_bytes(12, "big")[:8], bits >> 16 & 0xFFFF, bits & 0xFFFF

    def crc(bits):
        return crc32c(flow_key(src, *parts(bits)))

    none, pivots, kernel = crc(0), {}, []
    for bit in range(96):
        bits, change = 1 << bit, crc(1 << bit) ^ none
        while change and change.bit_length() in pivots:
            other_change, other_bits = pivots[change.bit_length()]
            change, bits = change ^ other_change, bits ^ other_bits
        if change:
            pivots[change.bit_length()] = change, bits
        else:
            kernel.append(bits)
    packets, crcs = [], set()
    for number in range(1, count + 1):
        bits = 0
        for place, row in enumerate(kernel):
            bits ^= row if number >> place & 1 else 0
        low, sport, dport = parts(bits)
        crcs.add(crc(bits))
        packets.append(ipv6(src, bytes.fromhex("20010db800800000") + low, 17, udp(sport, dport)))
    assert len(crcs) == 1 and len(set(packets)) == count
    return packets
