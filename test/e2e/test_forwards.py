# SPDX-License-Identifier: BSD-3-Clause
"""Port forwards and hairpinning: real servers behind real clients, asked from the internet and from
inside."""
import json

import config as configs
import pytest
from conftest import SHAPES, shared_world
from lablib import internet, topology
from lablib.netns import wait_until

FAMILIES = ("v4", "v6")
SERVER = "client2"
OUTSIDE = topology.EGRESS[SERVER]
OWN = {family: topology.GATEWAY["inet"][i].split("/")[0] for i, family in enumerate(FAMILIES)}
ECHO = 7008


def forwarding(clients, workers=1):
    config = configs.exit_node(clients, workers)
    forwards = config["forwards"] = {}
    for family in FAMILIES:
        web = {"address": OUTSIDE[family], "protocol": "tcp",
               "to": {"peer": SERVER, "ports": 80}, "from": "any"}
        forwards[f"web-{family}"] = web | {"ports": 8080}
        forwards[f"few-{family}"] = web | {
            "ports": 8082, "from": {"prefixes": [topology.FAR["v4"] + "/32"]}}
        forwards[f"echo-{family}"] = {"address": OUTSIDE[family], "protocol": "udp",
                                      "ports": f"{ECHO - 8}-{ECHO}", "to": {"peer": SERVER},
                                      "from": "any"}
        forwards[f"lan-{family}"] = {"address": OWN[family], "protocol": "tcp", "ports": 8081,
                                     "to": {"address": topology.LAN_HOST[family], "ports": 80},
                                     "from": "any"}
    config["policies"] += [
        {"name": "let-in", "from": {"port": "inet"}, "to": {"forwards": list(forwards)},
         "action": "allow"},
        {"name": "let-peers", "from": {"peers": ["client1"]}, "action": "allow",
         "to": {"forwards": ["web-v4", "web-v6", "lan-v4", "lan-v6"]}}]
    return config


@pytest.fixture(scope="module", params=SHAPES)
def world(request):
    with shared_world(request, forwarding) as world:
        world.connect()
        for node in (SERVER, "lan-host"):
            internet.start_web(world.lab, world.logs, node)
        world.start_echo(SERVER, ECHO)
        # a server that is asked from outside must have a tunnel first
        assert world.clients[SERVER].pings(topology.INTERNET["v4"])
        yield world


def url(host, port, path="/"):
    return f"http://[{host}]:{port}{path}" if ":" in host else f"http://{host}:{port}{path}"


def ask(world, node, *args):
    """Who the web server says is asking; None if there is no answer."""
    answer = world.lab.run(node, "curl", "-s", "-g", "-m", "20", *args, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else None


def counted(world, name):
    rows = {row["name"]: row for row in world.gateway.json("forwards")["forwards"]}
    return rows[name]


@pytest.mark.parametrize("family", FAMILIES)
def test_from_the_internet_to_a_peer(world, family):
    before = counted(world, f"web-{family}")["flows"]
    for _ in range(5):
        assert ask(world, "internet", url(OUTSIDE[family], 8080)) == topology.INTERNET[family]
    wait_until(lambda: counted(world, f"web-{family}")["flows"] >= before + 5, 30, "flows", 0.1)
    wait_until(lambda: counted(world, f"web-{family}")["reply_bytes"] > 0, 30, "bytes", 0.1)
    assert f"web-{family}" in world.gateway.cli("forwards").stdout


@pytest.mark.parametrize("family", FAMILIES)
def test_from_the_internet_to_a_plain_host(world, family):
    assert ask(world, "internet", url(OWN[family], 8081)) == topology.INTERNET[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_datagrams_through_a_range(world, family):
    answers = world.answers(world.start_question("internet", OUTSIDE[family], ECHO, 20400))
    assert [(a["from"], a["port"]) for a in answers] == [(OUTSIDE[family], ECHO)]


def test_a_large_download(world):
    """Both directions of a connection, whole segments and right checksums."""
    size = 4_000_000
    output = world.lab.run("internet", "curl", "-s", "-m", "30", "-o", "/dev/null", "-w",
                           "%{size_download}", url(OUTSIDE["v4"], 8080, f"/bytes/{size}")).stdout
    assert int(output) == size
    world.expect_handoffs()


def test_only_for_some(world):
    assert ask(world, "internet", "--interface", topology.FAR["v4"],
               url(OUTSIDE["v4"], 8082)) == topology.FAR["v4"]
    world.expect_drops("flow.forward_source",
                       lambda: ask(world, "internet", "-m", "1", url(OUTSIDE["v4"], 8082)))


def test_beside_the_forward_nothing_is_open(world):
    world.expect_drops("flow.unsolicited",
                       lambda: ask(world, "internet", "-m", "1", url(OUTSIDE["v4"], 8090)))


@pytest.mark.parametrize("family", FAMILIES)
def test_hairpin_to_a_peer(world, family):
    """RFC 4787 REQ-9: the server sees the client's egress address."""
    assert ask(world, "client1", url(OUTSIDE[family], 8080)) == topology.EGRESS["client1"][family]


@pytest.mark.parametrize("family", FAMILIES)
def test_hairpin_to_a_plain_host(world, family):
    assert ask(world, "client1", url(OWN[family], 8081)) == topology.EGRESS["client1"][family]


def test_hairpin_is_no_way_around_the_policy(world):
    """let-peers names other forwards, and client1 only."""
    world.expect_drops("flow.policy", lambda: world.agent(
        "client1", "udp", OUTSIDE["v4"], ECHO, 20500, 0.2))
    world.expect_drops("flow.policy",
                       lambda: ask(world, SERVER, "-m", "1", url(OUTSIDE["v4"], 8080)))


def test_why_says_so(world):
    result = json.loads(world.gateway.cli(
        "why", topology.FAR["v4"], f"{OUTSIDE['v4']}:8080", "-j").stdout)
    assert result["allowed"] and result["forward"]["name"] == "web-v4"
    assert result["policy"]["rule"] == "policy:let-in"
    assert result["next_hop"]["peer"] == SERVER
    text = world.gateway.cli("why", "client1", f"{OUTSIDE['v4']}:8080").stdout
    assert "seen from the egress address" in text
