# SPDX-License-Identifier: BSD-3-Clause
"""Tunnels of different MTUs: who sends too much into one is told what fits, and TCP never does."""
import copy
import re
import subprocess

import config as configs
import pytest
from conftest import SHAPES, log_folder, needs_programs, shared_world
from lablib import internet, topology
from lablib.netns import run, wait_until
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether
from world import ECHO_PORT, World

MTUS = {"client1": 1380, "client2": 1300}
WIDE, WIDE_TUNNEL = 9000, 8920
FAMILIES = ("v4", "v6")


def config_of(clients, workers):
    config = configs.exit_node(clients, workers)
    for name, mtu in MTUS.items():
        config["peers"][name]["mtu"] = mtu
    config["policies"].append({"name": "each-other", "from": {"groups": ["everyone"]},
                               "to": {"groups": ["everyone"]}, "action": "allow"})
    return config


@pytest.fixture(scope="module", params=SHAPES)
def world(request):
    with shared_world(request, config_of) as world:
        yield world.connect()
        world.expect_handoffs()


def told(world, name, family, source_port):
    """What MTU the internet host is told when it answers a datagram of this client with 1,400
    bytes that must not be cut; by the gateway's address on that side."""
    v6, host = family == "v6", topology.INTERNET[family]
    with world.capture("internet", "eth0", f"udp dst port {ECHO_PORT}") as asked:
        world.agent(name, "udp", host, ECHO_PORT, source_port, 0)
        wait_until(asked.packets, 30, "the datagram")
    first = asked.packets()[0]
    ip = IPv6(src=host, dst=first.payload.src) if v6 else IP(src=host, dst=first.payload.src,
                                                             flags="DF")
    answer = (Ether(src=first.dst, dst=first.src) / ip /
              UDP(sport=ECHO_PORT, dport=first[UDP].sport) / bytes(1400))
    kind = ICMPv6PacketTooBig if v6 else ICMP
    with world.capture("internet", "eth0", "icmp6 or icmp") as errors:
        def error():
            return next((p for p in errors.packets() if kind in p and p.payload.dst == host
                         and (v6 or (p[ICMP].type, p[ICMP].code) == (3, 4))), None)

        world.send_raw("internet", "eth0", answer)
        wait_until(error, 30, "an error")
    assert error().payload.src == topology.GATEWAY["inet"][FAMILIES.index(family)].split("/")[0]
    return error()[kind].mtu if v6 else error()[kind].nexthopmtu


@pytest.mark.parametrize("family", FAMILIES)
def test_too_big_says_what_fits(world, family):
    assert {name: told(world, name, family, 40400) for name in MTUS} == MTUS


@pytest.mark.parametrize("family", FAMILIES)
def test_from_peer_to_peer(world, family):
    """Into the narrower tunnel; the wider one is the sender's own."""
    answer = world.clients["client1"].run(
        "ping", "-n", "-M", "do", "-c", "2", "-i", "0.2", "-W", "10", "-s", "1320",
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
        host = topology.INTERNET[family]
        assert world.gateway.json("why", name, f"[{host}]:80" if family == "v6" else f"{host}:80")[
            "mss"] == mtu - head


@pytest.mark.parametrize("family", FAMILIES)
def test_tracepath_finds_the_narrower_tunnel(world, family):
    """What the first client sends fits its own tunnel, and not the other one's."""
    gateway, other = {"v4": "100.64.0.1", "v6": "fd64::1"}[family], configs.overlay(2, family)
    output = world.clients["client1"].run("tracepath", f"-{family[1]}", "-n", "-m", "4", other,
                                          timeout=60).stdout
    hops = re.findall(r"^ *(\d+): +([0-9a-f.:]+) ", output, re.M)
    assert list(dict.fromkeys(hops)) == [("1", gateway), ("2", other)], output
    assert f"Resume: pmtu {MTUS['client2']} hops 2 back 2" in output, output


TLS_PORT = 4433


@pytest.fixture(scope="module")
def tls_world(world):
    """A TLS server on the internet host and on each client; the clients' own interfaces believe in
    1,420 bytes, so that only the gateway knows better."""
    state = world.lab.state
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=test", "-keyout", state / "tls.key",
         "-out", state / "tls.crt"])
    for node in ("internet", *MTUS):
        world.lab.start(node, "openssl", "s_server", "-accept", TLS_PORT, "-quiet", "-cert",
                        state / "tls.crt", "-key", state / "tls.key",
                        log=world.logs / f"{node}.tls.log")
        wait_until(lambda: internet.listening(world.lab, node, TLS_PORT), 30, "the TLS server")
    for name in MTUS:
        world.clients[name].run("ip", "link", "set", "wg0", "mtu", "1420")
    yield world
    for name, mtu in MTUS.items():
        world.clients[name].run("ip", "link", "set", "wg0", "mtu", mtu)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("asking, asked", [("client1", "internet"), ("client1", "client2"),
                                           ("client2", "client1")])
