# SPDX-License-Identifier: BSD-3-Clause
"""What the NAT owes to fragments and errors, seen from real clients behind the exit node.

With one and three workers, on af_xdp ports of one queue and on af_packet ports of two."""
import copy
import itertools
import json
import re
import sys

import config as configs
import pytest
from conftest import log_folder, needs_programs
from lablib import topology
from lablib.netns import wait_until
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from world import ECHO_PORT, World

FAMILIES = ("v4", "v6")


WORKERS_AND_QUEUES = [pytest.param((workers, queues), id=f"{workers}-workers-{queues}-queues")
                      for workers in (1, 3) for queues in (1, 2)]


def xdp_exit_node(clients, workers=1):
    config = configs.exit_node(clients, workers)
    for name, port in config["ports"].items():
        port["queues"] = 1
        port["device"] = f"net_af_xdp_{name},iface={name},start_queue=0,queue_count=1"
    return config


def packet_exit_node(clients, workers=1):
    config = configs.exit_node(clients, workers)
    config["ports"] = configs.ports(2)  # for one worker, too: it reads both queues
    return config


@pytest.fixture(scope="module", params=WORKERS_AND_QUEUES)
def exit_world(request):
    needs_programs()
    workers, queues = request.param
    world = World(log_folder(request) / f"workers-{workers}-queues-{queues}",
                  xdp_exit_node if queues == 1 else packet_exit_node, workers=workers)
    request.node.worlds = getattr(request.node, "worlds", []) + [world]
    try:
        yield world.up().connect()
    finally:
        world.down()


def answers(world, family, size, source_port, seconds=30):
    """What the echo on the internet sends back to one datagram of this size."""
    return world.answers(world.start_question("client1", topology.INTERNET[family], ECHO_PORT,
                                              source_port, 1, size, seconds))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [1393, 4000, 8000])
def test_large_pings(exit_world, family, size):
    """Fragments out and back. In IPv6 the first answer may only teach the path's MTU."""
    client, host = exit_world.clients["client1"], topology.INTERNET[family]
    wait_until(lambda: client.pings(host, 1, 1, "-s", size), 30, "the path's MTU", 0.1)
    client.pings_all(host, 10, "-s", size)


@pytest.mark.parametrize("family", FAMILIES)
def test_large_datagrams(exit_world, family):
    ports = itertools.count(20300)  # none hears the answer to one before
    wait_until(lambda: answers(exit_world, family, 3000, next(ports), 1), 30, "an answer", 0.1)
    got = answers(exit_world, family, 3000, next(ports))
    assert len(got) == 1 and len(got[0]["data"]) == 2 * 3000


def test_answers_are_cut_to_the_tunnel(exit_world):
    """No fragment that reaches the client is larger than its tunnel."""
    with exit_world.capture("client1", "wg0", f"ip dst {configs.overlay(1)}") as capture:
        assert exit_world.clients["client1"].pings(topology.INTERNET["v4"], 1, 10, "-s", 4000)
        # 1,500 + 1,500 + 1,068 bytes on the wire, the first two of them cut in two
        wait_until(lambda: len(capture.packets()) >= 5, 30, "five pieces", 0.1)
    assert all(len(p) <= 1420 for p in capture.packets())


def test_identifications_are_the_gateways(exit_world):
    """RFC 6864: what leaves in pieces has a number that two clients cannot both have chosen."""
    filter_ = "src net 203.0.113.4/30 and ip[6:2] & 0x1fff = 0 and ip[6:2] & 0x2000 != 0"
    with exit_world.capture("internet", "eth0", filter_) as capture:
        for name in ("client1", "client2"):
            assert exit_world.clients[name].pings(topology.INTERNET["v4"], 4, 10, "-s", 3000)
        wait_until(lambda: len(capture.packets()) >= 8, 30, "eight first fragments", 0.1)
    numbers = [p["IP"].id for p in capture.packets()]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("family", FAMILIES)
def test_traceroute_shows_the_gateway(exit_world, family):
    output = exit_world.clients["client1"].run(
        "traceroute", f"-{family[1]}", "-n", "-q", "2", "-w", "5", "-m", "4",
        topology.INTERNET[family], timeout=60).stdout
    hops = [re.findall(r"^ *\d+ +([0-9a-f.:]+)", line) for line in output.splitlines()[1:]]
    gateway = {"v4": "100.64.0.1", "v6": "fd64::1"}[family]
    assert hops == [[gateway], [topology.INTERNET[family]]], output


