# SPDX-License-Identifier: BSD-3-Clause
"""WireGuard as it is on the wire, with wireguard-go at the other end. The router between sees, and
says again, what both of them send."""
import copy
import re
import statistics
import time

import config as configs
import pytest
from conftest import log_folder, needs_programs
from freeze import frozen
from lablib import topology
from lablib.netns import run, wait_until
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from world import World

PORT = topology.LISTEN_PORT
INITIATION, RESPONSE, DATA = 1, 2, 4
SIZES = {INITIATION: 148, RESPONSE: 92}
MTU = 1420
HANDSHAKE_TOS = 0x88
ECT1, ECT0, CE = 1, 2, 3
FROM_GATEWAY = f"udp and src port {PORT}"
TO_GATEWAY = f"udp and dst port {PORT}"
STRANGER = 33333  # a port that no client has
ALSO = {"v4": "198.51.100.3", "v6": "2001:db8:100::3"}  # on port wan, beside topology.WAN
ALSO_LISTEN = [443, 51900]
BEHIND_ABSENT = ["10.99.0.0/16", "fd99::/64"]


def config_of(clients, workers):
    """client2 has a preshared key; the gateway keeps the tunnel to client3 alive, each second. It
    has two addresses of each family, and listens at three ports. Nobody has ever heard of the
    peer `absent`, behind which there is a network."""
    config = configs.exit_node(clients, workers)
    config["ports"]["wan"]["addresses"] += [f"{ALSO['v4']}/24", f"{ALSO['v6']}/64"]
    config["wireguard"]["also_listen"] = ALSO_LISTEN
    config["peers"]["client2"]["preshared_key_file"] = "client2.psk"
    config["peers"]["client3"]["persistent_keepalive"] = 1
    absent = run(["wg", "pubkey"], input=run(["wg", "genkey"]).stdout).stdout.strip()
    config["peers"]["absent"] = configs.peer(9, absent, [])
    config["routes"] = {"behind-absent": {"prefixes": BEHIND_ABSENT, "via": {"peers": ["absent"]},
                                          "distribute_to": ["everyone"]}}
    config["policies"] += [
        {"name": "absent", "from": {"groups": ["everyone"]}, "to": {"peers": ["absent"]},
         "action": "allow"},
        {"name": "behind-absent", "from": {"groups": ["everyone"]},
         "to": {"routes": ["behind-absent"]}, "action": "allow"}]
    return config


@pytest.fixture(scope="module")
def world(request):
    """client1 is connected; the handshake that did it is world.first_handshake."""
    needs_programs()
    world = World(log_folder(request), config_of, clients=3)
    request.node.worlds = [world]
    try:
        world.up(start=False)
        world.preshared = run(["wg", "genpsk"]).stdout
        key = world.gateway.state_dir / "client2.psk"
        key.touch(mode=0o600)
        key.write_text(world.preshared)
        world.gateway.start()
        with world.capture("router", "uplink", f"udp port {PORT}") as capture:
            world.connect("client1")
            assert world.clients["client1"].pings(topology.INTERNET["v4"], 3)
        world.first_handshake = capture.packets()
        yield world
    finally:
        world.down()


def payload(packet):
    return bytes(packet[UDP].payload)


def of_kind(packets, kind):
    """The messages of a kind among captured packets; with data, those longer than a keepalive."""
    return [p for p in packets if UDP in p and len(payload(p)) >= SIZES.get(kind, 33) and
            payload(p)[:4] == bytes([kind, 0, 0, 0])]


def as_ip(packet):
    """What was captured on a tunnel's interface, where there is no layer 2."""
    data = bytes(packet)
    return IPv6(data) if data[0] >> 4 == 6 else IP(data)


def tos(packet):
    return packet[IP].tos if IP in packet else packet[IPv6].tc


def ttl(packet):
    return packet[IP].ttl if IP in packet else packet[IPv6].hlim


def wg(client, *args, **options):
    return client.run("wg", *args, **options).stdout.split()


def gateway_key(client):
    return wg(client, "show", client.interface, "peers")[0]


def port_of(client):
    """Its port, which the router leaves as it is."""
    return int(wg(client, "show", client.interface, "listen-port")[0])


