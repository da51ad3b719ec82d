#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Small senders and receivers that the tests run inside a namespace.

  agent.py echo PORT                          UDP, answers every datagram
  agent.py stream HOST PORT RATE SECONDS [AT_LEAST]
                                              sequence-numbered datagrams to an echo; fewer, but so
                                              many at least, if it is terminated; prints the port
                                              that they come from and, at the end, JSON
  agent.py raw INTERFACE HEX...               IP packets (or frames) straight onto an interface
  agent.py flood INTERFACE FILE RATE          the same, from a file with one a line, so many a second
  agent.py insist HOST PORT SECONDS SOURCE    TCP, a byte now and then; tells how it ends
  agent.py udp HOST PORT SOURCE_PORT SECONDS [SIZE [COUNT]]
                                              one datagram; prints the answers that come, as JSON;
                                              if it is terminated, no longer than until it has
                                              COUNT of them and no other one has followed
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
LINGER_S = 0.5  # how soon an answer too many would follow
BURST = 64  # packets that a queue on the way takes at once; the shortest have room for 500
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


def until_terminated():
    """A list that is no longer empty once this process has been asked to end."""
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    return asked


class Pace:
    """So many packets a second, evenly. After a time without the CPU what is late follows at twice
    the rate, not all at once: queues on the way would run over."""

    def __init__(self, rate):
        self.rate, self.start = rate, time.monotonic()
        self.asked, self.allowed = self.start, 1.0

    def may_send(self, sent):
        """How many may have been sent by now, when so many have been."""
        now = time.monotonic()
        self.allowed = min(self.allowed + 2 * self.rate * (now - self.asked), sent + BURST,
                           1 + self.rate * (now - self.start))
        self.asked = now
        return int(self.allowed)

    def due(self, sent):
        """When the next one may be sent, after so many."""
        return max(self.start + sent / self.rate,
                   self.asked + (sent + 1 - self.allowed) / (2 * self.rate))


def stream(host, port, rate, seconds, at_least=0):
    sock = socket.socket(family_of(host), socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    sock.connect((host, port))
    sock.setblocking(False)
    total = int(rate * seconds)
    seen, duplicates, overtaken, refused, sent, newest = set(), 0, 0, 0, 0, -1
    enough = until_terminated()
    print("started", sock.getsockname()[1], flush=True)
    pace = Pace(rate)
    late = pace.start + 2 * seconds + DRAIN_S  # should this machine not reach the rate
    last, longest, moved = pace.start, 0.0, pace.start
    while sent < total or len(seen) < total:
        now = time.monotonic()
        if (enough or now > late) and total > max(sent, at_least):
            total = max(sent, at_least)
            continue
        for _ in range(min(total, pace.may_send(sent)) - sent):
            try:
                sock.send(struct.pack("!Q", sent) + bytes(120))
            except BlockingIOError:
                select.select([], [sock], [], 0.1)  # what was sent before has not yet left
                break
            except OSError:
                refused += 1
            sent, moved = sent + 1, time.monotonic()
        due = pace.due(sent) if sent < total else moved + DRAIN_S
        if select.select([sock], [], [], max(0, due - time.monotonic()))[0]:
            try:
                number = struct.unpack_from("!Q", sock.recv(2048))[0]
            except OSError:
                refused += 1
                continue
            duplicates += number in seen
            overtaken += number < newest
            newest = max(newest, number)
            seen.add(number)
            moved = time.monotonic()
            longest, last = max(longest, moved - last), moved
        elif sent == total and now >= due:
            break
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
    pace, sent = Pace(rate), 0
    while sent < len(packets):
        for data in packets[sent:pace.may_send(sent)]:
            kind = 0x0800 if data[0] >> 4 == 4 else 0x86DD
            sock.sendto(data, (interface, kind if tunnel else 0))
            sent += 1
        time.sleep(max(0, pace.due(sent) - time.monotonic()))


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


def udp(host, port, source_port, seconds, size=8, count=0):
    enough = until_terminated()
    sock = socket.socket(family_of(host), socket.SOCK_DGRAM)
    sock.bind(("", source_port))
    sock.sendto(b"question".ljust(size, b"?"), (host, port))
    print("sent", flush=True)
    answers, end = [], time.monotonic() + seconds
    while True:
        now = time.monotonic()
        if enough and len(answers) >= count:
            enough, end = [], min(end, now + LINGER_S)
        # not all the time: a signal ends no select()
        if select.select([sock], [], [], max(0, min(end - now, 0.05)))[0]:
            data, peer = sock.recvfrom(65535)
            answers.append({"from": peer[0], "port": peer[1], "data": data.hex()})
        elif now >= end:
            break
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
    stream(arguments[0], int(arguments[1]), float(arguments[2]), float(arguments[3]),
           *(int(a) for a in arguments[4:]))
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
