# SPDX-License-Identifier: BSD-3-Clause
"""Under attack, from a peer and from the plain side: the flow table's bounds hold and count, and a
stream that was there before loses nothing."""
import collections
import contextlib
import re

import config as configs
import malformed
import pytest
from conftest import ROOT, WORKERS, log_folder, needs_programs
from lablib import topology
from lablib.netns import LabError, wait_until
from packets import colliding, ipv4, syn, udp
from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether
from world import World

LIMIT = 4096  # flows of one worker; of one peer or port half of them, half-open a sixteenth
INTERNET = topology.INTERNET["v4"]
SILENT = "192.0.2.{}"  # routed to the internet host, which has only one address there
RATE = 2500
STREAM_SECONDS = 3
FORWARD = {"address": topology.EGRESS["client1"]["v4"], "protocol": "tcp", "ports": 8080,
           "to": {"peer": "client1"}, "from": "any"}


def besieged(clients, workers):
    config = configs.exit_node(clients, workers)
    config["egress"]["rules"].append({"from": {"peers": ["client3"]}, "use": "of-client2"})
    config["forwards"] = {"web": FORWARD}
    config["policies"].append({"name": "let-in", "from": {"port": "inet"},
                               "to": {"forwards": ["web"]}, "action": "allow"})
    return config


@pytest.fixture(scope="module", params=WORKERS)
def world(request):
    needs_programs()
    workers = request.param
    world = World(log_folder(request) / f"workers-{workers}", besieged, workers=workers, clients=3,
                  options=["--max-flows", LIMIT * workers])
    request.node.worlds = getattr(request.node, "worlds", []) + [world]
    try:
        world.up().connect()
        # what is forwarded to client1 ends there without an answer
        world.lab.run("client1", "nft", "-f", "-", input=(
            "table ip quiet { chain in { type filter hook input priority 0; "
            "tcp dport 8080 drop; }; }\n"))
        for client in world.clients.values():
            assert client.pings(INTERNET, 3)
        yield world
    finally:
        world.down()


def flow_of(world, stream):
    """The one from its port: those of streams before are still there."""
    flows = world.gateway.json("flows", "--peer", "client1")["flows"]
    return next((f for f in flows if (f["protocol"], f["dst"], f["sport"]) ==
                 ("udp", INTERNET, stream.port)), None)


@contextlib.contextmanager
def unharmed(world):
    """A stream of client1's runs from before to after what is done in the block, loses nothing, and
    keeps the one flow that it began with."""
    handed = world.handoffs()
    stream = world.start_stream("client1", INTERNET, 400, STREAM_SECONDS)
    before = wait_until(lambda: flow_of(world, stream), 30, "the stream's flow", 0.1)
    yield
    flow = flow_of(world, stream)
    result = world.whole(stream)
    assert (flow["sport"], flow["nat_port"]) == (before["sport"], before["nat_port"])
    wait_until(lambda: flow_of(world, stream)["packets"] >= result["received"], 30,
               f"all of {result['received']} packets in one flow", 0.2)
    world.expect_handoffs(handed)


def flood(world, node, interface, packets):
    """At a rate that the sender's own queues stand."""
    file = world.lab.state / f"{node}.flood"
    file.write_text("\n".join(p.hex() for p in packets))
    world.agent(node, "flood", interface, file, RATE, timeout=60)


def flows_of(world, name):
    peers = {p["name"]: p for p in world.gateway.json("peers")["peers"]}
    return peers[name]["flows"]


def test_colliding_flows(world):
    """1,500 flows with one CRC32C: all of them are taken, none takes another's place."""
    packets = colliding(configs.overlay(2, "v6"), 1500)
    full = world.drops("flow.table_full")
    with unharmed(world):
        # again, should the sender's own queues not have taken all of them
        wait_until(lambda: flood(world, "client2", "wg0", packets) or
                   flows_of(world, "client2") >= 1400, 30, "flows of client2", 0.2)
    assert world.drops("flow.table_full") == full


