# SPDX-License-Identifier: BSD-3-Clause
"""Who may what behind a routing peer, with real clients, under both settings of
policy.routes_without_acl_groups; and routes with and without masquerading beside an exit node."""
import copy

import config as configs
import pytest
from conftest import SHAPES, shared_world
from lablib import topology
from lablib.internet import start_web
from lablib.netns import wait_until

SERVER = "192.168.100.10"  # behind client2
OTHER = "192.168.100.20"
LAN = topology.LAN_HOST["v4"]


def behind_a_router(clients, workers=1):
    """client2 is the routing peer of 192.168.100.0/24; the only policy is ICMP to client2."""
    config = configs.exit_node(clients, workers)
    config["groups"] = {g: {} for g in ("everyone", "a", "r", "srvs")}
    for name, peer in config["peers"].items():
        peer["groups"] = ["everyone", "a" if name == "client1" else "r"]
    config["routes"] = {"srvs-site": {
        "prefixes": ["192.168.100.0/24"], "via": {"peers": ["client2"]}, "distribute_to": ["a"]}}
    config["policies"].append({"name": "ping-the-router", "from": {"groups": ["a"]},
                               "to": {"groups": ["r"]}, "protocol": "icmp", "action": "allow"})
    return config


def with_http_only(config):
    """One server of the range as an object of its own, for HTTP only, and SSH to others denied
    by nobody: the route beside it stays as it is."""
    config = copy.deepcopy(config)
    config["routes"]["srv"] = {"prefixes": [f"{SERVER}/32"], "via": {"peers": ["client2"]},
                               "distribute_to": ["a"], "acl_groups": ["srvs"]}
    config["policies"].append({"name": "http-only", "from": {"groups": ["a"]},
                               "to": {"groups": ["srvs"]}, "protocol": "tcp", "ports": [80],
                               "action": "allow"})
    return config


def setting(config, word):
    config = copy.deepcopy(config)
    config["policy"] = {"routes_without_acl_groups": word}
    return config


@pytest.fixture(scope="module", params=SHAPES)
def router(request):
    with shared_world(request, behind_a_router) as world:
        world.connect()
        world.lab.ip_batch("client2", f"addr add {SERVER}/32 dev lo", f"addr add {OTHER}/32 dev lo")
        start_web(world.lab, world.logs, "client2")
        for client in world.clients.values():
            client.wait_handshake()
        yield world
        world.expect_handoffs()


def seconds(answers):
    """How long to wait for it. Where none may come, no longer than one usually takes."""
    return 20 if answers else 2


def expect(world, host, echo, http):
    """Whether the client has them answered, and `why` says the same."""
    client = world.clients["client1"]
    assert (client.run("curl", "-sS", "-o", "/dev/null", "-m", seconds(http), f"http://{host}/",
                       check=False).returncode == 0) == http, host
    assert client.pings(host, 2, seconds(echo)) == echo, host
    for words, result in (([host], echo), ([f"{host}:80"], http)):
        answer = world.gateway.cli("why", "client1", *words, check=False)
        assert (answer.returncode == 0) == result, answer.stdout


def test_icmp_only_policy_and_a_route_without_acl_groups(router):
    config = router.make(behind_a_router)
    router.apply(setting(config, "allow"))
    expect(router, SERVER, echo=True, http=True)  # the route is open, and marked so
    assert "OPEN" in router.gateway.cli("routes").stdout
    check = router.gateway.cli("check", router.lab.state / "gateway.yaml", check=False)
    assert "SP0501" in check.stdout + check.stderr
    router.apply(setting(config, "deny"))
    expect(router, SERVER, echo=False, http=False)  # the policy is about the router
    assert router.clients["client1"].pings(configs.overlay(2), 2)


def test_http_only_resource_beside_an_open_route(router):
    config = with_http_only(router.make(behind_a_router))
    for word in ("allow", "deny"):
        router.apply(setting(config, word))
        # the resource is the longer prefix, and says itself who may; the route does not widen it
        expect(router, OTHER, echo=word == "allow", http=word == "allow")
        expect(router, SERVER, echo=False, http=True)


# -- masquerading on and off, and an exit node beside them -------------------------------------

def side_by_side(clients, workers=1):
    """The LAN as it is for client1, and masqueraded for client2."""
    config = configs.exit_node(clients, workers)
    config["groups"].update(open={}, hidden={})
    for name, group in (("client1", "open"), ("client2", "hidden")):
        config["peers"][name]["groups"].append(group)
        config["routes"] = {**config.get("routes", {}), group: {
            "prefixes": ["10.20.0.0/24", "fd20::/64"], "via": {"port": "lan"},
            "masquerade": group == "hidden", "distribute_to": [group]}}
        config["policies"].append({"name": f"to-{group}", "from": {"groups": [group]},
                                   "to": {"routes": [group]}, "action": "allow"})
    config["policies"].append({"name": "from-lan", "from": {"port": "lan"},
                               "to": {"groups": ["open"]}, "action": "allow"})
    return config


@pytest.mark.parametrize("shape", SHAPES)
def test_masquerade_on_and_off_beside_an_exit_node(make_world, shape):
    world = make_world(side_by_side, **shape).connect()
    start_web(world.lab, world.logs, "lan-host")
    one, two = world.clients["client1"], world.clients["client2"]
    one.wait_handshake()
    assert one.seen_address(LAN) == configs.overlay(1)
    assert one.seen_address(topology.LAN_HOST["v6"]) == configs.overlay(1, "v6")
    assert two.seen_address(LAN) == "10.20.0.1"
    for name, client in world.clients.items():
        assert client.seen_address(topology.INTERNET["v4"]) == topology.EGRESS[name]["v4"]
    # a host of the LAN opens a flow to the peer that has its own address there, and to no other
    for family in ("v4", "v6"):
        for number, answers in ((1, True), (2, False)):
            assert world.lab.run("lan-host", "ping", "-n", "-c", "2", "-W", seconds(answers),
                                 configs.overlay(number, family),
                                 check=False).returncode == (0 if answers else 1)

    text = world.gateway.cli("routes").stdout
    assert "open: 100.64.0.0/24 via 10.20.0.1" in text and "open: fd64::/64 via fd20::1" in text
    assert "hidden:" not in text
    # without the way back nobody answers, and that is said
    world.lab.ip_batch("lan-host", "route add blackhole 100.64.0.0/24")
    one.pings(LAN, 4, 1)
    hint = wait_until(lambda: [f["hint"] for f in world.gateway.json("flows")["flows"] if f["hint"]],
                      30, "a flow without an answer", 0.2)[0]
    assert hint.startswith("route open: no answer") and configs.overlay(1) in hint
    assert hint in world.gateway.cli("flows").stdout
    assert two.pings(LAN, 2)
    world.expect_handoffs()
