# SPDX-License-Identifier: BSD-3-Clause
"""Packets that nobody should send, each with the one counter that it must show up in."""
import struct
from collections import namedtuple

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, IPv6ExtHdrDestOpt,
                                IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

PLAIN, TUNNEL = "plain", "tunnel"
BOTH = (PLAIN, TUNNEL)

# Where a kind is sent: into a plain port, into the tunnel by a peer, or both. make(src, dst)
# returns the IP packet's bytes; its addresses are of the family.
Kind = namedtuple("Kind", "name counter family where make")


def cut(packet, length):
    return bytes(packet)[:length]


def patch(packet, at, data, fix=False):
    """The packet with other bytes there; fix: and a right IPv4 header checksum."""
    raw = bytearray(bytes(packet))
    raw[at:at + len(data)] = data
    if fix:
        head = IP(bytes(raw))
        del head.chksum
        return bytes(head)[:20] + bytes(raw[20:])
    return bytes(raw)


def echo(src, dst, **more):
    return IP(src=src, dst=dst, **more) / ICMP() / bytes(40)


def header(src, dst, proto, payload, **more):
    return bytes(IP(src=src, dst=dst, proto=proto, **more) / Raw(payload))


def header6(src, dst, nh, payload, **more):
    return bytes(IPv6(src=src, dst=dst, nh=nh, **more) / Raw(payload))


def tcp(length=20, offset=5):
    return struct.pack("!HHIIBBHHH", 4000, 80, 1, 0, offset << 4, 2, 1024, 0, 0)[:length]


def udp(length, payload=8):
    return struct.pack("!HHHH", 4000, 53, length, 0) + bytes(payload)


V4 = [
    Kind("IP version 5", "packet.version", 4, (PLAIN,),
         lambda s, d: patch(echo(s, d), 0, b"\x55")),
    Kind("10 bytes of IPv4", "packet.short", 4, (PLAIN,), lambda s, d: cut(echo(s, d), 10)),
    Kind("header length 16", "packet.header_length", 4, BOTH,
         lambda s, d: patch(echo(s, d), 0, b"\x44")),
    Kind("header longer than the packet", "packet.header_length", 4, BOTH,
         lambda s, d: cut(patch(echo(s, d), 0, b"\x4f"), 40)),
    Kind("total length below the header's", "packet.total_length", 4, BOTH,
         lambda s, d: patch(echo(s, d), 2, b"\0\x0c")),
    Kind("total length beyond the packet", "packet.cut", 4, BOTH,
         lambda s, d: patch(echo(s, d), 2, b"\x02\0", True)),
    Kind("wrong header checksum", "packet.checksum", 4, BOTH,
         lambda s, d: patch(echo(s, d), 10, b"\xde\xad")),
    Kind("option without a length", "packet.options", 4, BOTH,
         lambda s, d: bytes(IP(src=s, dst=d, options=[Raw(b"\x44\0\0\0")]) / ICMP())),
    Kind("loose source route", "packet.source_route", 4, BOTH,
         lambda s, d: bytes(IP(src=s, dst=d, options=[Raw(b"\x83\x07\x04\x0a\x14\0\x0a\0")]) /
                            ICMP())),
    Kind("from 127.0.0.1", "packet.source", 4, BOTH, lambda s, d: bytes(echo("127.0.0.1", d))),
    Kind("from a multicast address", "packet.source", 4, BOTH,
         lambda s, d: bytes(echo("224.1.2.3", d))),
    Kind("to 127.0.0.1", "packet.destination", 4, BOTH,
         lambda s, d: bytes(echo(s, "127.0.0.1"))),
    Kind("to 0.1.2.3", "packet.destination", 4, BOTH, lambda s, d: bytes(echo(s, "0.1.2.3"))),
    Kind("fragment of 13 bytes with more to come", "packet.fragment_length", 4, BOTH,
         lambda s, d: header(s, d, 17, bytes(13), flags="MF", id=9)),
    Kind("fragment that ends beyond 65,535", "packet.fragment_overflow", 4, BOTH,
         lambda s, d: header(s, d, 17, bytes(64), frag=8190, id=9)),
    Kind("first fragment without the TCP header", "packet.fragment_tiny", 4, BOTH,
         lambda s, d: header(s, d, 6, tcp(8), flags="MF", id=9)),
    Kind("12 bytes of TCP", "packet.tcp", 4, BOTH, lambda s, d: header(s, d, 6, tcp(12))),
    Kind("TCP header of 16 bytes", "packet.tcp", 4, BOTH,
         lambda s, d: header(s, d, 6, tcp(20, 4))),
    Kind("TCP header longer than the packet", "packet.tcp", 4, BOTH,
         lambda s, d: header(s, d, 6, tcp(20, 15))),
    Kind("UDP length 4", "packet.udp", 4, BOTH, lambda s, d: header(s, d, 17, udp(4))),
    Kind("UDP length beyond the packet", "packet.udp", 4, BOTH,
         lambda s, d: header(s, d, 17, udp(400))),
    Kind("4 bytes of ICMP", "packet.icmp", 4, BOTH,
         lambda s, d: header(s, d, 1, b"\x08\0\0\0")),
    Kind("ICMP error that quotes 4 bytes", "packet.icmp", 4, BOTH,
         lambda s, d: header(s, d, 1, b"\x03\x01" + bytes(10))),
    Kind("ICMPv6 in IPv4", "packet.icmp_family", 4, BOTH,
         lambda s, d: header(s, d, 58, bytes(16))),
    Kind("ICMP error whose quoted header has a wrong checksum", "flow.icmp_error_bad", 4,
         (PLAIN,), lambda s, d: bytes(IP(src=s, dst=d) / ICMP(type=3, code=1) / Raw(
             patch(IP(src=d, dst=s) / UDP(sport=2000, dport=53), 10, b"\xde\xad")))),
]

