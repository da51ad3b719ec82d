# SPDX-License-Identifier: BSD-3-Clause
"""berlin/london: two groups of sources reach the same range through different routing peers."""
import re

import config as configs
import pytest
from conftest import SHAPES, shared_world
from lablib import topology
from lablib.internet import start_web
from lablib.netns import LabError, wait_until
from scapy.layers.inet import IP, UDP

OFFICE = "10.30.0.10"
PAIRS = (("client1", "client3"), ("client2", "client4"))


@pytest.fixture(scope="module", params=SHAPES)
def offices(request):
    with shared_world(request, configs.berlin_london, clients=4) as world:
        world.connect()
        for router in ("client3", "client4"):
            # The office's host is the routing peer itself: it tells by its name which one it is.
            world.lab.ip_batch(router, f"addr add {OFFICE}/32 dev lo")
            start_web(world.lab, world.logs, router)
            world.clients[router].wait_handshake()
        yield world


def who_answers(world, client):
    """The routing peer whose wg0 the packets for the office leave by."""
    counts = {}
    for router in ("client3", "client4"):
        counts[router] = world.capture(router, "wg0", f"icmp and dst host {OFFICE}")
    with counts["client3"] as three, counts["client4"] as four:
        assert world.clients[client].pings(OFFICE, 3)
    seen = {"client3": len(three.packets()), "client4": len(four.packets())}
    return [router for router, n in seen.items() if n]


def test_each_group_has_its_own_office(offices):
    for client, router in PAIRS:
        assert who_answers(offices, client) == [router]
        assert offices.clients[client].seen_address(OFFICE) == configs.overlay(int(client[-1]))
    offices.expect_handoffs()


def test_replies_through_the_other_routing_peer_are_accepted(offices):
    client, source_port = "client1", 40300
    question = offices.start_question(client, OFFICE, 9999, source_port)
    wait_until(lambda: source_port in [f["sport"] for f in offices.gateway.json(
        "flows", "--peer", client)["flows"]], 30, "the flow", 0.1)
    reply = IP(src=OFFICE, dst=configs.overlay(1)) / UDP(sport=9999, dport=source_port) / b"reply"
    offices.send_raw("client4", "wg0", reply)
    answers = offices.answers(question)
    assert [bytes.fromhex(a["data"]) for a in answers] == [b"reply"]
    assert answers[0]["from"] == OFFICE
    offices.expect_handoffs()


WAYS = ("packets", "bytes", "reply_packets", "reply_bytes")
PEER = ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes")


def figures(world):
    """Packets and bytes there and back of whatever counts them."""
    def rows(path, kind=None):
        return world.gateway.json(path)[kind or path.replace("-", "_")]

    def pairs(path, names, kind=None):
        return {(path, row["name"]): tuple(row[n] for n in names) for row in rows(path, kind)}

    addresses = [a for pool in rows("egress", "pools") for a in pool["addresses"]]
    return {**pairs("peers", PEER), **pairs("routes", WAYS), **pairs("exit-nodes", WAYS),
            **pairs("policy", WAYS, "policies"),
            **{("egress", a["address"]): tuple(a[n] for n in ("tx_packets", "tx_bytes",
                                                             "rx_packets", "rx_bytes"))
               for a in addresses}}