@pytest.mark.parametrize("family", FAMILIES)
def test_tracepath_shows_the_gateway(exit_world, family):
    host, gateway = topology.INTERNET[family], {"v4": "100.64.0.1", "v6": "fd64::1"}[family]
    output = exit_world.clients["client1"].run("tracepath", f"-{family[1]}", "-n", "-m", "4", host,
                                               timeout=60).stdout
    hops = re.findall(r"^ *(\d+): +([0-9a-f.:]+) ", output, re.M)
    assert list(dict.fromkeys(hops)) == [("1", gateway), ("2", host)], output
    assert re.search(r"Resume: pmtu 1420 hops 2 back 2", output), output


def test_fragments_go_between_workers(exit_world):
    before = exit_world.handoffs()
    assert exit_world.clients["client1"].pings(topology.INTERNET["v4"], 3, 10, "-s", 4000)
    exit_world.expect_handoffs(before)


def test_late_fragments_end_counted(exit_world):
    """Later fragments without a first one do not stay, and leave a trace."""
    packets = [IP(src=configs.overlay(1), dst=topology.INTERNET["v4"], id=7, frag=100 * i,
                  proto=17) / bytes(800) for i in (1, 2, 3)]
    exit_world.expect_drops("flow.fragment_late",
                            lambda: exit_world.send_raw("client1", "wg0", *packets), at_least=3)


OUTER = {"v4": ("198.51.100.0/24", f"{topology.WAN['v4']}:51820"),
         "v6": ("2001:db8:100::/64", f"[{topology.WAN['v6']}]:51820")}


@pytest.mark.parametrize("family", FAMILIES)
def test_tunnel_packets_in_pieces(exit_world, family):
    """The last link to the gateway takes 1,280 bytes: what is longer comes in fragments, cut by
    the router or, once it knows, by the client."""
    client, (network, endpoint) = exit_world.clients["client1"], OUTER[family]
    key = client.run("wg", "show", "wg0", "peers").stdout.strip()
    route = ["ip", f"-{family[1]}", "route", "replace", network, "dev", "uplink",
             *(["metric", "256"] if family == "v6" else [])]  # the kernel's own route
    later = "ip[6:2] & 0x1fff != 0" if family == "v4" else "ip6[6] = 44"
    host = topology.INTERNET["v4"]
    try:
        exit_world.lab.run("router", *route, "mtu", "1280")
        client.run("wg", "set", "wg0", "peer", key, "endpoint", endpoint)
        wait_until(lambda: client.pings(host, 1, 1, "-s", 1350), 30, "the path's MTU", 0.1)
        with exit_world.capture("router", "uplink", later) as capture:
            client.pings_all(host, 10, "-s", 1350)
            wait_until(lambda: len(capture.packets()) >= 10, 30, "fragments on the wire", 0.1)
    finally:
        exit_world.lab.run("router", *route)
        client.run("wg", "set", "wg0", "peer", key, "endpoint", OUTER["v4"][1])


# -- what a rule says about its mappings ------------------------------------------------------------

OUTSIDE, HOST, OTHER = topology.EGRESS["client1"]["v4"], topology.INTERNET["v4"], topology.FAR["v4"]
# Sends one datagram from each of these ports, alternately to these; prints who was answered.
ASK = """
import select, socket, sys, time
first, count, port, *hosts = sys.argv[1:]
socks = []
for i in range(int(count)):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", int(first) + 2 * i))
    sock.connect((hosts[i % len(hosts)], int(port)))
    socks.append(sock)
left = dict.fromkeys(socks)
for _ in range(40):
    for sock in left:
        sock.send(b"question")
    for sock in select.select(list(left), [], [], 0.5)[0]:
        left.pop(sock)
    if not left:
        break
print(len(left))
"""


def ruled(world, **options):
    """The configuration with these options in client1's rule."""
    config = copy.deepcopy(world.config)
    config["egress"]["rules"][0].update(options)
    return config


def flows_from(world, ports):
    """client1's UDP flows from these ports of its own."""
    flows = world.gateway.json("flows", "--peer", "client1", "--max", "10000")["flows"]
    return [f for f in flows if f["protocol"] == "udp" and f["sport"] in ports]


def mapping_of(world, port):
    return wait_until(lambda: flows_from(world, [port]), 30, "the flow", 0.1)[0]["nat_port"]


def ask_from(world, first, count, *hosts):
    left = world.lab.run("client1", sys.executable, "-c", ASK, first, count, ECHO_PORT,
                         *(hosts or [HOST]), timeout=60).stdout
    assert left.strip() == "0", f"{left} without an answer"


