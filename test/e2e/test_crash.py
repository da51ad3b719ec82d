# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 of the data plane: what must be the same afterwards, and what must be over. One client is
many peers, one after the other, each with its key."""
import base64
import contextlib
import glob
import hashlib
import sqlite3
import struct
import time
from datetime import datetime, timedelta, timezone

import config as configs
import pytest
from conftest import log_folder, needs_programs
from lablib import topology
from lablib.client import make_keys
from lablib.netns import wait_until
from test_wireguard import INITIATION, RESPONSE, STRANGER, again, of_kind, payload
from world import World

PEERS = 100
PORT = topology.LISTEN_PORT
FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"
POOL = [f"203.0.113.{n}" for n in (5, 6, 7, 8)]
POOL_V6 = [f"2001:db8:203::{n}" for n in (5, 6, 7, 8)]


class Crowd:
    """client1's interface with the addresses of all peers on it."""

    def __init__(self, world):
        self.world, self.client = world, world.clients["client1"]
        self.keys = {1: (self.client.key_file, self.client.public_key)}

    def be(self, number):
        """This peer from now on; an old session ends with the old key. Returns when that began."""
        began = time.time()
        self.client.run("wg", "set", self.client.interface, "private-key", self.keys[number][0])
        return began

    def wait_marks(self, since):
        """Until the store has of each of these peers that it began a handshake no sooner than then;
        a kill before that would forget it."""
        def missing():
            marks = stored_marks(self.world)
            return [n for n, began in since.items() if marks.get(self.keys[n][1], 0) < began - 0.1]

        wait_until(lambda: not missing(), 30, f"marks of {missing()}", 0.1)

    def seen_addresses(self, number):
        """From where the internet host sees this peer; one command, since there are many."""
        asks = " ; ".join(
            f"curl -sS -m 10 --interface {configs.overlay(number, family)} http://{host}/"
            for family, host in (("v4", topology.INTERNET["v4"]),
                                 ("v6", f"[{topology.INTERNET['v6']}]")))
        text = self.client.run("sh", "-ec", f"wg set {self.client.interface} private-key "
                               f"{self.keys[number][0]} ; {asks}").stdout
        return tuple(text.split())


def stored_marks(world):
    """Public key to Unix time of the last initiation that was taken (TAI64N; wireguard-go rounds
    down, to 17 ms)."""
    path = world.gateway.state_dir / "state.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as db:
        rows = db.execute("SELECT key, received FROM marks").fetchall()
    times = {key: struct.unpack(">QI", received) for key, received in rows}
    return {key: s - (1 << 62) - 10 + ns / 1e9 for key, (s, ns) in times.items()}


def is_to(initiation, public_key):
    """Whether its mac1 is made with this key of the receiver's."""
    key = hashlib.blake2s(b"mac1----" + base64.b64decode(public_key)).digest()
    message = payload(initiation)
    return hashlib.blake2s(message[:116], key=key, digest_size=16).digest() == message[116:132]


@pytest.fixture(scope="module")
def world(request):
    needs_programs()

    def config_of(clients, workers):
        config = configs.exit_node(clients, workers)
        for number in range(2, PEERS + 1):
            world.crowd_keys[number] = make_keys(world.lab, f"extra{number}")
            config["peers"][f"extra{number}"] = configs.peer(
                number, world.crowd_keys[number][1], ["everyone"])
        config["egress"] = {"pools": {"shared": {"addresses": POOL + POOL_V6}},
                            "rules": [{"from": {"groups": ["everyone"]}, "use": "shared"}],
                            "default": "deny"}
        return config

    world = World(log_folder(request), config_of, clients=1)
    world.crowd_keys = {}
    request.node.worlds = [world]
    try:
        yield world.up().connect()
    finally:
        world.down()