V6 = [
    Kind("30 bytes of IPv6", "packet.short", 6, (PLAIN,),
         lambda s, d: cut(IPv6(src=s, dst=d) / bytes(20), 30)),
    Kind("payload length beyond the packet", "packet.cut", 6, BOTH,
         lambda s, d: header6(s, d, 17, udp(16), plen=500)),
    Kind("from ::1", "packet.source", 6, BOTH, lambda s, d: header6("::1", d, 17, udp(16))),
    Kind("from ff02::1", "packet.source", 6, BOTH,
         lambda s, d: header6("ff02::1", d, 17, udp(16))),
    Kind("to ::1", "packet.destination", 6, BOTH, lambda s, d: header6(s, "::1", 17, udp(16))),
    Kind("payload length 0 and hop-by-hop options", "packet.jumbo", 6, BOTH,
         lambda s, d: patch(IPv6(src=s, dst=d) / IPv6ExtHdrHopByHop() / UDP(), 4, b"\0\0")),
    Kind("nine extension headers", "packet.extensions", 6, BOTH,
         lambda s, d: header6(s, d, 60, (b"\x3c\0" + b"\1\4\0\0\0\0") * 8 +
                              b"\x11\0" + b"\1\4\0\0\0\0" + udp(16))),
    Kind("extension header beyond the packet", "packet.extension_cut", 6, BOTH,
         lambda s, d: header6(s, d, 60, b"\x11\x20" + bytes(14))),
    Kind("hop-by-hop options behind others", "packet.extension_order", 6, BOTH,
         lambda s, d: bytes(IPv6(src=s, dst=d) / IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop() /
                            UDP())),
    Kind("two fragment headers", "packet.extension_order", 6, BOTH,
         lambda s, d: bytes(IPv6(src=s, dst=d) / IPv6ExtHdrFragment(m=1) /
                            IPv6ExtHdrFragment(m=1) / UDP() / bytes(8))),
    Kind("routing header of type 0", "packet.source_route", 6, BOTH,
         lambda s, d: bytes(IPv6(src=s, dst=d) / IPv6ExtHdrRouting(
             type=0, segleft=1, addresses=["2001:db8::9"]) / UDP())),
    Kind("IPv6 fragment of 13 bytes with more to come", "packet.fragment_length", 6, BOTH,
         lambda s, d: bytes(IPv6(src=s, dst=d) / IPv6ExtHdrFragment(nh=17, m=1) / bytes(13))),
    Kind("IPv6 fragment that ends beyond 65,535", "packet.fragment_overflow", 6, BOTH,
         lambda s, d: bytes(IPv6(src=s, dst=d) / IPv6ExtHdrFragment(nh=17, offset=8190) /
                            bytes(64))),
    Kind("first IPv6 fragment without the TCP header", "packet.fragment_tiny", 6, BOTH,
         lambda s, d: bytes(IPv6(src=s, dst=d) / IPv6ExtHdrFragment(nh=6, m=1) / tcp(8))),
    Kind("ICMP in IPv6", "packet.icmp_family", 6, BOTH,
         lambda s, d: header6(s, d, 1, bytes(16))),
    Kind("4 bytes of ICMPv6", "packet.icmp", 6, BOTH,
         lambda s, d: header6(s, d, 58, b"\x80\0\0\0")),
    Kind("neighbour discovery from beyond the link", "port.nd_hop_limit", 6, (PLAIN,),
         lambda s, d: bytes(IPv6(src=s, dst=d, hlim=64) / ICMPv6ND_NS(tgt=d))),
]

KINDS = V4 + V6

# What only a frame or a WireGuard message can have.
FRAMES = {
    "frame for another station": "port.other_mac",
    "packet for one host in a broadcast frame": "port.l2_broadcast",
    "multicast beyond the link": "port.multicast",
    "peer's address on a plain port": "flow.spoofed_overlay",
}
MESSAGES = {
    "WireGuard message of type 9": "wireguard.malformed",
    "initiation of 140 bytes": "wireguard.malformed",
    "data message of 20 bytes": "wireguard.malformed",
    "data for an unknown session": "wireguard.unknown_index",
    "data message that was altered": "wireguard.bad_tag",
    "data message sent again": "wireguard.replayed",
}


def frames(mac, src, dst, peer):
    """Of FRAMES, in their order; peer: the overlay address of one."""
    own = "02:00:00:00:00:77"
    return [bytes(f) for f in (
        Ether(dst="02:00:00:00:00:99", src=own) / echo(src, dst),
        Ether(dst="ff:ff:ff:ff:ff:ff", src=own) / echo(src, dst),
        Ether(dst="01:00:5e:01:02:03", src=own) / echo(src, "239.1.2.3"),
        Ether(dst=mac, src=own) / echo(peer, dst))]


def messages(frame):
    """Of MESSAGES, made from the frame of a data message that the gateway has taken."""
    def carrying(data):
        ip = frame[IP].copy()
        del ip.len, ip.chksum, ip[UDP].len, ip[UDP].chksum
        ip[UDP].remove_payload()
        return bytes(Ether(dst=frame.dst, src=frame.src) / ip / Raw(data))

    data = bytes(frame[UDP].payload)
    counter = struct.unpack_from("<Q", data, 8)[0]
    return [carrying(d) for d in (
        b"\x09\0\0\0" + bytes(28), b"\x01\0\0\0" + bytes(136), b"\x04\0\0\0" + bytes(16),
        b"\x04\0\0\0" + bytes(b ^ 0xFF for b in data[4:8]) + data[8:],
        data[:8] + struct.pack("<Q", counter + 500) + data[16:], data)]
