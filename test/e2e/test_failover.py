# SPDX-License-Identifier: BSD-3-Clause
"""Two routing peers in front of one office: one dies, the other takes over, and gives back."""
import contextlib
import copy
import os
import signal
import sys
from pathlib import Path

import config as configs
import pytest
from conftest import SHAPES, WORKERS
from lablib import topology
from lablib.internet import start_web
from lablib.netns import run, wait_until
from scapy.layers.inet import ICMP
from scapy.layers.inet6 import ICMPv6EchoRequest
from scapy.layers.l2 import Ether
from world import AGENT

OFFICE = {"v4": "10.30.0.10", "v6": "fd30::10"}
HALL = {"v4": "10.40.0.10", "v6": "fd40::10"}  # the same host; the way there is masqueraded
ROUTERS = ("client2", "client3")
ECHO_PORT = 7008


def build_office(world):
    """Both routers stand in the office's LAN; its way back is always by client3."""
    lab = world.lab
    lab.add_node("office")
    lab.ip_batch("office", "link add br0 type bridge", "link set br0 up",
                 *(f"addr add {a['v4']}/24 dev br0" for a in (OFFICE, HALL)),
                 *(f"addr add {a['v6']}/64 dev br0 nodad" for a in (OFFICE, HALL)))
    for number, router in enumerate(ROUTERS, 2):
        lab.wire(router, "lan", "office", router)
        lab.ip_batch("office", f"link set {router} master br0", f"link set {router} up")
        lab.ip_batch(router, "link set lan up",
                     *(f"addr add 10.{net}.0.{number}/24 dev lan" for net in (30, 40)),
                     *(f"addr add fd{net}::{number}/64 dev lan nodad" for net in (30, 40)))
        lab.sysctl(router, net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
    lab.ip_batch("office", "route add 100.64.0.0/24 via 10.30.0.3", "route add fd64::/64 via fd30::3")
    lab.start("office", sys.executable, AGENT, "tcp-echo", ECHO_PORT,
              log=world.logs / "office.log")


@pytest.fixture(params=WORKERS)
def office(request, make_world):
    world = make_world(configs.two_routers, workers=request.param, clients=3).connect()
    build_office(world)
    for name in ROUTERS:
        world.clients[name].wait_handshake()
    return world


def kill_wireguard(world, node):
    """As after a power cut: nothing is said to anybody."""
    killed = 0
    for pid in run(["ip", "netns", "pids", world.lab.ns(node)]).stdout.split():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "wireguard-go":
                os.kill(int(pid), signal.SIGKILL)
                killed += 1
    assert killed == 1
    # what waits for the next one's socket must not find this one's
    world.lab.run(node, "rm", "-f", "/var/run/wireguard/wg0.sock")


def members(world):
    return {m["peer"]: m for route in world.gateway.json("routes")["routes"]
            for m in route["members"]}


def in_use(world):
    return [name for name, member in members(world).items() if member["in_use"]]


def is_request(frame):
    return ICMPv6EchoRequest in frame or (ICMP in frame and frame[ICMP].type == 8)


def way(world, family="v4"):
    """The router through which echo requests come to the office."""
    with world.capture("office", "client2", "icmp or icmp6") as two, \
            world.capture("office", "client3", "icmp or icmp6") as three:
        assert world.clients["client1"].pings(OFFICE[family], 3)
    asked = {"client2": two, "client3": three}
    return [name for name, capture in asked.items()
            if any(is_request(Ether(bytes(p))) for p in capture.packets())]


def numbers(file):
    """How far the TCP session has come; 0 before its first number."""
    with contextlib.suppress(OSError, ValueError):
        return int(file.read_text())
    return 0


def goes_on(file, seconds):
    before = numbers(file)
    wait_until(lambda: numbers(file) > before + 3, seconds, f"the session beyond {before}", 0.1)


def open_sessions(world):
    """To the office and the hall, in both families: file to process."""
    sessions = {}
    for place, addresses in (("office", OFFICE), ("hall", HALL)):
        for family, address in addresses.items():
            file = world.lab.state / f"session-{place}-{family}"
            sessions[file] = world.lab.start("client1", sys.executable, AGENT, "session", address,
                                             ECHO_PORT, file, log=world.logs / f"{file.name}.log")
    return sessions


def outside(world, leads_to):
    """What the hall's host knows the masqueraded sessions as, once they lead to this peer."""
    def flows():
        found = [f for f in world.gateway.json("flows")["flows"]
                 if f["protocol"] == "tcp" and f["dst"] in HALL.values()]
        return len(found) == 2 and {f["to"] for f in found} == {leads_to} and {
            (f["dst"], f["sport"]): (f["nat"], f["nat_port"]) for f in found}

    return wait_until(flows, 30, f"the flows to the hall to lead to {leads_to}")


def test_failover_and_back(office):
    gateway = office.gateway
    assert in_use(office) == ["client2"]
    assert way(office) == ["client2"]  # and the answers come through client3
    assert way(office, "v6") == ["client2"]
    sessions = open_sessions(office)
    for file in sessions:
        goes_on(file, 30)
    known_as = outside(office, "client2")
    assert {address for address, _ in known_as.values()} == {"100.64.0.1", "fd64::1"}

    kill_wireguard(office, "client2")
    for file in sessions:
        goes_on(file, 60)  # the same connection: its flow has moved over
    assert outside(office, "client3") == known_as
    assert in_use(office) == ["client3"]
    assert members(office)["client2"]["state"] == "down"
    assert "client2 (down)" in gateway.cli("routes").stdout
    assert "client3 (in use)" in gateway.cli("routes").stdout
    hop = gateway.json("why", "client1", f"{OFFICE['v4']}:80")["next_hop"]
    assert hop["peer"] == "client3" and hop["instead_of"] == "client2"
    assert "peer client3 (client2 is down)" in gateway.cli("why", "client1", OFFICE["v4"]).stdout
    assert "SP1108" in {p["code"] for p in gateway.json("status")["problems"]}
    assert "routing peer client2: down" in gateway.control.log.read_text()
    assert way(office) == ["client3"]
    assert way(office, "v6") == ["client3"]

    # Another control process does not send anybody to the dead again.
    generation = gateway.json("status")["dataplane"]["generation"]
    gateway.control.restarted(gateway.control.kill())
    gateway.wait_ready()
    assert gateway.json("status")["dataplane"]["generation"] == generation
    assert in_use(office) == ["client3"]

    router = office.clients["client2"]
    router.up(gateway.export("client2", router.key_file))
    wait_until(lambda: in_use(office) == ["client2"], 60, "client2 to be used again", 0.2)
    assert members(office)["client2"]["state"] == "up"
    assert "routing peer client2: up" in gateway.control.log.read_text()
    assert way(office) == ["client2"]
    assert way(office, "v6") == ["client2"]
    for file, session in sessions.items():
        goes_on(file, 30)
        assert session.poll() is None
    assert outside(office, "client2") == known_as
    office.expect_handoffs()


def from_a_pool(clients, workers=1):
    """client4 is a user too. To the hall both are known by an address of a pool."""
    config = configs.two_routers(clients, workers)
    config["peers"]["client4"]["groups"] = ["users"]
    config["egress"]["rules"].insert(0, {
        "from": {"groups": ["users"]}, "to": ["10.40.0.0/24", "fd40::/64"], "use": "of-client1"})
    return config


@pytest.mark.parametrize("shape", SHAPES)
def test_a_hall_that_knows_a_pool_address(make_world, shape):
    """What is masqueraded towards a routing peer as an address that peers may also send to
    themselves: the answers come by the other router, and are known for answers at any worker. Of
    those who ask one has a lower number than both routers, the other one a higher."""
    office, pool = make_world(from_a_pool, clients=4, **shape), topology.EGRESS["client1"]
    build_office(office.connect())
    office.lab.ip_batch("office", f"route add {pool['v4']} via 10.30.0.3",
                        f"route add {pool['v6']} via fd30::3")
    start_web(office.lab, office.logs, "office")
    for name in ROUTERS:
        office.clients[name].wait_handshake()
    for name in ("client1", "client4"):
        client = office.clients[name]
        for family, address in HALL.items():
            with office.capture("office", "br0", "icmp or icmp6") as capture:
                assert client.pings(address, 3), (name, family)
                # in fragments, there and back
                client.run("ping", "-n", "-c", "3", "-W", "10", "-s", "3000", address)
            frames = [Ether(bytes(p)) for p in capture.packets()]
            assert {f[1].src for f in frames if is_request(f)} == {pool[family]}
            for _ in range(4):  # flows of several ports
                assert client.seen_address(address) == pool[family]
            # the hall says itself that a port is closed
            output = client.run("traceroute", f"-{family[1]}", "-n", "-q", "1", "-w", "5", "-m", "5",
                                address, timeout=40).stdout
            assert output.splitlines()[-1].split()[1] == address, output
    office.expect_handoffs()


@pytest.mark.parametrize("shape", SHAPES[1:3])
def test_a_group_of_routing_peers(make_world, shape):
    """The members of a group carry its route; one that cannot forward is skipped and named."""
    def config_of(clients, workers):
        config = configs.two_routers(clients, workers)
        config["routes"] = {"office": {
            "prefixes": ["10.30.0.0/24", "fd30::/64"], "via": {"groups": ["routers"]},
            "masquerade": False, "distribute_to": ["users"]}}
        config["policies"][-1]["to"]["routes"] = ["office"]
        return config

    office = make_world(config_of, clients=3, **shape).connect()
    build_office(office)
    assert set(members(office)) == set(ROUTERS) and in_use(office) == ["client2"]
    assert way(office) == ["client2"]
    without = copy.deepcopy(office.config)
    without["peers"]["client2"]["can_route"] = False
    with office.changed(without):
        assert in_use(office) == ["client3"]
        assert way(office) == ["client3"]
        route = office.gateway.json("routes")["routes"][0]
        assert route["via_groups"] == ["routers"]
        assert route["skipped"] == [{"peer": "client2", "why": "cannot forward"}]
        assert "client2 (skipped)" in office.gateway.cli("routes").stdout
        problems = {p["code"]: p["message"] for p in office.gateway.json("status")["problems"]}
        assert "client2" in problems["SP1111"]
        file = office.lab.state / "gateway.yaml"
        for command in (["check", file], ["plan"]):
            answer = office.gateway.cli(*command, check=False)
            assert "peer 'client2' is skipped" in answer.stdout + answer.stderr, command
    assert way(office) == ["client2"]
    office.expect_handoffs()
