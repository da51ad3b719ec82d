# SPDX-License-Identifier: BSD-3-Clause
"""wg(8) on the running gateway: what it shows happened, what it changes is in force."""
import stat
import sys

import config as configs
import pytest
from lablib import topology
from lablib.netns import run, wait_until

GUEST = "client3"  # in no file
GUEST_ADDRESS = "100.64.0.50"
GATEWAY_ADDRESS = "100.64.0.1"
RATE, SECONDS = 1000, 4


def make_config(clients, workers=1):
    known = {name: client for name, client in clients.items() if name != GUEST}
    config = configs.exit_node(known, workers)
    config["policies"].append({"name": "ping-for-all", "from": "any", "to": {"host": True},
                               "protocol": "icmp", "action": "allow"})
    return config


@pytest.fixture
def world(make_world):
    world = make_world(make_config, clients=3).connect("client1", "client2")
    for name in ("client1", "client2"):
        world.clients[name].wait_handshake()
        assert world.clients[name].pings(topology.INTERNET["v4"], 3)
    return world


def dump(text):
    """`wg show <interface> dump`: the interface's fields, and each peer's by public key."""
    lines = [line.split("\t") for line in text.splitlines()]
    names = ("preshared_key", "endpoint", "allowed", "handshake", "rx", "tx", "keepalive")
    return lines[0], {line[0]: dict(zip(names, line[1:])) for line in lines[1:]}


def gateway_peers(world):
    return dump(world.gateway.wg("show", "sp0", "dump").stdout)[1]


def client_peer(client):
    return list(dump(client.run("wg", "show", client.interface, "dump").stdout)[1].values())[0]


# Asks as a user without rights; "" is the end of the connection, without an answer.
ASK = """
import os, socket, sys
os.setgid(65534), os.setuid(65534)
sock = socket.socket(socket.AF_UNIX)
sock.settimeout(10)
try:
    sock.connect(sys.argv[1])
    sock.send(b"get=1\\n\\n")
    print("answer" if sock.recv(1000) else "closed")
except PermissionError:
    print("no way")
except (BrokenPipeError, ConnectionResetError):
    print("closed")
"""


def test_only_root_and_ourselves_are_heard(world):
    """By the socket's mode; and should somebody widen that, by who asks."""
    socket = world.gateway.wireguard_dir / "sp0.sock"

    def ask():
        return run([sys.executable, "-c", ASK, socket]).stdout.strip()

    assert ask() == "no way"
    for folder in (world.lab.state, world.gateway.wireguard_dir):
        folder.chmod(0o755)
    socket.chmod(0o666)
    assert ask() == "closed"
    assert gateway_peers(world)  # root's


def agree(world, client):
    """Both ends count the same bytes; the gateway publishes its own once a second."""
    ours, theirs = gateway_peers(world)[client.public_key], client_peer(client)
    return ours["rx"] == theirs["tx"] and ours["tx"] == theirs["rx"]


def gateway_key(world):
    return run(["wg", "pubkey"], input=(world.gateway.state_dir / "gateway.key").read_text()
               ).stdout.strip()


def guest_file(world, preshared_key):
    guest = world.clients[GUEST]
    return (f"[Interface]\nPrivateKey = {guest.key_file.read_text().strip()}\n"
            f"Address = {GUEST_ADDRESS}/32\n[Peer]\nPublicKey = {gateway_key(world)}\n"
            f"PresharedKey = {preshared_key}\nAllowedIPs = {GATEWAY_ADDRESS}/32\n"
            f"Endpoint = {topology.WAN['v4']}:{topology.LISTEN_PORT}\n")


def log_says(world, text):
    return text in world.gateway.control.log.read_text()


def test_show_is_what_happened(world):
    interface, peers = dump(world.gateway.wg("show", "sp0", "dump").stdout)
    assert interface[0] == (world.gateway.state_dir / "gateway.key").read_text().strip()
    assert interface[1] == gateway_key(world)
    assert interface[2:] == [str(topology.LISTEN_PORT), "off"]
    assert set(peers) == {world.clients[n].public_key for n in ("client1", "client2")}
    for number, name in enumerate(("client1", "client2"), 1):
        client = world.clients[name]
        wait_until(lambda c=client: agree(world, c), 30, f"equal counters of {name}", 0.2)
        peer = gateway_peers(world)[client.public_key]
        assert int(peer["rx"]) > 148 and int(peer["tx"]) > 92
        assert abs(int(peer["handshake"]) - client.handshake()) <= 3
        assert peer["endpoint"].split(":")[0] == topology.ROUTER["uplink"][0].split("/")[0]
        assert peer["allowed"] == (f"{configs.overlay(number)}/32,"
                                   f"{configs.overlay(number, 'v6')}/128")
        row = next(r for r in world.gateway.json("peers")["peers"] if r["name"] == name)
        assert row["endpoint"] == peer["endpoint"] and row["origin"] == "file"
        assert str(row["last_handshake"]) == peer["handshake"]
        assert str(row["wire_rx_bytes"]) == peer["rx"] and str(row["wire_tx_bytes"]) == peer["tx"]
    assert "latest handshake" in world.gateway.wg("show").stdout
    mode = (world.gateway.wireguard_dir / "sp0.sock").stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600


