# SPDX-License-Identifier: BSD-3-Clause
"""Who may not pretend to be whom, and who may not reach whom: each refusal has its own reason."""
import copy

import config as configs
import pytest
from conftest import SHAPES
from lablib import topology
from lablib.netns import wait_until
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from world import ECHO_PORT


@pytest.mark.two_shapes
@pytest.mark.parametrize("packet", [
    IP(src=configs.overlay(2), dst=topology.INTERNET["v4"]) / ICMP(),
    IP(src="192.0.2.7", dst=topology.INTERNET["v4"]) / UDP(sport=1, dport=2),
    IPv6(src=configs.overlay(2, "v6"), dst=topology.INTERNET["v6"]) / UDP(sport=1, dport=2),
    IPv6(src="2001:db8:203::80", dst=topology.INTERNET["v6"]) / UDP(sport=1, dport=2),
], ids=["other-peer", "stranger", "other-peer-v6", "stranger-v6"])
def test_spoofed_inner_source(exit_world, packet):
    exit_world.expect_drops("flow.spoofed_inner", at_least=3,
                            act=lambda: exit_world.send_raw("client1", "wg0", *[packet] * 3))


@pytest.mark.two_shapes
@pytest.mark.parametrize("port,node", [("inet", "internet"), ("lan", "lan-host")])
@pytest.mark.parametrize("source", [configs.overlay(1), configs.overlay(99)],
                         ids=["peer", "free-address"])
def test_spoofed_overlay_source_on_a_plain_port(exit_world, port, node, source):
    frame = (Ether(dst=exit_world.port_mac(port)) / IP(src=source, dst=configs.overlay(2)) /
             UDP(sport=5, dport=6) / b"x")
    exit_world.expect_drops("flow.spoofed_overlay", at_least=3,
                            act=lambda: exit_world.send_raw(node, "eth0", *[frame] * 3))


@pytest.mark.two_shapes
def test_forged_tuple_of_another_peer(exit_world):
    """client2 sends packets of client1's running flow: dropped, and the flow goes on unharmed."""
    source_port = 40200
    flow = IP(src=configs.overlay(1), dst=topology.INTERNET["v4"]) / \
        UDP(sport=source_port, dport=ECHO_PORT) / b"forged"
    question = exit_world.start_question("client1", topology.INTERNET["v4"], ECHO_PORT, source_port)
    drops = exit_world.gateway.drops()
    reasons = ("flow.spoofed_inner", "flow.forged_tuple")
    before = sum(drops.get(r, 0) for r in reasons)
    with exit_world.capture("internet", "eth0", f"udp port {ECHO_PORT}") as capture:
        exit_world.send_raw("client2", "wg0", *[flow] * 5)
        wait_until(lambda: sum(exit_world.drops(r) for r in reasons) >= before + 5, 30,
                   "five refusals", 0.1)
        answers = exit_world.answers(question)
    assert [bytes.fromhex(a["data"]) for a in answers] == [b"question"]
    assert b"forged" not in b"".join(bytes(p) for p in capture.packets())


@pytest.mark.two_shapes
def test_peers_do_not_reach_each_other_without_policy(exit_world):
    client = exit_world.clients["client1"]
    exit_world.expect_drops("flow.policy", at_least=2,
                            act=lambda: client.pings(configs.overlay(2), 2, 1))
    assert not client.pings(configs.overlay(2, "v6"), 1, 1)


@pytest.mark.two_shapes
def test_the_gateway_answers_ping_and_nothing_else(exit_world):
    client = exit_world.clients["client1"]
    assert client.pings("100.64.0.1", 2) and client.pings("fd64::1", 2)
    exit_world.expect_drops(
        "flow.policy_host", lambda: client.run("curl", "-sS", "-m", "1", "http://100.64.0.1:22/",
                                               check=False))


@pytest.mark.parametrize("shape", SHAPES)
def test_peers_reach_each_other_by_policy_and_no_longer(make_world, shape):
    world = make_world(**shape).connect()
    without = copy.deepcopy(world.config)
    there, back = ([configs.overlay(number, family) for family in ("v4", "v6")]
                   for number in (2, 1))
    one, two = world.clients["client1"], world.clients["client2"]
    assert not any(one.pings(target, 1, 1) for target in there)
    allowed = copy.deepcopy(without)
    allowed["policies"].append({"name": "one-to-two", "from": {"peers": ["client1"]},
                                "to": {"peers": ["client2"]}, "action": "allow"})
    world.apply(allowed)
    assert all(one.pings(target, 3) for target in there)
    world.expect_handoffs()
    # the other way round nobody has allowed
    assert not any(two.pings(target, 1, 1) for target in back)
    # a revoked permission cuts the running flow
    world.apply(without)
    assert not any(one.pings(target, 2, 1) for target in there)