def test_the_data_plane_is_killed(world):
    """Each peer keeps its address; a connection from before ends, instead of hanging; an initiation
    from before is refused."""
    crowd, host = Crowd(world), topology.INTERNET["v4"]
    crowd.keys.update(world.crowd_keys)
    world.lab.ip_batch("client1", *(
        f"addr add {configs.overlay(n, f)}/{32 if f == 'v4' else 128} dev wg0"
        for n in range(2, PEERS + 1) for f in ("v4", "v6")))
    with world.capture("router", "uplink", f"udp dst port {PORT}") as capture:
        began, before = {}, {}
        for number in range(1, PEERS + 1):
            began[number] = time.time()
            before[number] = crowd.seen_addresses(number)
    assert {a for pair in before.values() for a in pair} == {*POOL, *POOL_V6}, before
    recorded = of_kind(capture.packets(), INITIATION)
    assert len(recorded) >= PEERS - 1  # client1 was connected

    began[1] = crowd.be(1)
    assert world.clients["client1"].pings(host, 5)
    connections = [world.start_agent("client1", "insist", topology.INTERNET[f], 80, 40,
                                     configs.overlay(1, f))
                   for f in ("v4", "v6")]
    crowd.wait_marks(began)
    with world.capture("router", "uplink", f"udp src port {PORT}") as asked:
        old = world.gateway.dataplane.kill()
        killed = time.monotonic()
        world.gateway.dataplane.restarted(old)
        world.gateway.wait_ready()
        wait_until(lambda: world.clients["client1"].pings(host, 1, 0.2), 30, "forwarding")
        wait_until(lambda: len(of_kind(asked.packets(), INITIATION)) >= PEERS, 30,
                   "an initiation to each")
    # Each has had one before the first that does not answer gets a second one.
    asked_first = of_kind(asked.packets(), INITIATION)[:PEERS]
    assert {n: sum(is_to(p, public) for p in asked_first)
            for n, (_, public) in crowd.keys.items()} == dict.fromkeys(crowd.keys, 1)
    print(f"forwarding again {time.monotonic() - killed:.1f} s after kill -9 of the data plane")
    results = [world.result(c) for c in connections]
    assert [r["end"] for r in results] == ["reset"] * 2, results

    with world.capture("router", "uplink", f"udp src port {PORT}") as answers:
        world.send_raw("router", "uplink", *(again(p, sport=STRANGER) for p in recorded))
        after = {n: crowd.seen_addresses(n) for n in range(1, PEERS + 1)}
    responses = [p["UDP"].dport for p in of_kind(answers.packets(), RESPONSE)]
    assert len(responses) >= PEERS - 1 and STRANGER not in responses
    assert after == before


def log_time(world):
    """The data plane's own clock, as its last line has it."""
    line = world.gateway.dataplane.log.read_text().splitlines()[-1]
    return datetime.strptime(line.split()[0], "%Y-%m-%dT%H:%M:%S.%f%z")


def test_the_clock_is_set_back(world):
    """By an hour, while the data plane is away: the client still takes the gateway's initiation,
    and the gateway the client's."""
    library = glob.glob(FAKETIME)
    if not library:
        pytest.skip("no libfaketime: apt-get install faketime")
    crowd, client, service = Crowd(world), world.clients["client1"], world.gateway.dataplane
    crowd.keys.update(world.crowd_keys)
    crowd.be(2)
    began = crowd.be(1)  # another key in between: the session is gone
    assert client.pings(topology.INTERNET["v4"], 5)
    crowd.wait_marks({1: began})
    service.set_before(f"export LD_PRELOAD={library[0]} FAKETIME=-1h "
                       "FAKETIME_DONT_FAKE_MONOTONIC=1")
    try:
        with world.capture("router", "uplink", f"udp port {PORT}") as capture:
            service.restarted(service.kill())

            def answered():
                """An initiation of the gateway's, and an answer to that."""
                senders = {payload(p)[4:8] for p in of_kind(capture.packets(), INITIATION)
                           if p["UDP"].sport == PORT}
                return any(payload(p)[8:12] in senders
                           for p in of_kind(capture.packets(), RESPONSE) if p["UDP"].dport == PORT)

            wait_until(answered, 30, "an answer to the gateway's initiation", 0.2)
        back = datetime.now(timezone.utc) - log_time(world)
        assert timedelta(minutes=55) < back < timedelta(minutes=65), back
        world.gateway.wait_ready()
        wait_until(lambda: client.pings(topology.INTERNET["v4"], 1, 0.5), 30, "forwarding")
        before = client.handshake()
        time.sleep(1)  # handshakes are counted in seconds
        crowd.be(2)
        crowd.be(1)
        wait_until(lambda: client.pings(topology.INTERNET["v4"], 1, 0.5), 30, "forwarding")
        assert client.handshake() > before
    finally:
        service.set_before("")
        service.restarted(service.kill())
        world.gateway.wait_ready()
    wait_until(lambda: client.pings(topology.INTERNET["v4"], 1, 0.5), 30, "forwarding")
