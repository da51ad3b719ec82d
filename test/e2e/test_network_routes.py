# SPDX-License-Identifier: BSD-3-Clause
"""berlin/london: two groups of sources reach the same range through different routing peers."""
import config as configs
import pytest
from conftest import WORKERS
from lablib.internet import start_web
from scapy.layers.inet import IP, UDP

OFFICE = "10.30.0.10"
PAIRS = (("client1", "client3"), ("client2", "client4"))


@pytest.fixture(params=WORKERS)
def offices(request, make_world):
    world = make_world(configs.berlin_london, workers=request.param, clients=4).connect()
    for router in ("client3", "client4"):
        # The office's host is the routing peer itself: it tells by its name which one it is.
        world.lab.ip_batch(router, f"addr add {OFFICE}/32 dev lo")
        start_web(world.lab, world.logs, router)
        world.clients[router].wait_handshake()
    return world


def who_answers(world, client):
    """The routing peer whose wg0 the packets for the office leave by."""
    counts = {}
    for router in ("client3", "client4"):
        counts[router] = world.capture(router, "wg0", f"icmp and dst host {OFFICE}")
    with counts["client3"] as three, counts["client4"] as four:
        assert world.clients[client].pings(OFFICE, 3, 2)
    seen = {"client3": len(three.packets()), "client4": len(four.packets())}
    return [router for router, n in seen.items() if n]


def test_each_group_has_its_own_office(offices):
    for client, router in PAIRS:
        assert who_answers(offices, client) == [router]
        assert offices.clients[client].seen_address(OFFICE) == configs.overlay(int(client[-1]))
    if offices.workers > 1:
        assert offices.handoffs() > 0


def test_replies_through_the_other_routing_peer_are_accepted(offices):
    client, source_port = "client1", 40300
    asking = offices.start_agent(client, "udp", OFFICE, 9999, source_port, 3)
    reply = IP(src=OFFICE, dst=configs.overlay(1)) / UDP(sport=9999, dport=source_port) / b"reply"
    offices.send_raw("client4", "wg0", reply)
    answers = offices.result(asking)
    assert [bytes.fromhex(a["data"]) for a in answers] == [b"reply"]
    assert answers[0]["from"] == OFFICE
