# SPDX-License-Identifier: BSD-3-Clause
"""Tunnels of different MTUs: who sends too much into one is told what fits, and TCP never does."""
import copy
import re

import config as configs
import pytest
from conftest import log_folder, needs_programs
from lablib import topology
from lablib.netns import wait_until
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether
from world import ECHO_PORT, World

MTUS = {"client1": 1380, "client2": 1300}
FAMILIES = ("v4", "v6")


def config_of(clients, workers):
    config = configs.exit_node(clients, workers)
    for name, mtu in MTUS.items():
        config["peers"][name]["mtu"] = mtu
    config["policies"].append({"name": "each-other", "from": {"groups": ["everyone"]},
                               "to": {"groups": ["everyone"]}, "action": "allow"})
    return config


@pytest.fixture(scope="module")
def world(request):
    needs_programs()
    world = World(log_folder(request), config_of)
    request.node.worlds = [world]
    try:
        yield world.up().connect()
    finally:
        world.down()


def told(world, name, family, source_port):
    """What MTU the internet host is told when it answers a datagram of this client with 1,400
    bytes that must not be cut."""
    v6, host = family == "v6", topology.INTERNET[family]
    with world.capture("internet", "eth0", f"udp dst port {ECHO_PORT}") as asked:
        world.agent(name, "udp", host, ECHO_PORT, source_port, 0)
        wait_until(asked.packets, 5, "the datagram")
    first = asked.packets()[0]
    ip = IPv6(src=host, dst=first.payload.src) if v6 else IP(src=host, dst=first.payload.src,
                                                             flags="DF")
    answer = (Ether(src=first.dst, dst=first.src) / ip /
              UDP(sport=ECHO_PORT, dport=first[UDP].sport) / bytes(1400))
    kind = ICMPv6PacketTooBig if v6 else ICMP
    with world.capture("internet", "eth0", "icmp6 or icmp") as errors:
        def error():
            return next((p[kind] for p in errors.packets() if kind in p and p.payload.dst == host
                         and (v6 or (p[ICMP].type, p[ICMP].code) == (3, 4))), None)

        world.send_raw("internet", "eth0", answer)
        wait_until(error, 5, "an error")
    return error().mtu if v6 else error().nexthopmtu


@pytest.mark.parametrize("family", FAMILIES)
def test_too_big_says_what_fits(world, family):
    assert {name: told(world, name, family, 40400) for name in MTUS} == MTUS


@pytest.mark.parametrize("family", FAMILIES)
def test_from_peer_to_peer(world, family):
    """Into the narrower tunnel; the wider one is the sender's own."""
    answer = world.clients["client1"].run(
        "ping", "-n", "-M", "do", "-c", "2", "-i", "0.2", "-W", "2", "-s", "1320",
        configs.overlay(2, family), check=False)
    assert f"mtu = {MTUS['client2']}" in re.sub(r"mtu[=: ]+", "mtu = ", answer.stdout), \
        answer.stdout


@pytest.mark.parametrize("family", FAMILIES)
def test_segments_fit(world, family):
    """The internet host offers 1,460 and 1,440 bytes; each client hears of what its tunnel takes,
    and so does the internet host."""
    head = 40 if family == "v4" else 60
    for name, mtu in MTUS.items():
        client = world.clients[name]
        with world.capture("internet", "eth0", "tcp") as there, \
                world.capture(name, "wg0", "tcp") as here:
            client.seen_address(topology.INTERNET[family])
        for packets, what in ((there.packets(), "there"), (here.packets(), "here")):
            sizes = {dict(p[TCP].options)["MSS"] for p in packets if TCP in p and p[TCP].flags.S}
            assert sizes and max(sizes) == mtu - head, (name, what, sizes)


def test_another_mtu_counts_at_once(world):
    """Also for flows that are there already."""
    narrower = copy.deepcopy(world.config)
    narrower["peers"]["client2"]["mtu"] = 1290
    assert told(world, "client2", "v4", 40401) == MTUS["client2"]
    world.apply(narrower)
    assert told(world, "client2", "v4", 40401) == 1290
