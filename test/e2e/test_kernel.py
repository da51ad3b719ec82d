# SPDX-License-Identifier: BSD-3-Clause
"""The gateway's kernel: its neighbours stay alive, and it never speaks on the ports itself."""
import json

import pytest
from lablib import topology
from lablib.netns import wait_until
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

PORT_NODES = {"inet": "internet", "lan": "lan-host"}


@pytest.mark.two_shapes
def test_no_answer_from_the_ports_own_stack(exit_world):
    """ARP for an address that only the port could have, a SYN and a datagram to nowhere: nothing
    comes back but what the data plane or the TAP twins' kernel side rightly sends."""
    mac = exit_world.port_mac("inet")
    egress = topology.EGRESS["client1"]["v4"]
    internet = topology.INTERNET["v4"]
    frames = [Ether(dst=mac) / IP(src=internet, dst=egress) / TCP(sport=1234, dport=22, flags="S"),
              Ether(dst=mac) / IP(src=internet, dst=egress) / UDP(sport=1234, dport=33434),
              Ether(dst=mac) / IP(src=internet, dst="203.0.113.2") / TCP(sport=1235, dport=22,
                                                                        flags="S"),
              Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(op="who-has", psrc=internet,
                                                   pdst="203.0.113.77")]
    with exit_world.capture("internet", "eth0", f"ether src {mac} and (arp or icmp or tcp)") as got:
        exit_world.send_raw("internet", "eth0", *frames)
        # Something that is answered marks the end: by then the others would have been, too.
        assert exit_world.clients["client1"].pings(internet, 1)
    for packet in got.packets():
        assert ARP not in packet or packet[ARP].op == 1 or packet[ARP].psrc != "203.0.113.77"
        assert TCP not in packet
        assert ICMP not in packet or packet[ICMP].type in (0, 8)


def test_neighbours_stay_alive(make_world):
    """With gc_stale_time=1 the kernel forgets neighbours that nobody uses; the data plane's use
    must count, with and without sallyportd."""
    world = make_world(clients=1).connect()
    client = world.clients["client1"]
    script = "for d in /proc/sys/net/ipv[46]/neigh/*/; do echo 1 >$d/gc_stale_time; done"
    world.lab.run("gateway", "sh", "-c", script)
    assert client.pings(topology.INTERNET["v4"], 2)

    def stream_for(seconds):
        child = world.start_stream("client1", topology.INTERNET["v4"], 20, seconds)
        world.whole(child)

    stream_for(6)
    world.gateway.control.stop()
    stream_for(6)


@pytest.mark.two_shapes
def test_twins_carry_the_addresses_and_ports_do_not(exit_world):
    def addresses(name):
        link = exit_world.lab.run("gateway", "ip", "-j", "addr", "show", name).stdout
        return {a["local"] for a in json.loads(link)[0]["addr_info"] if a["scope"] == "global"}

    for port in topology.PORTS:
        assert addresses(port) == set()
        expected = {a.split("/")[0] for a in topology.GATEWAY[port]}
        wait_until(lambda p=port, e=expected: e <= addresses(f"sp-{p}"), 30,
                   f"addresses of sp-{port}")


@pytest.mark.two_shapes
def test_veth_offloads_stay_at_their_defaults(exit_world):
    """Partial checksums are completed in software; nobody had to switch anything off."""
    for node in PORT_NODES.values():
        features = exit_world.lab.run(node, "ethtool", "-k", "eth0").stdout
        assert "tx-checksumming: on" in features


@pytest.mark.two_shapes
def test_ports_are_given_frames_of_wire_size(exit_world):
    """The program on the port's end takes segmentation offload from the node's, whatever it says."""
    for port, node in PORT_NODES.items():
        assert "sp_wire_sized" in exit_world.lab.run("gateway", "ip", "link", "show", port).stdout
        features = exit_world.lab.run(node, "ethtool", "-k", "eth0").stdout
        assert "tcp-segmentation-offload: off" in features
    assert exit_world.drops("packet.cut") == 0


def test_unsegmented_frames_are_dropped_and_counted(make_world):
    """Without the program and with segmentation offload on, veth hands over frames of 64 KB:
    dropped, and the reason says what to switch off."""
    world = make_world(clients=1).connect()
    world.lab.run("gateway", "ip", "link", "set", "inet", "xdp", "off")
    world.lab.run("internet", "ethtool", "-K", "eth0", "tso", "on")
    reasons = ("port.over_mtu", "packet.cut")
    before = sum(world.drops(r) for r in reasons)
    world.clients["client1"].run("curl", "-sS", "-m", "3", "-o", "/dev/null",
                                 f"http://{topology.INTERNET['v4']}/bytes/1000000", check=False)
    wait_until(lambda: sum(world.drops(r) for r in reasons) > before, 30, "drops", 0.1)