def test_statistics_are_right_to_the_packet(offices):
    """A stream to an office and one of half its rate to the internet, at the same time: each packet
    counts in all the objects that it has to do with, and in no other. They are so few that no queue
    on the way could run over, whoever gets no CPU meanwhile."""
    world, size, rate, seconds = offices, 20 + 8 + 8 + 120, 100, 2
    world.start_echo("client3")
    world.lab.ip_batch("client3", f"route replace {configs.overlay(1)} dev wg0 src {OFFICE}")
    host = topology.INTERNET["v4"]
    assert world.clients["client1"].pings(OFFICE)
    assert world.clients["client2"].pings(host)
    handed = world.handoffs()
    world.wait_published()
    before = figures(world)
    streams = [world.start_stream("client1", OFFICE, rate, seconds),
               world.start_stream("client2", host, rate / 2, seconds)]
    for stream in streams:
        result = world.result(stream)
        assert result["received"] == result["sent"] and not result["refused"], result
    expected, sent = {key: (0,) * 4 for key in before}, rate * seconds
    for packets, keys in (
            (sent, [("peers", "client1"), ("routes", "office-berlin"), ("policy", "to-berlin")]),
            (sent // 2, [("peers", "client2"), ("exit-nodes", "internet"), ("policy", "internet"),
                         ("egress", topology.EGRESS["client2"]["v4"])]),
            (sent, [("peers", "client3")])):
        expected |= {key: (packets, packets * size) * 2 for key in keys}

    def risen():
        return {key: tuple(b - a for a, b in zip(before[key], now))
                for key, now in figures(world).items()}

    try:
        wait_until(lambda: risen() == expected, 30, "the figures", 0.2)
    except LabError:
        assert risen() == expected
    world.expect_handoffs(handed)


# -- mapped prefixes: two sites with the same range -------------------------------------------------

SITES = {"client2": ("site2", {"v4": "10.201.0.10", "v6": "fdaa:1::10"}),
         "client3": ("site3", {"v4": "10.202.0.10", "v6": "fdaa:2::10"})}
REAL = {"v4": "192.168.1.10", "v6": "fd01::10"}
FAMILIES = ("v4", "v6")


