#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Small senders and receivers that the tests run inside a namespace.

  agent.py echo PORT                          UDP, answers every datagram
  agent.py stream HOST PORT RATE SECONDS      sequence-numbered datagrams to an echo, fewer if it is
                                              terminated; prints JSON
  agent.py raw INTERFACE HEX...               IP packets (or frames) straight onto an interface
  agent.py flood INTERFACE FILE RATE          the same, from a file with one a line, so many a second
  agent.py insist HOST PORT SECONDS SOURCE    TCP, a byte now and then; tells how it ends
  agent.py udp HOST PORT SOURCE_PORT SECONDS [SIZE]
                                              one datagram; prints the answers that come, as JSON
  agent.py tcp-echo PORT                      TCP, any number of connections
  agent.py session HOST PORT FILE             one connection to it, numbers go there and come back in
                                              order; their count stands in FILE
  agent.py connect HOST PORT COUNT            that many connections at once; a byte goes there and
                                              back on each; prints JSON, then keeps them
"""
import asyncio
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time

DRAIN_S = 5.0  # how long the last answers may take
BUFFER = 8 << 20  # bytes, of a socket that must not lose anything
SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>: beyond net.core.rmem_max, which is small elsewhere


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def echo(port):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    sock.bind(("::", port))
    while True:
        data, about, _, peer = sock.recvmsg(65535, socket.CMSG_SPACE(20))
        # from the address that was asked, by whatever way leads there
        about = [(level, kind, value[:16] + bytes(4)) for level, kind, value in about]
        sock.sendmsg([data], about, 0, peer)


def stream(host, port, rate, seconds):
    sock = socket.socket(family_of(host), socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    sock.connect((host, port))
    sock.setblocking(False)
    total = int(rate * seconds)
    seen, duplicates, overtaken, refused, sent, newest = set(), 0, 0, 0, 0, -1
    start = time.monotonic()
    end = start + seconds + DRAIN_S
    last, longest = start, 0.0
    enough = []
    signal.signal(signal.SIGTERM, lambda *_: enough.append(True))
    print("started", flush=True)
    while (sent < total or len(seen) < total) and time.monotonic() < end:
        now = time.monotonic()
        if enough and sent < total:
            total, end = sent, now + DRAIN_S
        while sent < total and start + sent / rate <= now:
            try:
                sock.send(struct.pack("!Q", sent) + bytes(120))
            except BlockingIOError:
                select.select([], [sock], [], 0.1)  # what was sent before has not yet left
                break
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
            overtaken += number < newest
            newest = max(newest, number)
            seen.add(number)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    print(json.dumps({"sent": sent, "received": len(seen), "lost": sent - len(seen),
                      "duplicates": duplicates, "refused": refused, "overtaken": overtaken,
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


def flood(interface, file, rate):
    """Evenly: what a queue on the way does not take at once is lost."""
    tunnel = interface.startswith("wg")
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM if tunnel else socket.SOCK_RAW)
    with open(file) as lines:
        packets = [bytes.fromhex(line) for line in lines]
    start = time.monotonic()
    for number, data in enumerate(packets):
        time.sleep(max(0, start + number / rate - time.monotonic()))
        kind = 0x0800 if data[0] >> 4 == 4 else 0x86DD
        sock.sendto(data, (interface, kind if tunnel else 0))


def insist(host, port, seconds, source):
    sock = socket.create_connection((host, port), 10, (source, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print("connected", flush=True)
    start, end = time.monotonic(), "silence"
    while end == "silence" and time.monotonic() < start + seconds:
        try:
            sock.send(b"G")
            if select.select([sock], [], [], 0.1)[0]:
                end = "answer" if sock.recv(100) else "closed"
        except ConnectionResetError:
            end = "reset"
    print(json.dumps({"end": end, "seconds": round(time.monotonic() - start, 1)}))


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


async def answer(reader, writer):
    while data := await reader.read(4096):
        writer.write(data)
    writer.close()


def allow_many_files():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def tcp_echo(port):
    allow_many_files()
    server = await asyncio.start_server(answer, ["0.0.0.0", "::"], port, backlog=4096)
    await server.serve_forever()


def session(host, port, file):
    sock = socket.create_connection((host, port), 30)
    sock.settimeout(None)
    number = 0
    while True:
        word = struct.pack("!Q", number)
        sock.sendall(word)
        if sock.recv(8, socket.MSG_WAITALL) != word:
            sys.exit(f"after {number} numbers something else came back")
        number += 1
        with open(f"{file}.new", "w") as out:
            out.write(str(number))
        os.rename(f"{file}.new", file)
        time.sleep(0.02)


async def connect(host, port, count):
    allow_many_files()
    gate = asyncio.Semaphore(400)  # connections that are being made
    kept, failed = [], {}

    async def one():
        async with gate:
            try:
                reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 60)
                writer.write(b"x")
                if await asyncio.wait_for(reader.readexactly(1), 60) == b"x":
                    kept.append(writer)
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
                failed[repr(error)] = failed.get(repr(error), 0) + 1

    await asyncio.gather(*(one() for _ in range(count)))
    print(json.dumps({"connected": len(kept), "failed": failed}), flush=True)
    await asyncio.Event().wait()


verb, arguments = sys.argv[1], sys.argv[2:]
if verb == "echo":
    echo(int(arguments[0]))
elif verb == "stream":
    stream(arguments[0], int(arguments[1]), float(arguments[2]), float(arguments[3]))
elif verb == "raw":
    raw(*arguments)
elif verb == "flood":
    flood(arguments[0], arguments[1], float(arguments[2]))
elif verb == "insist":
    insist(arguments[0], int(arguments[1]), float(arguments[2]), arguments[3])
elif verb == "udp":
    udp(arguments[0], int(arguments[1]), int(arguments[2]), float(arguments[3]),
        *(int(a) for a in arguments[4:]))
elif verb == "tcp-echo":
    asyncio.run(tcp_echo(int(arguments[0])))
elif verb == "session":
    session(arguments[0], int(arguments[1]), arguments[2])
elif verb == "connect":
    asyncio.run(connect(arguments[0], int(arguments[1]), int(arguments[2])))
else:
    sys.exit(__doc__)
