# SPDX-License-Identifier: BSD-3-Clause
"""The main job: wireguard-go clients go out through the exit node, v4 and v6, and nowhere else."""
import json

import config as configs
import pytest
from conftest import WORKERS
from lablib import internet, topology
from lablib.netns import wait_until
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether

FAMILIES = ("v4", "v6")


def iperf(client, host, *options):
    def measure():
        output = client.run("iperf3", "-J", "-c", host, "-t", "1", *options).stdout
        return None if internet.was_busy(output) else json.loads(output)

    report = wait_until(measure, 30, "the iperf3 server to be free", 0.2)
    assert "error" not in report, report["error"]
    return report["end"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["client1", "client2"])
def test_each_client_leaves_by_its_own_egress_address(exit_world, name, family):
    seen = exit_world.clients[name].seen_address(topology.INTERNET[family])
    assert seen == topology.EGRESS[name][family]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("place", [topology.INTERNET, topology.FAR], ids=["on-link", "far"])
def test_ping(exit_world, family, place):
    exit_world.clients["client1"].pings_all(place[family], 20)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [0, 1, 1200, 1372])
def test_ping_sizes(exit_world, family, size):
    """Up to a full tunnel packet: 1420 less IP and ICMP headers, in either family."""
    assert exit_world.clients["client1"].pings(topology.INTERNET[family], 2, 10, "-s", size)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("direction", [(), ("-R",)], ids=["up", "down"])
def test_tcp(exit_world, family, direction):
    """Down needs frames of wire size: the internet host's segmentation offload is on."""
    end = iperf(exit_world.clients["client1"], topology.INTERNET[family], *direction)
    assert end["sum_received"]["bits_per_second"] > 5e6


@pytest.mark.parametrize("family", FAMILIES)
def test_udp(exit_world, family):
    before = exit_world.lost_around()
    total = iperf(exit_world.clients["client1"], topology.INTERNET[family], "-u", "-b", "5M",
                  "-l", "1200")["sum"]
    assert total["packets"] > 100
    assert total["lost_packets"] <= exit_world.lost_beside(before, total["packets"]), total


def test_http_download_arrives_whole(exit_world):
    size = 8 << 20
    script = f"curl -sS -m 60 http://{topology.INTERNET['v4']}/bytes/{size} | sha256sum"
    inside = exit_world.clients["client1"].run("bash", "-o", "pipefail", "-c", script,
                                               timeout=70).stdout
    beside = exit_world.lab.run("internet", "bash", "-o", "pipefail", "-c", script).stdout
    assert inside == beside


def test_both_clients_at_once(exit_world):
    streams = [exit_world.start_stream(name, topology.INTERNET["v4"], 500, 2)
               for name in ("client1", "client2")]
    for child in streams:
        exit_world.whole(child)


@pytest.mark.two_shapes
@pytest.mark.parametrize("host", list(topology.LAN_HOST.values()))
def test_the_private_lan_is_out_of_reach(exit_world, host):
    client = exit_world.clients["client1"]
    exit_world.expect_drops("flow.exit_closed", lambda: client.pings(host, 2, 1), at_least=2)
    assert not client.pings(host, 1, 1)


@pytest.mark.two_shapes
def test_the_lan_sees_nothing_of_it(exit_world):
    with exit_world.capture("lan-host", "eth0", "icmp or icmp6 and ip6[40] == 128") as capture:
        for host in topology.LAN_HOST.values():
            assert not exit_world.clients["client1"].pings(host, 2, 1)
    assert len(capture.packets()) == 0


@pytest.mark.two_shapes
@pytest.mark.parametrize("make", [
    lambda: IP(src=configs.overlay(1), dst="169.254.1.1") / ICMP(),
    lambda: IP(src=configs.overlay(1), dst="100.64.0.200") / ICMP(),
    lambda: IP(src=configs.overlay(1), dst="192.168.77.1") / ICMP(),
    lambda: IPv6(src=configs.overlay(1, "v6"), dst="fd64::200") / ICMPv6EchoRequest(),
    lambda: IPv6(src=configs.overlay(1, "v6"), dst="fd99::1") / ICMPv6EchoRequest(),
], ids=["link-local", "overlay", "rfc1918", "overlay-v6", "ula"])
def test_exit_nodes_lead_to_the_internet_only(exit_world, make):
    def refused():
        drops = exit_world.gateway.drops()
        return sum(drops.get(f"flow.{r}", 0) for r in ("exit_closed", "no_route", "policy"))

    before = refused()
    with exit_world.capture("internet", "eth0", "icmp or icmp6") as capture:
        exit_world.send_raw("client1", "wg0", make(), make())
        wait_until(lambda: refused() >= before + 2, 30, "two drops", 0.1)
    assert not [p for p in capture.packets() if p.payload.dst == make().dst]


def test_mapping_is_endpoint_independent(exit_world):
    """RFC 4787, REQ-1: one inner address and port shows as one outside, whoever is asked."""
    packets = [IP(src=configs.overlay(1), dst=host) / UDP(sport=40123, dport=9) / b"hello"
               for host in (topology.INTERNET["v4"], topology.FAR["v4"])]
    with exit_world.capture("internet", "eth0", "udp dst port 9") as capture:
        exit_world.send_raw("client1", "wg0", *packets)
        wait_until(lambda: len(capture.packets()) >= 2, 30, "both packets")
    sources = {(p[IP].src, p[UDP].sport) for p in capture.packets()}
    assert len(sources) == 1
    assert sources.pop()[0] == topology.EGRESS["client1"]["v4"]


def test_unsolicited_packets_are_dropped(exit_world):
    packet = (Ether(dst=exit_world.port_mac("inet")) / IP(src=topology.INTERNET["v4"],
                                              dst=topology.EGRESS["client1"]["v4"]) /
              UDP(sport=53, dport=61000) / b"?")
    exit_world.expect_drops("flow.unsolicited",
                            lambda: exit_world.send_raw("internet", "eth0", packet))


def test_three_workers_hand_off(exit_world):
    before = exit_world.handoffs()
    for client in exit_world.clients.values():
        assert client.pings(topology.INTERNET["v4"], 5)
    exit_world.expect_handoffs(before)


def leaves_often(world):
    """By so many flows that not all of their packets come to the workers that are their homes."""
    for family in FAMILIES * 5:
        seen = world.clients["client1"].seen_address(topology.INTERNET[family])
        assert seen == topology.EGRESS["client1"][family]
    world.expect_handoffs()


@pytest.mark.parametrize("workers", WORKERS)
def test_default_route_export(make_world, workers):
    """--full writes /0 instead of the halves; wg-quick then keeps the tunnel outside by mark."""
    world = make_world(workers=workers, clients=1)
    client = world.clients["client1"]
    client.up(world.gateway.export("client1", client.key_file, full=True))
    assert "0.0.0.0/0" in client.config.read_text()
    leaves_often(world)
    client.down()


@pytest.mark.parametrize("workers", WORKERS)
def test_export_halves_and_take_them_back(make_world, workers):
    world = make_world(workers=workers, clients=1)
    client = world.clients["client1"]
    routes = client.run("ip", "route").stdout, client.run("ip", "-6", "route").stdout
    client.up(world.gateway.export("client1", client.key_file))
    text = client.config.read_text()
    for half in ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"):
        assert half in text
    leaves_often(world)
    client.down()
    assert (client.run("ip", "route").stdout, client.run("ip", "-6", "route").stdout) == routes