def row_of(world, name):
    return next(p for p in world.gateway.json("peers")["peers"] if p["name"] == name)


def endpoint_of(world, name):
    return row_of(world, name)["endpoint"]


def again(packet, change=lambda data: data, sport=None):
    """A captured packet with its payload changed, to be sent once more."""
    copy = Ether(bytes(packet))
    ip, udp = copy.payload, copy[UDP]
    data = change(payload(packet))
    udp.remove_payload()
    if sport is not None:
        udp.sport = sport
    for layer, fields in ((ip, ("len", "plen", "chksum")), (udp, ("len", "chksum"))):
        for field in fields:
            if field in layer.fields:
                layer.delfieldval(field)
    return copy / data


def data_to_gateway(world):
    """A sealed packet of client1 that the gateway has had."""
    with world.capture("router", "uplink", TO_GATEWAY) as capture:
        assert world.clients["client1"].pings(topology.INTERNET["v4"], 1)
        wait_until(lambda: of_kind(capture.packets(), DATA), 30, "a data packet")
    return of_kind(capture.packets(), DATA)[0]


def endpoint(world, address, port=PORT):
    """Where client1 is to send to from now on."""
    client = world.clients["client1"]
    where = f"[{address}]" if ":" in address else address
    wg(client, "set", client.interface, "peer", gateway_key(client), "endpoint", f"{where}:{port}")


def lives(world, name="client1"):
    return all(world.clients[name].pings(host, 3) for host in topology.INTERNET.values())


# -- roaming --------------------------------------------------------------------------------------


def roams(world, act, expected):
    """act() moves client1; the gateway follows with the next data packet, without a handshake."""
    client = world.clients["client1"]
    assert lives(world)
    before, handshake = endpoint_of(world, "client1"), client.handshake()
    assert not re.fullmatch(expected, before), before
    act()
    assert lives(world)
    wait_until(lambda: re.fullmatch(expected, endpoint_of(world, "client1")), 30,
               f"the endpoint {expected}, not {endpoint_of(world, 'client1')}", 0.1)
    assert client.handshake() == handshake


def test_the_port_roams(world):
    client = world.clients["client1"]
    roams(world, lambda: wg(client, "set", client.interface, "listen-port", 40001),
          r"198\.51\.100\.1:40001")


def test_the_address_roams(world):
    """The client gets another address at home, and leaves by another one of the router's."""
    client = world.clients["client1"]
    home, other, outside = "192.168.77.11", "192.168.77.111", "198.51.100.7"
    default = f"route replace default via {topology.ROUTER['home'][0].split('/')[0]}"

    def move(old, new):
        world.lab.ip_batch("client1", f"addr del {old}/24 dev eth0", f"addr add {new}/24 dev eth0",
                           default)
        # wireguard-go would hold on to the source address that it has spoken from.
        endpoint(world, topology.WAN["v4"])

    world.lab.ip_batch("router", f"addr add {outside}/24 dev uplink")
    world.lab.run("router", "nft", "insert", "rule", "ip", "nat", "out", "oifname", "uplink",
                  "ip", "saddr", other, "snat", "to", outside)
    roams(world, lambda: move(home, other), r"198\.51\.100\.7:\d+")
    roams(world, lambda: move(other, home), r"198\.51\.100\.1:\d+")


def test_the_family_roams(world):
    """The old way is closed: what is under way on it would call wireguard-go back."""
    def move(old, address):
        world.lab.run("router", "nft", "-f", "-", input=(
            "table inet gone; delete table inet gone; table inet gone { chain c { type filter hook "
            f"forward priority 0; meta nfproto {old} udp sport {PORT} drop; }}; }}"))
        endpoint(world, address)

    try:
        roams(world, lambda: move("ipv4", topology.WAN["v6"]),
              r"\[2001:db8:100::1\]:\d+")
        roams(world, lambda: move("ipv6", topology.WAN["v4"]), r"198\.51\.100\.1:\d+")
    finally:
        world.lab.run("router", "nft", "delete", "table", "inet", "gone")


