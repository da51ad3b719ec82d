# SPDX-License-Identifier: BSD-3-Clause
"""200 seconds with real wireguard-go and the real clock: new keys at 120 s from either side, and the
old ones past their 180 s, under a stream that may lose nothing.

The first of these tests only begin the runs and the last ones, which are put behind all others of
the session, await their end: meanwhile the other tests run. A third client is the kernel's."""
import re
import time

import config as configs
import pytest
import test_kernel_wireguard as kernel
from conftest import log_folder, needs_programs
from guest import image
from lablib import topology
from lablib.netns import run, wait_until
from test_wireguard import INITIATION, RESPONSE, of_kind
from world import World

SECONDS = 200
RATE = 50  # packets per second, each way, of each client
PORT = topology.LISTEN_PORT
REKEY_S, REJECT_S = 120, 180
SLACK_S = 8  # a handshake may have to wait for the 5 s after another one, and the machine is busy
CLIENT_BEGINS, GATEWAY_BEGINS = "client1", "client2"
MESSAGES = f"udp port {PORT} and (udp[8] == 1 or udp[8] == 2)"


class Run:
    """client1 began its session itself; client2's was begun by the gateway."""

    def __init__(self, world):
        self.world = world
        world.up().connect()
        for client in world.clients.values():
            client.wait_handshake()
            assert all(client.pings(host, 3) for host in topology.INTERNET.values())
        self.ports = {name: self.wg(name, "listen-port")[0] for name in world.clients}
        self.capture = world.capture("router", "uplink", MESSAGES).__enter__()
        self.start_sessions()
        self.began = time.time()
        self.streams = {name: world.start_stream(name, topology.INTERNET["v4"], RATE, SECONDS)
                        for name in world.clients}

    def wg(self, name, what):
        client = self.world.clients[name]
        return client.run("wg", "show", client.interface, what).stdout.split()

    def start_sessions(self):
        """A new data plane initiates to all it knew; client1 forgets and begins anew after that."""
        world, before = self.world, {n: c.handshake() for n, c in self.world.clients.items()}
        wait_until(lambda: time.time() > max(before.values()) + 1, 30, "another second")
        world.gateway.dataplane.restarted(world.gateway.dataplane.kill())
        for name, client in world.clients.items():
            wait_until(lambda c=client, b=before[name]: c.handshake() > b, 30,
                       f"the gateway's handshake with {name}", 0.1)
        world.gateway.wait_ready()
        client = world.clients[CLIENT_BEGINS]
        config = client.run("wg", "showconf", client.interface).stdout
        client.run("wg", "set", client.interface, "peer", self.wg(CLIENT_BEGINS, "peers")[0],
                   "remove")
        client.run("wg", "addconf", client.interface, "/dev/stdin",
                   input=re.sub(r"(?s)\[Interface\].*?(?=\[Peer\])", "", config))
        client.wait_handshake(30)
        for client in world.clients.values():
            assert client.pings(topology.INTERNET["v4"], 3)

    def messages(self, name, kind):
        """(time since the streams began, was it sent by the gateway?) of handshake messages."""
        port = int(self.ports[name])
        return [(float(p.time) - self.began, p.payload.sport == PORT)
                for p in of_kind(self.capture.packets(), kind)
                if port in (p.payload.sport, p.payload.dport)]


class KernelRun:
    """The kernel's WireGuard, in its virtual machine, begins; it sends all the time."""

    SECONDS, EACH_SECOND = 150, 10

    def __init__(self, world, folder):
        self.world, self.host = world, topology.INTERNET["v4"]
        kernel.start(world, folder)
        # Before: whatever the guest sends when its interface comes up may begin the session.
        self.capture = world.capture("router", "uplink", MESSAGES).__enter__()
        world.vm.up(kernel.exported(world))
        assert world.vm.pings(self.host, 3) == 3
        self.began = world.vm.handshake()
        count = self.SECONDS * self.EACH_SECOND
        world.vm.run(f"ping -i {1 / self.EACH_SECOND} -c {count} {self.host} >/tmp/stream 2>&1 &")

    def counts(self):
        """(sent, received), once it has ended."""
        line = wait_until(lambda: self.world.vm.run("cat /tmp/stream | grep transmitted || true"),
                          self.SECONDS + 120, "the guest's stream to end", 1)
        return tuple(int(n) for n in re.match(r"(\d+) packets transmitted, (\d+)", line).groups())


@pytest.fixture(scope="session")
def kernel_run(request):
    needs_programs()
    folder = image()
    world = World(log_folder(request) / "kernel-rekey", kernel.config_of, clients=1)
    try:
        yield KernelRun(world, folder)
    finally:
        world.down()


@pytest.fixture(scope="session")
def long_run(request):
    needs_programs()
    world = World(log_folder(request) / "rekey")
    try:
        yield Run(world)
    finally:
        world.down()


def test_the_long_run_begins(long_run):
    for name in (CLIENT_BEGINS, GATEWAY_BEGINS):
        last = long_run.messages(name, INITIATION)[-1]
        assert last[1] == (name == GATEWAY_BEGINS), "who began the session"
        assert long_run.streams[name].poll() is None


def test_the_kernels_long_run_begins(kernel_run):
    first = [p.payload.sport == PORT for p in of_kind(kernel_run.capture.packets(), INITIATION)]
    assert first == [False], "the guest began the session"


@pytest.mark.last
@pytest.mark.parametrize("name", [CLIENT_BEGINS, GATEWAY_BEGINS])
def test_the_long_run_lost_nothing(long_run, name):
    result = long_run.world.whole(long_run.streams[name], SECONDS + 120)
    assert result["sent"] == RATE * SECONDS, result


@pytest.mark.last
@pytest.mark.parametrize("name", [CLIENT_BEGINS, GATEWAY_BEGINS])
def test_the_long_run_rekeyed_once(long_run, name):
    """At 120 s, by who had begun, with one initiation and one response; nothing else is due while
    the streams run. What keepalives renew until the other tests are over is not counted."""
    assert time.time() - long_run.began > REJECT_S
    for kind in (INITIATION, RESPONSE):
        seen = [m for m in long_run.messages(name, kind) if 0 < m[0] < SECONDS]
        assert len(seen) == 1, (kind, seen)
        when, by_gateway = seen[0]
        assert by_gateway == ((name == GATEWAY_BEGINS) == (kind == INITIATION))
        assert REKEY_S - SLACK_S - 30 < when < REKEY_S + SLACK_S, seen


@pytest.mark.last
def test_the_kernel_rekeyed_without_loss(kernel_run):
    """At 120 s, by itself, once; none of what it sent all the time was lost. (What keepalives renew
    later, while other tests run, is not counted.)"""
    sent, received = kernel_run.counts()
    assert sent == received == kernel_run.SECONDS * kernel_run.EACH_SECOND
    packets = kernel_run.capture.packets()
    ours, theirs = ([(float(p.time) - kernel_run.began, p.payload.sport == PORT)
                     for p in of_kind(packets, kind)] for kind in (RESPONSE, INITIATION))
    until = kernel_run.SECONDS
    began = [when for when, by_gateway in theirs if not by_gateway and when < until]
    answered = [when for when, by_gateway in ours if by_gateway and when < until]
    assert len(began) == len(answered) == 2, (began, answered)
    assert REKEY_S - 2 < began[1] < REKEY_S + SLACK_S, began
    assert not [when for when, by_gateway in theirs if by_gateway and when < until]