def test_flood_of_syns_from_a_peer(world):
    """It gets a sixteenth of the table, counted; others open connections meanwhile."""
    packets = [ipv4(configs.overlay(3), SILENT.format(1 + n % 60), 6, syn(2000 + n, 1 + n % 999))
               for n in range(LIMIT // 2)]
    with unharmed(world):
        world.expect_drops("flow.peer_half_open",
                           lambda: flood(world, "client3", "wg0", packets), LIMIT // 8, 30)
        for name in ("client1", "client2"):
            assert world.clients[name].seen_address(INTERNET) == topology.EGRESS[name]["v4"]
    assert LIMIT // 32 < flows_of(world, "client3") <= LIMIT // 16 + 10
    assert world.drops("flow.half_open_full") == 0


def test_flood_of_syns_from_the_plain_side(world):
    """To a forwarded port, where they make flows up to the port's bound, and to one that is not."""
    mac, outside = world.port_mac("inet"), FORWARD["address"]

    def frames(port):
        head = bytes(Ether(dst=mac, src=world.lab.run(
            "internet", "cat", "/sys/class/net/eth0/address").stdout.strip(), type=0x0800))
        return [head + ipv4(SILENT.format(1 + n % 60), outside, 6, syn(2000 + n, port))
                for n in range(LIMIT // 4)]

    with unharmed(world):
        world.expect_drops("flow.peer_half_open", lambda: flood(
            world, "internet", "eth0", frames(8080)), LIMIT // 16, 30)
        world.expect_drops("flow.unsolicited", lambda: flood(
            world, "internet", "eth0", frames(8081)), LIMIT // 8, 30)
        assert world.clients["client2"].seen_address(INTERNET)


# -- malformed packets --------------------------------------------------------------------------

ADDRESSES = {4: topology.EGRESS["client1"]["v4"], 6: topology.EGRESS["client1"]["v6"]}
FAMILY = {4: "v4", 6: "v6"}


def expect_exactly(world, counters, act):
    """Does act(); each counter of a packet's or a port's rises by as much as it is named, and no
    other one does."""
    def looked_at():
        return {k: n for k, n in world.gateway.drops().items()
                if k in malformed_counters or k.split(".")[0] in ("packet", "wireguard")}

    def risen():
        now = looked_at()
        return collections.Counter({k: n - before.get(k, 0) for k, n in now.items()
                                    if n != before.get(k, 0)})

    malformed_counters = {k.counter for k in malformed.KINDS} | {
        *malformed.FRAMES.values(), *malformed.MESSAGES.values()}
    before, expected = looked_at(), collections.Counter(counters)
    act()
    try:
        wait_until(lambda: risen() == expected, 30, "the counters", 0.1)
    except LabError:
        assert risen() == expected


def kinds(where, family):
    return [k for k in malformed.KINDS if where in k.where and k.family == family]


def on_plain_port(world, family):
    """Frames, and what they raise."""
    mac = world.port_mac("inet")
    head = bytes(Ether(dst=mac, src="02:00:00:00:00:77", type=0x0800 if family == 4 else 0x86DD))
    chosen = kinds(malformed.PLAIN, family)
    sent = [head + k.make(topology.INTERNET[FAMILY[family]], ADDRESSES[family]) for k in chosen]
    counters = [k.counter for k in chosen]
    if family == 4:
        sent += malformed.frames(mac, INTERNET, ADDRESSES[4], configs.overlay(1))
        counters += malformed.FRAMES.values()
    return counters, sent


def in_tunnel(family):
    chosen = kinds(malformed.TUNNEL, family)
    return [k.counter for k in chosen], [
        k.make(configs.overlay(2, FAMILY[family]), topology.INTERNET[FAMILY[family]])
        for k in chosen]


def test_malformed_packets(world):
    def data_messages():
        return [p for p in capture.packets() if bytes(p[UDP].payload)[:1] == b"\x04"]

    with world.capture("router", "uplink", "udp dst port 51820") as capture:
        assert world.clients["client2"].pings(INTERNET)
        frame = wait_until(data_messages, 30, "a data message")[0]
    with unharmed(world):
        for family in (4, 6):
            counters, sent = on_plain_port(world, family)
            expect_exactly(world, counters, lambda: world.send_raw("internet", "eth0", *sent))
            counters, sent = in_tunnel(family)
            expect_exactly(world, counters, lambda: world.send_raw("client2", "wg0", *sent))
        expect_exactly(world, malformed.MESSAGES.values(), lambda: world.send_raw(
            "router", "uplink", *malformed.messages(frame)))


def test_every_kind_stands_in_the_table():
    """docs/conformance/malformed.md: a row of each kind, with its counter."""
    rows = re.findall(r"^\| ([^|]+?) \| (?:both|plain|tunnel|port|WireGuard) \| `([a-z_.0-9]+)` \|$",
                      (ROOT / "docs/conformance/malformed.md").read_text(), re.M)
    assert rows == [(k.name, k.counter) for k in malformed.KINDS] + [
        *malformed.FRAMES.items(), *malformed.MESSAGES.items()]
    assert len(rows) >= 20


# -- the end of room, last: little else finds any afterwards -------------------------------------


def test_more_flows_than_there_is_room_for(world):
    """A peer's own bound first, then the table's: counted refusals, and who is there stays."""
    def packets(number):
        return [ipv4(configs.overlay(number), SILENT.format(1 + n % 60), 17,
                     udp(2000 + n, 1 + n % 999)) for n in range(LIMIT * 5 // 8)]

    with unharmed(world):
        before, first = world.drops("flow.peer_full"), packets(2)
        wait_until(lambda: flood(world, "client2", "wg0", first) or
                   world.drops("flow.peer_full") >= before + LIMIT // 16, 30, "refusals", 0.2)
        assert flows_of(world, "client2") <= LIMIT // 2 + 10
        if world.workers == 1:
            world.expect_drops("flow.table_full", lambda: flood(
                world, "client3", "wg0", packets(3)), 1, 30)
            assert sum(p["flows"] for p in world.gateway.json("peers")["peers"]) <= LIMIT