def moves(client, port, address):
    """To another port of its own, and to another address of the gateway's."""
    wg(client, "set", client.interface, "listen-port", port, "peer", gateway_key(client),
       "endpoint", f"{address}:{PORT}")


@pytest.mark.parametrize("port, address, expected", [
    (40011, topology.WAN["v4"], r"198\.51\.100\.1:40011"),
    (40012, f"[{topology.WAN['v6']}]", r"\[2001:db8:100::1\]:40012"),
    (40013, topology.WAN["v4"], r"198\.51\.100\.1:40013")])
def test_it_roams_at_once(world, port, address, expected):
    """Answers take the new way before the handshake thread has made a path of it, and the old one,
    which still works, does not call the client back."""
    client = world.clients["client1"]
    assert lives(world)
    with frozen(world.gateway.dataplane.pid(), "sp-handshake"):
        moves(client, port, address)
        with world.capture("router", "uplink", FROM_GATEWAY) as answers:
            assert all(client.pings(host, 3) for host in topology.INTERNET.values())
            data = wait_until(lambda: of_kind(answers.packets(), DATA), 30, "answers")
        assert {(p[UDP].dport, p.payload.src) for p in data} == {(port, address.strip("[]"))}
    wait_until(lambda: re.fullmatch(expected, endpoint_of(world, "client1")), 30,
               f"the endpoint {expected}, not {endpoint_of(world, 'client1')}", 0.1)
    assert lives(world)


# -- the gateway's own end ------------------------------------------------------------------------


def connect_silently(world, client, where):
    """Without keepalives of its own."""
    exported = world.gateway.cli("peer", "export", client.node, "--private-key-file",
                                 client.key_file, "--endpoint", where).stdout
    client.up(re.sub(r"(?m)^PersistentKeepalive.*\n", "", exported))
    assert client.pings("100.64.0.1", 3)  # begins the session


def spoken_from(world, act):
    """From where the gateway sends to the router while act() goes on."""
    with world.capture("router", "uplink", "udp") as capture:
        act()
    return {(p.payload.src, p[UDP].sport) for p in capture.packets()
            if p.payload.src in (*topology.WAN.values(), *ALSO.values())}


@pytest.mark.parametrize("address, port", [
    (ALSO["v4"], PORT), (topology.WAN["v4"], 443), (ALSO["v4"], 51900), (ALSO["v6"], 443),
    (topology.WAN["v6"], PORT), (topology.WAN["v4"], PORT)])
def test_answers_come_from_where_was_asked(world, address, port):
    """Data first, and then a handshake: from the very address and port."""
    client = world.clients["client1"]
    endpoint(world, address, port)
    assert spoken_from(world, lambda: lives(world)) == {(address, port)}
    key = gateway_key(client)
    allowed = wg(client, "show", client.interface, "allowed-ips")[1:]

    def anew():
        wg(client, "set", client.interface, "peer", key, "remove")
        wg(client, "set", client.interface, "peer", key, "endpoint",
           f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
           "allowed-ips", ",".join(allowed), "persistent-keepalive", 25)
        assert lives(world)

    assert spoken_from(world, anew) == {(address, port)}


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_the_source_goes_away(world, family):
    """An address that was asked is taken from the gateway: it goes on from the other one."""
    client = world.clients["client3"]
    less = copy.deepcopy(world.config)
    less["ports"]["wan"]["addresses"] = [a for a in less["ports"]["wan"]["addresses"]
                                         if a.split("/")[0] != ALSO[family]]
    where = f"[{ALSO['v6']}]" if family == "v6" else ALSO["v4"]
    connect_silently(world, client, f"{where}:{PORT}")
    with world.capture("router", "uplink",
                       f"{FROM_GATEWAY} and dst port {port_of(client)}") as keepalives:
        def last():
            return keepalives.packets()[-1].payload.src if keepalives.packets() else None

        wait_until(lambda: last() == ALSO[family], 30, f"keepalives from {ALSO[family]}", 0.2)
        with world.changed(less):
            wait_until(lambda: last() == topology.WAN[family], 30,
                       f"keepalives from {topology.WAN[family]}", 0.2)
    client.down()
    assert lives(world)


# -- headers and lengths --------------------------------------------------------------------------


