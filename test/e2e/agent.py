#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Small senders and receivers that the tests run inside a namespace.

  agent.py echo PORT                          UDP, answers every datagram
  agent.py stream HOST PORT RATE SECONDS      sequence-numbered datagrams to an echo; prints JSON
  agent.py raw INTERFACE HEX...               IP packets (or frames) straight onto an interface
  agent.py udp HOST PORT SOURCE_PORT SECONDS [SIZE]
                                              one datagram; prints the answers that come, as JSON
"""
import json
import select
import socket
import struct
import sys
import time

DRAIN_S = 2.0  # how long the last answers may take


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def echo(port):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.bind(("::", port))
    while True:
        data, peer = sock.recvfrom(65535)
        sock.sendto(data, peer)


def stream(host, port, rate, seconds):
    sock = socket.socket(family_of(host), socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.connect((host, port))
    sock.setblocking(False)
    total = int(rate * seconds)
    seen, duplicates, refused, sent = set(), 0, 0, 0
    start = time.monotonic()
    end = start + seconds + DRAIN_S
    last, longest = start, 0.0
    print("started", flush=True)
    while (sent < total or len(seen) < total) and time.monotonic() < end:
        now = time.monotonic()
        while sent < total and start + sent / rate <= now:
            try:
                sock.send(struct.pack("!Q", sent) + bytes(120))
            except OSError:
                refused += 1
            sent += 1
        due = start + sent / rate if sent < total else end
        if select.select([sock], [], [], max(0, min(due, end) - time.monotonic()))[0]:
            try:
                number = struct.unpack_from("!Q", sock.recv(2048))[0]
            except OSError:
                refused += 1
                continue
            duplicates += number in seen
            seen.add(number)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    print(json.dumps({"sent": sent, "received": len(seen), "lost": sent - len(seen),
                      "duplicates": duplicates, "refused": refused,
                      "longest_gap_ms": round(longest * 1e3, 1)}))


def raw(interface, *packets):
    tunnel = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    ethernet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    for text in packets:
        data = bytes.fromhex(text)
        if data[0] >> 4 in (4, 6) and interface.startswith("wg"):
            kind = 0x0800 if data[0] >> 4 == 4 else 0x86DD
            tunnel.sendto(data, (interface, kind))
        else:
            ethernet.sendto(data, (interface, 0))


def udp(host, port, source_port, seconds, size=8):
    sock = socket.socket(family_of(host), socket.SOCK_DGRAM)
    sock.bind(("", source_port))
    sock.sendto(b"question".ljust(size, b"?"), (host, port))
    print("sent", flush=True)
    answers, end = [], time.monotonic() + seconds
    while select.select([sock], [], [], max(0, end - time.monotonic()))[0]:
        data, peer = sock.recvfrom(65535)
        answers.append({"from": peer[0], "port": peer[1], "data": data.hex()})
    print(json.dumps(answers))


verb, arguments = sys.argv[1], sys.argv[2:]
if verb == "echo":
    echo(int(arguments[0]))
elif verb == "stream":
    stream(arguments[0], int(arguments[1]), float(arguments[2]), float(arguments[3]))
elif verb == "raw":
    raw(*arguments)
elif verb == "udp":
    udp(arguments[0], int(arguments[1]), int(arguments[2]), float(arguments[3]),
        *(int(a) for a in arguments[4:]))