def send_in(world, source, source_port, port):
    packet = IP(src=source, dst=OUTSIDE) / UDP(sport=source_port, dport=port) / b"from outside"
    world.send_raw("internet", "eth0", Ether(dst=world.port_mac("inet")) / packet)


@pytest.mark.parametrize("number, filtering, let_in", [
    (0, "address-port", []),
    (1, "address", [(HOST, 9)]),
    (2, "endpoint-independent", [(HOST, 9), (OTHER, 9)]),
])
def test_who_may_send_in(exit_world, number, filtering, let_in):
    """The host that was asked, from another of its ports, and a host that nobody asked."""
    own_port = 21000 + number
    assert exit_world.clients["client1"].pings(OTHER)  # the way back there is known
    with exit_world.changed(ruled(exit_world, filtering=filtering)):
        question = exit_world.start_question("client1", HOST, ECHO_PORT, own_port, 1 + len(let_in))
        port = mapping_of(exit_world, own_port)
        refused = 2 - len(let_in)
        before = exit_world.drops("flow.unsolicited")
        for source in (HOST, OTHER):
            send_in(exit_world, source, 9, port)
        wait_until(lambda: exit_world.drops("flow.unsolicited") >= before + refused, 30,
                   "the refusals", 0.1)
        got = [(a["from"], a["port"]) for a in exit_world.answers(question)]
    assert sorted(got) == sorted([(HOST, ECHO_PORT), *let_in])


def users_of(exit_world, port):
    answer = exit_world.gateway.cli("egress", "who", f"{OUTSIDE}:{port}", "-j", check=False)
    return [user["who"] for user in json.loads(answer.stdout).get("users", [])]


def test_ports_are_shared(exit_world):
    """Sockets of one port outside, each to another destination, and each hears its own."""
    count = 200
    assert exit_world.clients["client1"].pings(OTHER)
    with exit_world.changed(ruled(exit_world, mapping="endpoint-dependent")):
        ask_from(exit_world, 22000, count, HOST, OTHER)
        flows = flows_from(exit_world, range(22000, 22000 + 2 * count))
        # The log of port blocks, which is written a moment later, names no one for such a port.
        users = wait_until(lambda: users_of(exit_world, flows[0]["nat_port"]), 30,
                           "the port block in the log")
        assert users == ["all who share ports"], flows[0]
    assert len(flows) == count
    users = {}
    for flow in flows:
        users.setdefault(flow["nat_port"], []).append(flow["dst"])
    # of 1,024 ports; two of one destination never meet
    assert len(users) < count and all(len(set(d)) == len(d) for d in users.values())


def test_parity_can_be_left(exit_world):
    ports = range(23000, 23032, 2)
    ask_from(exit_world, ports[0], len(ports))
    assert all(f["nat_port"] % 2 == 0 for f in flows_from(exit_world, ports))
    ports = range(23100, 23164, 2)
    with exit_world.changed(ruled(exit_world, keep_parity=False)):
        ask_from(exit_world, ports[0], len(ports))
        assert {f["nat_port"] % 2 for f in flows_from(exit_world, ports)} == {0, 1}


def test_limits_by_configuration(exit_world):
    """Of twelve new flows of a peer that may have eight."""
    packets = [IP(src=configs.overlay(1), dst=HOST) / UDP(sport=25000 + n, dport=9) / b"."
               for n in range(12)]
    with exit_world.changed({**exit_world.config, "limits": {"flows_per_peer": 8}}):
        exit_world.expect_drops("flow.peer_full", at_least=4,
                                act=lambda: exit_world.send_raw("client1", "wg0", *packets))
    exit_world.send_raw("client1", "wg0", *packets)
    wait_until(lambda: len(flows_from(exit_world, range(25000, 25012))) == 12, 30, "all of them",
               0.1)


def test_timeouts_by_configuration(exit_world):
    """A mapping of three seconds: then its port is nobody's."""
    config = copy.deepcopy(exit_world.config)
    config["timeouts"] = {"udp": 3, "below_rfc": True}
    with exit_world.changed(config):
        ask_from(exit_world, 24000, 1)
        port = mapping_of(exit_world, 24000)
        wait_until(lambda: not flows_from(exit_world, [24000]), 30, "the end of the flow", 0.2)
        exit_world.expect_drops("flow.unsolicited",
                                lambda: send_in(exit_world, HOST, ECHO_PORT, port))