@pytest.fixture(scope="module", params=SHAPES)
def sites(request):
    """A network 192.168.1.0/24, fd01::/64 behind each of two clients, with a host in it."""
    with shared_world(request, configs.mapped_sites, clients=3) as world:
        world.connect()
        for router, (site, _) in SITES.items():
            world.lab.add_node(site)
            world.lab.wire(router, "lan", site, "eth0")
            world.lab.ip_batch(router, "link set lan up", "addr add 192.168.1.1/24 dev lan",
                               "addr add fd01::1/64 dev lan nodad")
            world.lab.ip_batch(site, "link set eth0 up", "addr add 192.168.1.10/24 dev eth0",
                               "addr add fd01::10/64 dev eth0 nodad",
                               "route add default via 192.168.1.1", "route add default via fd01::1")
            world.lab.sysctl(router, net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
            start_web(world.lab, world.logs, site)
            world.clients[router].wait_handshake()
        yield world


def asks(world, node, host):
    """The address under which the web server on the host knows this node."""
    where = f"[{host}]" if ":" in host else host
    return world.lab.run(node, "curl", "-sS", "-m", "20", f"http://{where}/").stdout.strip()


def test_sites_with_the_same_range(sites):
    for family in FAMILIES:
        for router, (site, seen) in SITES.items():
            with sites.capture(site, "eth0", "tcp[tcpflags] & tcp-syn != 0 or ip6") as here:
                assert asks(sites, "client1", seen[family]) == configs.overlay(1, family)
            assert here.packets(), f"{seen[family]} is not at {site}"
            # What the site opens comes from its own name.
            with sites.capture("client1", "wg0", "icmp or icmp6") as capture:
                assert sites.lab.run(site, "ping", "-n", "-c", "2", "-W", "10",
                                     configs.overlay(1, family)).returncode == 0
            sources = {p.src for p in capture.packets()}
            assert sources == {seen[family], configs.overlay(1, family)}
        # From site to site both ends have another name.
        (here, mine), (_, theirs) = SITES["client2"], SITES["client3"]
        assert asks(sites, here, theirs[family]) == mine[family]
        # The end of the way says so itself: a port unreachable, translated.
        output = sites.clients["client1"].run("traceroute", f"-{family[1]}", "-n", "-q", "1", "-w",
                                              "5", "-m", "5", theirs[family], timeout=60).stdout
        hops = re.findall(r"^ *\d+ +([0-9a-f.:]+)", output, re.M)
        assert hops[-1] == theirs[family], output
    sites.expect_handoffs()


def test_why_and_routes_show_the_map(sites):
    routes = sites.gateway.cli("routes").stdout
    assert "10.201.0.0/24=192.168.1.0/24" in routes
    answer = sites.gateway.json("why", "client1", "10.202.0.10:80")
    assert answer["allowed"] and answer["next_hop"]["peer"] == "client3"
    assert answer["next_hop"]["address"] == REAL["v4"]
    answer = sites.gateway.json("why", REAL["v4"], "10.202.0.10:80", "--as", "client2")
    assert answer["allowed"] and answer["source"]["peer"] == "client2"
    # and so it is
    assert asks(sites, SITES["client2"][0], "10.202.0.10") == "10.201.0.10"
    sites.expect_handoffs()


INSIDE, OUTSIDE = "fd01:203:405:1::1234", "2001:db8:1:d550::1234"  # the example of RFC 6296


def test_prefix_translation(sites):
    """NPTv6: a host of the site is on the internet under another prefix, both ways."""
    site, host, handed = SITES["client2"][0], topology.INTERNET["v6"], sites.handoffs()
    sites.lab.ip_batch("client2", "addr add fd01:203:405:1::1/64 dev lan nodad")
    sites.lab.ip_batch(site, f"addr add {INSIDE}/64 dev eth0 nodad")
    sites.lab.ip_batch("internet", "route add 2001:db8:1::/48 via 2001:db8:203::2")
    assert sites.lab.run(site, "curl", "-sS", "-m", "20", "--interface", INSIDE,
                         f"http://[{host}]/").stdout.strip() == OUTSIDE
    assert asks(sites, "internet", OUTSIDE) == host
    # Errors of both sides: a closed port of the internet host's, and one of the site's.
    for node, target, source in ((site, host, INSIDE), ("internet", OUTSIDE, None)):
        command = ["traceroute", "-6", "-n", "-q", "1", "-w", "5", "-m", "6", target]
        output = sites.lab.run(node, *command, *(["-s", source] if source else []),
                               timeout=60).stdout
        hops = re.findall(r"^ *\d+ +([0-9a-f.:]+)", output, re.M)
        assert hops[-1] == target, output
    answer = sites.gateway.json("why", INSIDE, f"[{host}]:80", "--as", "client2")
    assert answer["allowed"] and answer["egress"] is None, answer
    assert (answer["source"]["seen"], answer["source"]["real"]) == (OUTSIDE, INSIDE)
    text = sites.gateway.cli("why", INSIDE, f"[{host}]:80", "--as", "client2").stdout
    assert f"{OUTSIDE}={INSIDE}" in text
    answer = sites.gateway.json("why", host, f"[{OUTSIDE}]:80")
    assert answer["allowed"] and answer["next_hop"]["address"] == INSIDE
    nothing = sites.gateway.cli("why", host, "[2001:db8:1:ffff::5]:80", check=False)
    assert nothing.returncode == 1 and "RFC 6296" in nothing.stdout
    # The web requests of both ways, as flows: known by the names of outside, real ones beside.
    flows = {(f["from"], f["to"]): f for f in sites.gateway.json("flows")["flows"]
             if f["protocol"] == "tcp"}
    out, back = flows["client2", "port:inet"], flows["port:inet", "client2"]
    assert (out["src"], out["src_real"], out["dst_real"]) == (OUTSIDE, INSIDE, None)
    assert (back["dst"], back["dst_real"], back["src_real"]) == (OUTSIDE, INSIDE, None)
    assert out["nat"] is None and back["nat"] is None
    assert f"[{OUTSIDE}={INSIDE}]" in sites.gateway.cli("flows").stdout
    sites.expect_handoffs(handed)