def test_the_first_handshake(world):
    """One initiation, one response and then data; both outer headers say what they should."""
    packets = world.first_handshake
    assert len(of_kind(packets, INITIATION)) == len(of_kind(packets, RESPONSE)) == 1
    response = of_kind(packets, RESPONSE)[0]
    assert len(payload(response)) == SIZES[RESPONSE]
    assert (tos(response), ttl(response)) == (HANDSHAKE_TOS, 64)
    assert response[IP].src == topology.WAN["v4"]


@pytest.mark.parametrize("family, head", [("v4", 28), ("v6", 48)])
def test_padding(world, family, head):
    """To 16 bytes, but not beyond the MTU, and taken off again where it arrives."""
    client = world.clients["client1"]
    sizes = [*range(8, 26), MTU - head - 1, MTU - head]
    with world.capture("router", "uplink", FROM_GATEWAY) as sealed, \
            world.capture("internet", "eth0", "icmp or icmp6") as opened:
        for size in sizes:
            assert client.pings(topology.INTERNET[family], 1, 10, "-s", size)
    lengths = [len(payload(p)) for p in of_kind(sealed.packets(), DATA)]
    assert lengths == [min(-(-(size + head) // 16) * 16, MTU) + 32 for size in sizes]
    inner = [len(bytes(p.payload)) for p in opened.packets()
             if p.payload.dst == topology.INTERNET[family] and p.payload.fields.get("nh") != 6 and
             bytes(p.payload)[head - 8] in (8, 128)]
    assert inner == [size + head for size in sizes]


@pytest.mark.parametrize("family", ["v4", "v6"])
@pytest.mark.parametrize("inner, outer", [(0, 0), (0xb8, 0), (ECT0, ECT0), (0xb8 | ECT1, ECT1)])
def test_ecn_is_copied_and_dscp_is_not(world, family, inner, outer):
    with world.capture("router", "uplink", FROM_GATEWAY) as sealed, \
            world.capture("internet", "eth0", "icmp or icmp6") as opened:
        assert world.clients["client1"].pings(topology.INTERNET[family], 3, 10, "-Q", inner)
    answers = [p for p in opened.packets() if p.payload.src == topology.INTERNET[family] and
               p.payload.dst == topology.EGRESS["client1"][family]]
    assert inner in {tos(p) for p in answers}, "the internet host answers in kind"
    data = of_kind(sealed.packets(), DATA)
    assert len(data) >= 3
    assert {(tos(p), ttl(p)) for p in data} == {(outer, 64)}


def test_congestion_outside_shows_inside(world):
    """RFC 6040: CE on the tunnel's path marks what can carry it, and costs what cannot."""
    client, host = world.clients["client1"], topology.INTERNET["v4"]
    rules = (f"table ip marks {{ chain c {{ type filter hook forward priority mangle; udp dport "
             f"{PORT} ip ecn set ce; }}; }}")
    world.lab.run("router", "nft", "-f", "-", input=rules)
    try:
        with world.capture("internet", "eth0", "icmp[icmptype] == icmp-echo") as opened:
            assert client.pings(host, 3, 10, "-Q", ECT0)
        assert {tos(p) for p in opened.packets()} == {CE}
        world.expect_drops("wireguard.bad_ecn", lambda: client.pings(host, 2, 0.5), at_least=2)
    finally:
        world.lab.run("router", "nft", "delete", "table", "ip", "marks")
    assert lives(world)


# -- what must not get in -------------------------------------------------------------------------


def refused(world, reason, *packets):
    """Sent from the router, each is dropped for this reason, unanswered, and the tunnel lives."""
    before = endpoint_of(world, "client1")
    with world.capture("router", "uplink", f"{FROM_GATEWAY} and dst port {STRANGER}") as answers:
        world.expect_drops(reason, lambda: world.send_raw("router", "uplink", *packets),
                           at_least=len(packets))
        assert lives(world)
    assert len(answers.packets()) == 0
    assert endpoint_of(world, "client1") == before


def test_replayed_data(world):
    packet = data_to_gateway(world)
    refused(world, "wireguard.replayed", again(packet), again(packet, sport=STRANGER))


def test_forged_data(world):
    """The last has a counter far ahead: if it moved the window, what comes next would be lost."""
    packet = data_to_gateway(world)

    def counter(n):
        return lambda data: data[:8] + n.to_bytes(8, "little") + data[16:]

    refused(world, "wireguard.bad_tag",
            again(packet, lambda data: counter(1 << 20)(data)[:-1] + bytes([data[-1] ^ 1])),
            again(packet, counter(1 << 20), STRANGER), again(packet, counter(1 << 40), STRANGER))


def test_unknown_receiver(world):
    packet = data_to_gateway(world)
    refused(world, "wireguard.unknown_index",
            *(again(packet, lambda data, b=bit: data[:4] + (int.from_bytes(
                data[4:8], "little") ^ 1 << b).to_bytes(4, "little") + data[8:], STRANGER)
              for bit in (0, 13, 31)))


def test_malformed_messages(world):
    initiation = of_kind(world.first_handshake, INITIATION)[0]
    data = data_to_gateway(world)
    changes = [(initiation, lambda d: d[:-1]), (initiation, lambda d: d + b"\0"),
               (initiation, lambda d: d[:1] + b"\1" + d[2:]), (initiation, lambda d: b"\5" + d[1:]),
               (initiation, lambda d: b"\0" + d[1:]), (initiation, lambda d: d[:3]),
               (initiation, lambda d: b""), (data, lambda d: d[:31]),
               (data, lambda d: d[:3] + b"\1" + d[4:])]
    refused(world, "wireguard.malformed", *(again(p, c, STRANGER) for p, c in changes))


def test_a_length_that_lies(world):
    """UDP says more than IP; and less, which cuts a message short."""
    packet = data_to_gateway(world)
    longer, shorter = again(packet, sport=STRANGER), again(packet, sport=STRANGER)
    longer[UDP].len, shorter[UDP].len = len(payload(packet)) + 9, 8 + 31
    refused(world, "packet.udp", longer)
    refused(world, "wireguard.malformed", shorter)


def test_replayed_initiation(world):
    """The gateway answers a later initiation of somebody else; it was in the same queue."""
    initiation = of_kind(world.first_handshake, INITIATION)[0]
    before = endpoint_of(world, "client1")
    with world.capture("router", "uplink", FROM_GATEWAY) as capture:
        world.send_raw("router", "uplink", again(initiation), again(initiation, sport=STRANGER))
        world.connect("client3")
        world.clients["client3"].wait_handshake()
    assert [p[UDP].dport for p in of_kind(capture.packets(), RESPONSE)] == \
        [port_of(world.clients["client3"])]
    assert endpoint_of(world, "client1") == before
    assert lives(world)
    world.clients["client3"].down()


# -- peers that cannot be reached -----------------------------------------------------------------


@pytest.mark.parametrize("host", [configs.overlay(9), configs.overlay(9, "v6"), "10.99.0.7",
                                  "fd99::7"])
def test_unreachable_is_told(world, host):
    """A peer without endpoint, and a host behind it (the error comes back through the address
    translation): by the kernel's codes, from the gateway's address."""
    v6 = ":" in host
    with world.capture("client1", "wg0", "icmp6" if v6 else "icmp") as capture:
        answer = world.clients["client1"].run("ping", "-n", "-c", "2", "-i", "0.2", "-W", "10",
                                              host, check=False)
        assert ("Address unreachable" if v6 else "Destination Host Unreachable") in answer.stdout, \
            answer.stdout
    errors = [p for p in map(as_ip, capture.packets()) if p.dst == configs.overlay(
        1, "v6" if v6 else "v4")]
    assert {p.src for p in errors} == {configs.OVERLAY["v6" if v6 else "v4"].format(1)}
    kinds = {(p.payload.type, p.payload.code) for p in errors}
    assert kinds == {(1, 3) if v6 else (3, 1)}, kinds


@pytest.mark.parametrize("number", [2, 99], ids=["somebody", "nobody"])
def test_who_is_there_is_not_told(world, number):
    """An address of nobody is refused like that of a peer who may not be reached."""
    answer = world.clients["client1"].run("ping", "-n", "-c", "1", "-W", "10",
                                          configs.overlay(number), check=False)
    assert "Packet filtered" in answer.stdout, answer.stdout


def test_unreachable_is_told_to_a_limit(world):
    """Fifty at once, and then a hundred a second."""
    packets = [IP(src=configs.overlay(1), dst=configs.overlay(9)) / ICMP(id=n, seq=1)
               for n in range(400)]
    with world.capture("client1", "wg0", "icmp[icmptype] == icmp-unreach") as capture:
        began = time.monotonic()
        world.expect_drops("wireguard.no_endpoint", at_least=len(packets),
                           act=lambda: world.send_raw("client1", "wg0", *packets))
        assert lives(world)
        took = time.monotonic() - began
    assert 40 <= len(capture.packets()) <= 50 + 100 * took + 1


def inner(change, v6=False):
    """A packet of client1 with some bytes of its header written over: {offset: bytes}."""
    packet = bytearray(bytes((IPv6(src=configs.overlay(1, "v6"), dst=topology.INTERNET["v6"]) if v6
                              else IP(src=configs.overlay(1), dst=topology.INTERNET["v4"])) /
                             UDP(sport=9, dport=9) / bytes(40)))
    for offset, text in change.items():
        packet[offset:offset + len(text)] = text
    return IPv6(bytes(packet)) if v6 else bytes(packet)


@pytest.mark.parametrize("reason, packet", [
    ("packet.header_length", inner({0: b"\x44"})),
    ("packet.header_length", inner({0: b"\x4f"})[:48]),
    ("packet.total_length", inner({2: b"\0\x13"})), ("packet.cut", inner({2: b"\x01\0"})),
    ("packet.checksum", inner({10: b"\0\1"})),
    ("packet.udp", IP(src=configs.overlay(1), dst=topology.INTERNET["v4"], proto=17) / bytes(4)),
    ("packet.tcp", IP(src=configs.overlay(1), dst=topology.INTERNET["v4"], proto=6) / bytes(12)),
    ("packet.cut", IPv6(src=configs.overlay(1, "v6"), dst=topology.INTERNET["v6"], plen=200) /
     UDP(sport=9, dport=9)),
    ("packet.extensions", IPv6(src=configs.overlay(1, "v6"), dst=topology.INTERNET["v6"], nh=60,
                               plen=160) / (bytes([60, 0, 1, 4, 0, 0, 0, 0]) * 20))])
def test_malformed_inner_packets(world, reason, packet):
    """Authentic, and yet no packet: counted by what is wrong with it; the tunnel lives."""
    world.expect_drops(reason, lambda: world.send_raw("client1", "wg0", packet, packet),
                       at_least=2)
    assert lives(world)


def test_a_session_is_silent_until_it_is_confirmed(world):
    """The gateway has answered, but nothing has come on that session: it may not send on it. Only
    initiations get through to it; then everything does."""
    client = world.clients["client3"]  # to which the gateway would send each second
    rules = ("table inet first { chain c { type filter hook forward priority 0; "
             f"udp dport {PORT} udp length != 156 drop; }}; }}")
    exported = world.gateway.export("client3", client.key_file)
    world.lab.run("router", "nft", "-f", "-", input=rules)
    try:
        with world.capture("router", "uplink", f"udp port {PORT}") as capture:
            client.up(exported)
            port = port_of(client)

            def sent(kind, to=port):
                return [payload(p) for p in capture.packets() if UDP in p and
                        p[UDP].dport == to and payload(p)[0] == kind]

            # It wants to send: on a session from before, if there is one, or it begins another.
            wait_until(lambda: sent(RESPONSE) and (sent(INITIATION) or len(sent(DATA)) >= 3), 30,
                       "something else than a response", 0.2)
            new = {message[4:8] for message in sent(INITIATION, to=PORT)}
            assert new and not [message for message in sent(DATA) if message[4:8] in new]
    finally:
        world.lab.run("router", "nft", "delete", "table", "inet", "first")
    client.wait_handshake(30)
    assert client.pings("100.64.0.1", 5)
    client.down()


# -- clients with something of their own ----------------------------------------------------------


def test_preshared_key(world):
    """With a wrong one the gateway answers, but nothing comes of it; with the right one it does."""
    client = world.clients["client2"]
    exported = world.gateway.export("client2", client.key_file)
    assert world.preshared.strip() not in exported and "PresharedKey = ..." in exported
    wrong = run(["wg", "genpsk"]).stdout.strip()
    with world.capture("router", "uplink", FROM_GATEWAY) as capture:
        client.up(re.sub(r"(?m)^(PublicKey.*)$", rf"\1\nPresharedKey = {wrong}", exported))
        wait_until(lambda: of_kind(capture.packets(), RESPONSE), 30, "a response")
        assert not client.pings(topology.INTERNET["v4"], 1, 1)
    assert client.handshake() == 0
    assert row_of(world, "client2")["last_handshake"] in (0, None)
    key = client.folder / "psk"
    key.write_text(world.preshared)
    wg(client, "set", client.interface, "peer", gateway_key(client), "preshared-key", key)
    client.wait_handshake(30)
    assert lives(world, "client2")
    wait_until(lambda: row_of(world, "client2")["last_handshake"], 30, "the gateway's word for it")
    client.down()


def test_persistent_keepalive_of_the_gateway(world):
    """Each second of silence, and not sooner, though nothing is heard of the client. One that a busy
    machine delays comes late, and the next one soon after it: the middle one of all gaps counts."""
    client = world.clients["client3"]
    connect_silently(world, client, f"{topology.WAN['v4']}:{PORT}")
    port = port_of(client)
    with world.capture("router", "uplink", f"{FROM_GATEWAY} and dst port {port}") as capture:
        wait_until(lambda: len(capture.packets()) >= 6, 60, "six keepalives", 0.1)
    packets = capture.packets()
    assert {len(payload(p)) for p in packets} == {32}
    times = [float(p.time) for p in packets]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert 0.9 < statistics.median(gaps) < 2, gaps
    client.down()


def reconnect(world, family):
    """client1 comes anew, over this family outside."""
    client = world.clients["client1"]
    where = f"[{topology.WAN['v6']}]" if family == "v6" else topology.WAN["v4"]
    client.up(world.gateway.cli("peer", "export", "client1", "--private-key-file", client.key_file,
                                "--endpoint", f"{where}:{PORT}").stdout)
    return client


def test_tunnel_over_ipv6(world):
    """All of it: handshake and data over IPv6 outside, both families inside."""
    world.clients["client1"].down()
    with world.capture("router", "uplink", f"udp port {PORT}") as capture:
        client = reconnect(world, "v6")
        assert lives(world)
        for family in ("v4", "v6"):
            assert client.seen_address(topology.INTERNET[family]) == \
                topology.EGRESS["client1"][family]
        assert client.pings(topology.INTERNET["v6"], 2, 10, "-s", MTU - 48)
    packets = [p for p in capture.packets() if p[UDP].dport == port_of(client)]
    assert {p.payload.src for p in packets} == {topology.WAN["v6"]}
    assert len(of_kind(packets, DATA)) > 10
    assert {(tos(p), ttl(p)) for p in of_kind(packets, RESPONSE)} == {(HANDSHAKE_TOS, 64)}
    for packet in packets:  # UDP needs its checksum here (RFC 8200, 8.1)
        assert Ether(bytes(again(packet)))[UDP].chksum == packet[UDP].chksum


@pytest.mark.parametrize("family", ["v6", "v4"])
def test_exact_byte_counters(world, family):
    """Both ends count the same: whole messages, handshakes and keepalives, too."""
    def there():
        row = row_of(world, "client1")
        return row["wire_tx_bytes"], row["wire_rx_bytes"]

    world.clients["client1"].down()
    world.wait_published()
    start = there()
    client = reconnect(world, family)
    assert client.pings(topology.INTERNET["v4"], 10)

    def both():
        here = tuple(int(n) for n in wg(client, "show", client.interface, "transfer")[1:])
        return here, tuple(now - then for now, then in zip(there(), start))

    wait_until(lambda: both()[0] == both()[1], 30, f"the same figures, not {both()}", 0.1)
    sent_to_us, _ = both()[0]
    assert sent_to_us == SIZES[RESPONSE] + 10 * (96 + 32)