def test_showconf_into_syncconf_changes_nothing(world):
    text = world.gateway.wg("showconf", "sp0").stdout
    handshakes = {key: peer["handshake"] for key, peer in gateway_peers(world).items()}
    child = world.start_stream("client1", topology.INTERNET["v4"], RATE, SECONDS)
    for verb in ("syncconf", "setconf", "addconf"):
        world.gateway.wg(verb, "sp0", "/dev/stdin", input=text)
    assert world.whole(child)["sent"] == RATE * SECONDS
    assert world.gateway.wg("showconf", "sp0").stdout == text
    assert {key: peer["handshake"] for key, peer in gateway_peers(world).items()} == handshakes
    assert not log_says(world, "peers changed")  # nothing was sent on its account


@pytest.mark.parametrize("change, says", [
    (("listen-port", "4500"), "wireguard.listen_port"),
    (("fwmark", "7"), "no mark"),
    (("peer", "client1", "remove"), "peer client1 is in the configuration file"),
    (("peer", "client1", "persistent-keepalive", "7"), "persistent_keepalive"),
    (("peer", GUEST, "allowed-ips", "10.9.0.0/16"), "'routes'"),
    (("peer", GUEST, "allowed-ips", "100.64.0.11/32"), "client1"),
])
def test_what_is_the_files_is_refused(exit_gateway, change, says):
    world = exit_gateway
    keys = {name: client.public_key for name, client in world.clients.items()}
    before = world.gateway.wg("showconf", "sp0").stdout
    answer = world.gateway.wg("set", "sp0", *(keys.get(word, word) for word in change),
                              check=False)
    assert answer.returncode != 0 and "Unable to modify interface" in answer.stderr
    assert log_says(world, says)
    assert world.gateway.wg("showconf", "sp0").stdout == before


def test_an_interface_that_is_none(exit_gateway):
    for verb in (("show", "sp7"), ("set", "sp7", "listen-port", "1"), ("showconf", "sp7")):
        assert exit_gateway.gateway.wg(*verb, check=False).returncode != 0
    assert exit_gateway.gateway.wg("show", "interfaces").stdout.split() == ["sp0"]


@pytest.fixture(scope="module")
def exit_gateway(request):
    """One gateway for changes that change nothing; no client is connected."""
    from conftest import log_folder, needs_programs
    from world import World
    needs_programs()
    world = World(log_folder(request) / request.node.name / "refused", make_config, clients=3)
    try:
        yield world.up()
    finally:
        world.down()


def test_set_adds_and_removes_a_peer(world):
    guest, secret = world.clients[GUEST], run(["wg", "genpsk"]).stdout.strip()
    world.gateway.wg("set", "sp0", "peer", guest.public_key, "preshared-key", "/dev/stdin",
                     "allowed-ips", f"{GUEST_ADDRESS}/32", input=secret + "\n")
    guest.up(guest_file(world, secret))
    assert guest.pings(GATEWAY_ADDRESS, 5)
    wait_until(lambda: agree(world, guest), 30, "equal counters of the guest", 0.2)
    assert gateway_peers(world)[guest.public_key]["preshared_key"] == secret
    row = next(r for r in world.gateway.json("peers")["peers"]
               if r["public_key"] == guest.public_key)
    assert row["origin"] == "api" and row["state"] == "live"
    # It outlives the process that was told of it, and the file read anew.
    world.gateway.control.restarted(world.gateway.control.kill())
    world.gateway.wait_ready()
    assert world.gateway.cli("apply", check=False).returncode == 3  # nothing has changed
    assert gateway_peers(world)[guest.public_key]["allowed"] == f"{GUEST_ADDRESS}/32"
    assert guest.pings(GATEWAY_ADDRESS, 2)
    # syncconf with it and then without it
    text = world.gateway.wg("showconf", "sp0").stdout
    world.gateway.wg("syncconf", "sp0", "/dev/stdin", input=text)
    assert world.gateway.wg("showconf", "sp0").stdout == text
    assert len(list(world.gateway.state_dir.glob("*.psk"))) == 1
    world.gateway.wg("set", "sp0", "peer", guest.public_key, "remove")
    assert guest.public_key not in gateway_peers(world)
    assert not guest.pings(GATEWAY_ADDRESS, 2, 1)
    assert not list(world.gateway.state_dir.glob("*.psk"))
    for name in ("client1", "client2"):
        assert world.clients[name].pings(topology.INTERNET["v4"], 2)


def test_many_allowed_ips(exit_gateway):
    """As the kernel's self-test has it: more than fits a message, a page or an option."""
    world, count = exit_gateway, 131_072
    guest = world.clients[GUEST].public_key
    network = configs.overlay(0, "v6").rpartition("::")[0]
    addresses = {f"{network}::{number >> 16:x}:{number & 0xffff:x}/128"
                 for number in range(1 << 24, (1 << 24) + count)}
    text = f"[Peer]\nPublicKey = {guest}\nAllowedIPs = {', '.join(sorted(addresses))}\n"
    world.gateway.wg("addconf", "sp0", "/dev/stdin", input=text)
    assert set(gateway_peers(world)[guest]["allowed"].split(",")) == addresses
    shown = world.gateway.wg("showconf", "sp0").stdout
    world.gateway.wg("syncconf", "sp0", "/dev/stdin", input=shown)
    assert world.gateway.wg("showconf", "sp0").stdout == shown
    world.gateway.wg("set", "sp0", "peer", guest, "remove")
    assert guest not in gateway_peers(world)