def test_a_client_hello_of_two_segments(tls_world, asking, asked, family):
    """Some 2,300 bytes: none of its segments is longer than the narrowest tunnel takes."""
    world = tls_world
    host = (topology.INTERNET[family] if asked == "internet" else
            configs.overlay(int(asked[-1]), family))
    offers = ",".join(f"{n:03}".ljust(200, "x") for n in range(10))
    mtu = min(MTUS[name] for name in (asking, asked) if name in MTUS)
    interface = "eth0" if asked == "internet" else "wg0"
    with world.capture(asked, interface, f"tcp dst port {TLS_PORT}") as capture:
        answer = world.clients[asking].run(
            "openssl", "s_client", "-connect", f"[{host}]:{TLS_PORT}" if family == "v6" else
            f"{host}:{TLS_PORT}", "-alpn", offers, "-brief", "-no_ign_eof", stdin=subprocess.DEVNULL)
        assert "CONNECTION ESTABLISHED" in answer.stderr, answer.stderr
        wait_until(lambda: len([p for p in capture.packets() if len(p[TCP].payload) > 500]) >= 2,
                   30, "two segments")
    longest = max(len(bytes(p[TCP].payload)) for p in capture.packets())
    assert longest <= mtu - (40 if family == "v4" else 60)


def test_another_mtu_counts_at_once(world):
    """Also for flows that are there already."""
    narrower = copy.deepcopy(world.config)
    narrower["peers"]["client2"]["mtu"] = 1290
    assert told(world, "client2", "v4", 40401) == MTUS["client2"]
    world.apply(narrower)
    assert told(world, "client2", "v4", 40401) == 1290


@pytest.mark.parametrize("family", FAMILIES)
def test_fragments_come_in_as_they_are(world, family):
    """Answers in fragments, before af_packet ports of two queues, too: nobody puts them together first,
    so that they would be longer than a frame."""
    client, host = world.clients["client1"], topology.INTERNET[family]
    cut = world.drops("packet.cut")
    # In IPv6 the first answer may only teach the path's MTU.
    wait_until(lambda: client.pings(host, 1, 1, "-s", 4000), 30, "the path's MTU", 0.1)
    client.pings_all(host, 20, "-s", 4000)
    assert world.drops("packet.cut") == cut


def wide_config(clients, workers):
    """Its other name and its chosen cipher are beside the point; no other test has one."""
    config = configs.exit_node(clients, workers)
    for port in config["ports"].values():
        port["mtu"] = WIDE
    config["wireguard"].update(mtu=WIDE_TUNNEL, interface="wide0")
    return config


@pytest.fixture(scope="module")
def wide_world(request):
    """Frames of 9,000 bytes all the way, and a tunnel that fills them."""
    needs_programs()
    world = World(log_folder(request) / "wide", wide_config, clients=1,
                  options=["--mtu-max", WIDE, "--aead", "sodium"])
    request.node.worlds = getattr(request.node, "worlds", []) + [world]
    links = {"client1": ["eth0"], "router": ["c1", "home", "uplink"], "gateway": topology.PORTS,
             "internet": ["eth0"], "lan-host": ["eth0"]}
    try:
        world.up(start=False)
        for node, names in links.items():
            world.lab.ip_batch(node, *(f"link set {name} mtu {WIDE}" for name in names))
        world.gateway.start()
        yield world
    finally:
        world.down()


@pytest.mark.parametrize("outer", FAMILIES)
def test_frames_of_9000_bytes(wide_world, outer):
    """The kernel's self-test, group 6: packets that fill a tunnel in frames that are larger than
    Ethernet's, over both families, both ways."""
    world, client = wide_world, wide_world.clients["client1"]
    where = f"[{topology.WAN['v6']}]" if outer == "v6" else topology.WAN["v4"]
    text = world.gateway.cli("peer", "export", "client1", "--private-key-file", client.key_file,
                             "--endpoint", f"{where}:{topology.LISTEN_PORT}").stdout
    assert f"\nMTU = {WIDE_TUNNEL}\n" in text
    client.up(text)
    try:
        for family, host in topology.INTERNET.items():
            size = WIDE_TUNNEL - (48 if family == "v6" else 28)
            with world.capture("router", "uplink", f"udp port {topology.LISTEN_PORT}") as capture:
                client.pings_all(host, 3, "-M", "do", "-s", size)
            full = WIDE_TUNNEL + (80 if outer == "v6" else 60)
            assert [len(p.payload) for p in capture.packets()].count(full) >= 6
            where = f"[{host}]" if family == "v6" else host
            script = f"curl -sS -m 60 http://{where}/bytes/{4 << 20} | sha256sum"
            inside = client.run("bash", "-o", "pipefail", "-c", script, timeout=70).stdout
            beside = world.lab.run("internet", "bash", "-o", "pipefail", "-c", script).stdout
            assert inside == beside
    finally:
        client.down()


def test_what_was_chosen_is_shown(wide_world):
    assert wide_world.gateway.json("status")["dataplane"]["aead"] == "sodium"
    assert wide_world.gateway.wg("show", "interfaces").stdout.split() == ["wide0"]
