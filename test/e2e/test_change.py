# SPDX-License-Identifier: BSD-3-Clause
"""The life of a configuration: planned, tried, confirmed or taken back; and peers by command."""
import copy
import json
import re
import time

import config as configs
import pytest
from conftest import log_folder, needs_programs
from lablib import topology
from lablib.netns import wait_until
from test_terminal import on_terminal
from world import World

OLD = "203.0.113.250"


@pytest.fixture(scope="module")
def world(request):
    """client1 is connected; client2 has no entry yet, and comes by command."""
    needs_programs()

    def only_client1(clients, workers):
        config = configs.exit_node(clients, workers)
        del config["peers"]["client2"]
        config["egress"]["rules"] = config["egress"]["rules"][:1]
        return config

    made = World(log_folder(request) / request.node.name, only_client1)
    request.node.worlds = [made]
    try:
        yield made.up().connect("client1")
    finally:
        made.down()


def cli(world, *args):
    answer = world.gateway.cli(*args, check=False)
    return answer.returncode, answer.stdout, answer.stderr


def write(world, config):
    configs.write(config, world.lab.state / "gateway.yaml")


def in_force(world):
    versions = world.gateway.json("history")["versions"]
    return next(v["version"] for v in versions if v["in_force"])


def closed(world):
    """The configuration without the policy that leads out."""
    config = copy.deepcopy(world.config)
    config["policies"] = config["policies"][1:]
    return config


def goes_out(world):
    return world.clients["client1"].pings(topology.INTERNET["v4"], 3)


def stays_in(world):
    """Nothing is answered while it usually would be."""
    return not world.clients["client1"].pings(topology.INTERNET["v4"], 3, 1)


def plan_of(world, config, why):
    """The plan as JSON and text, once the stream of the test is among the flows it cuts."""
    write(world, config)
    try:
        plan = wait_until(lambda: (p := json.loads(cli(world, "plan", "-j")[1]))
                          and p["flows"]["cut"] and p, 30, "a flow that would be cut")
        code, text, _ = cli(world, "plan")
    finally:
        write(world, world.config)
    assert code == 3
    assert any(f["from"] == "client1" and f["why"] == why for f in plan["flows"]["list"]), plan
    return {(c["change"], c["kind"], c["name"]) for c in plan["changes"]}, plan["touched"], text


def test_plan_names_changes_and_people_and_changes_nothing(world):
    assert cli(world, "plan")[0] == 0
    child = world.start_stream("client1", topology.INTERNET["v4"], 100, 5)
    names, touched, text = plan_of(world, closed(world), "no route or exit node leads there")
    assert names == {("removed", "policy", "internet")}
    peer, = touched["reach"]["peers"]
    assert (peer["name"], peer["exit_node_from"], peer["exit_node_to"]) == \
        ("client1", "internet", None)
    assert "- policy internet" in text and "- exit node internet" in text

    config = copy.deepcopy(world.config)
    config["egress"]["pools"]["of-client1"]["addresses"][0] = OLD
    names, touched, text = plan_of(world, config, "its egress address is gone")
    assert names == {("changed", "egress pool", "of-client1")}
    peer, = touched["egress"]["peers"]
    assert peer["name"] == "client1" and peer["to"][0]["addresses"][0] == OLD
    assert f"client1: {topology.EGRESS['client1']['v4']}" in text
    world.whole(child)


def test_a_trial_is_kept_or_taken_back(world):
    before, text = in_force(world), (world.lab.state / "gateway.yaml").read_text()
    assert cli(world, "confirm")[0] == 2
    write(world, closed(world))
    code, out, _ = cli(world, "apply", "--confirm", "5m", "--message", "close: it & see")
    assert code == 0 and "On trial" in out
    assert stays_in(world)
    newest = world.gateway.json("history")["versions"][0]
    assert newest["on_trial"] and newest["message"] == "close: it & see" and newest["who"] == "root"
    # nothing else while it lasts
    assert cli(world, "apply")[0] == 1
    code, out, _ = cli(world, "rollback")
    assert code == 0, out
    assert goes_out(world)
    assert (world.lab.state / "gateway.yaml").read_text() == text
    assert world.gateway.json("history")["trial_ends"] is None

    write(world, closed(world))
    assert cli(world, "apply", "--confirm", "5m")[0] == 0
    assert cli(world, "confirm")[0] == 0
    assert stays_in(world)
    code, out, _ = cli(world, "config", "diff", str(before), str(in_force(world)))
    assert code == 3 and out == "  - policy internet\n"
    assert cli(world, "rollback", str(before))[0] == 0
    assert goes_out(world)


def test_what_cuts_flows_is_asked_first(world):
    """By whoever sits there; a script says so beforehand, and nothing is done if nobody does."""
    text = (world.lab.state / "gateway.yaml").read_text()
    assert goes_out(world)
    write(world, closed(world))
    answer = world.gateway.cli("apply", check=False, accept=False)
    assert answer.returncode == 1
    assert re.search(r"this cuts [1-9]\d* of [1-9]\d* running flows?\. Nothing was changed\. To "
                     r"go on: --accept-risk=drop-sessions", answer.stderr), answer.stderr
    assert goes_out(world)
    said, code = on_terminal(world, "apply", typed=b"n\n")
    assert code == 1 and "Go on? [y/N]" in said and goes_out(world)
    said, code = on_terminal(world, "apply", typed=b"y\n")
    assert code == 0, said
    assert stays_in(world)
    # To open cuts nothing, and asks nothing.
    answer = world.gateway.cli("rollback", check=False, accept=False)
    assert answer.returncode == 0, answer.stderr
    assert goes_out(world) and (world.lab.state / "gateway.yaml").read_text() == text


def test_a_trial_ends_while_the_daemon_is_down(world):
    """Also after a crash: the version before is back once the daemon is."""
    text = (world.lab.state / "gateway.yaml").read_text()
    write(world, closed(world))
    assert cli(world, "apply", "--confirm", "10s")[0] == 0
    ends = world.gateway.json("history")["trial_ends"]
    world.gateway.control.stop()
    assert stays_in(world)
    while time.time() <= ends:
        time.sleep(0.1)
    world.gateway.control.control("u")
    world.gateway.wait_ready()
    assert wait_until(lambda: goes_out(world), 60, "the way out")
    assert (world.lab.state / "gateway.yaml").read_text() == text


def test_a_broken_file_does_not_keep_the_daemon_down(world):
    path = world.lab.state / "gateway.yaml"
    text = path.read_text()
    path.write_text("version: 1\nwiregard: {}\n")
    world.gateway.control.restarted(world.gateway.control.kill())
    # degraded, which is not ready, but it forwards and answers
    wait_until(lambda: "SP1120" in cli(world, "status", "-j")[1], 30, "the daemon to say so")
    assert goes_out(world)
    assert cli(world, "apply")[0] == 2
    path.write_text(text)
    assert cli(world, "apply")[0] == 3
    world.gateway.wait_ready()


def test_tests_in_the_file_refuse_a_change(world):
    config = closed(world)
    config["tests"] = [{"from": "client1", "to": "1.1.1.1:443", "expect": "allow",
                        "egress": "of-client1"}]
    write(world, config)
    code, _, err = cli(world, "apply")
    write(world, world.config)
    assert code == 2
    assert "SP0330" in err and "no route or exit node" in err
    assert goes_out(world)


def packets_from(world, name):
    return next(p["rx_packets"] for p in world.gateway.json("peers")["peers"] if p["name"] == name)


def test_peers_come_and_go_by_command(world):
    endpoint = ["--endpoint", f"{topology.WAN['v4']}:{topology.LISTEN_PORT}"]
    file = world.lab.state / "peers.d" / "client2.yaml"
    code, _, err = cli(world, "peer", "add", "client2", "--groups", "everyon")
    assert code == 2 and f"{file}:" in err and "did you mean 'everyone'" in err
    assert not file.exists()
    code, _, err = cli(world, "peer", "add", "client2", "--address", "100.64.0.11")
    assert code == 2 and "belongs to peer 'client1'" in err and not file.exists()

    # what a client is given works as it is, and its private key is nowhere else
    code, text, _ = cli(world, "peer", "add", "client2", "--groups", "everyone", *endpoint)
    assert code == 0
    key = next(line.split(" = ")[1] for line in text.splitlines() if "PrivateKey" in line)
    for path in world.lab.state.rglob("*"):
        if path.is_file() and path.stat().st_size < 64 << 20:
            assert key.encode() not in path.read_bytes(), path
    world.clients["client2"].up(text)
    wait_until(lambda: world.clients["client2"].pings("100.64.0.1", 1, 1), 30, "the gateway")
    assert cli(world, "peer", "add", "client2")[0] == 1
    assert cli(world, "peer", "remove", "client1")[0] == 1
    assert cli(world, "peer", "remove", "client3")[0] == 2

    wait_until(lambda: packets_from(world, "client2"), 30, "its packets to be counted")
    assert cli(world, "peer", "remove", "client2")[0] == 0
    assert not file.exists()
    assert "client2" not in {p["name"] for p in world.gateway.json("peers")["peers"]}
    # and the history brings it back, file and all
    assert cli(world, "rollback")[0] == 0
    assert file.exists()
    # whose counters begin anew, whatever number it has inside
    wait_until(lambda: packets_from(world, "client2") == 0, 30, "counters to begin at zero")
    assert cli(world, "rollback")[0] == 0


def test_figures_of_what_has_gone_are_not_the_next_ones(world):
    """Numbers inside are used again; figures are not, at no moment."""
    def packets(name, policy):
        listed = (world.gateway.json("policy")["policies"],
                  world.gateway.json("exit-nodes")["exit_nodes"])
        return [next(x["packets"] for x in objects if x["name"] == wanted)
                for objects, wanted in zip(listed, (policy, name))]

    assert world.clients["client1"].pings(topology.INTERNET["v4"], 3)
    wait_until(lambda: all(packets("internet", "internet")), 30, "figures")
    without, other = copy.deepcopy(world.config), copy.deepcopy(world.config)
    del without["policies"][0], without["exit_nodes"]
    other["exit_nodes"] = {"elsewhere": other["exit_nodes"]["internet"]}
    other["policies"][0].update(name="outwards", to={"exit_nodes": ["elsewhere"]})
    with world.changed(without), world.changed(other):
        assert packets("elsewhere", "outwards") == [0, 0]
        assert world.clients["client1"].pings(topology.INTERNET["v4"])
        wait_until(lambda: packets("elsewhere", "outwards") == [1, 1], 30, "the new ones' figures")
    assert goes_out(world)


def test_a_secret_by_reference(world):
    secret = world.lab.state / "preshared"
    secret.write_text("HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=\n")
    secret.chmod(0o644)
    config = copy.deepcopy(world.config)
    config["peers"]["other"] = {"public_key": "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
                                "addresses": ["100.64.0.77"],
                                "preshared_key": "${file:%s}" % secret}
    write(world, config)
    try:
        code, _, err = cli(world, "apply")
        assert code == 2 and f"chmod 0600 {secret}" in err
        secret.chmod(0o600)
        assert cli(world, "apply")[0] == 0
        database = (world.gateway.state_dir / "state.db").read_bytes()
        assert secret.read_bytes().strip() not in database
    finally:
        write(world, world.config)
        cli(world, "apply")


def put(world, config):
    """In force, whether the data plane had to be told anything or not."""
    world.config = config
    write(world, config)
    assert cli(world, "apply")[0] in (0, 3)


def two_exits(before):
    """client1 may leave by either exit node, client2 by the first one only."""
    config = copy.deepcopy(before)
    config["groups"]["travellers"] = {}
    config["peers"]["client1"]["groups"] = ["everyone", "travellers"]
    config["exit_nodes"]["abroad"] = {"offer_to": ["travellers"]}
    config["egress"]["rules"] = [
        {"from": "any", "exit_nodes": ["abroad"], "use": "of-client2"},
        {"from": "any", "exit_nodes": ["internet"], "use": "of-client1"}]
    config["policies"][0]["to"]["exit_nodes"].append("abroad")
    return config


def test_a_peer_chooses_among_exit_nodes(world):
    client, before = world.clients["client1"], world.config
    home, abroad = (topology.EGRESS[name] for name in ("client1", "client2"))

    def seen():
        return {family: client.seen_address(topology.INTERNET[family]) for family in home}

    world.apply(two_exits(before))
    try:
        assert seen() == home
        stream = world.start_stream("client1", topology.INTERNET["v4"], 100, 4)
        code, text, _ = cli(world, "exit-nodes", "select", "abroad", "--as", "client1")
        assert code == 0 and f"by exit node abroad, as {abroad['v4']}" in text, text
        assert f"Before: exit node internet, as {home['v4']}" in text and "keep the address" in text
        assert seen() == abroad
        # what ran before goes on, from the address that its other end knows
        world.whole(stream)
        assert cli(world, "exit-nodes", "select", "abroad", "--as", "client1")[0] == 3

        why = json.loads(cli(world, "why", "client1", topology.INTERNET["v4"], "-j")[1])
        assert why["egress"]["addresses"] == [abroad["v4"]]
        assert why["route"]["by"] == "exit node abroad" and why["source"]["selected"] == "abroad"
        assert "abroad*" in cli(world, "peers")[1]
        details = cli(world, "status", "-d")[1]
        assert "exit node  abroad, selected" in details and ", path direct" in details
        nodes = world.gateway.json("exit-nodes")["exit_nodes"]
        assert {n["name"]: (n["peers"], n["selected"]) for n in nodes} == {
            "internet": (0, 0), "abroad": (1, 1)}

        world.gateway.control.restarted(world.gateway.control.kill())
        wait_until(world.gateway.ready, 30, "sallyportd to be back")
        assert seen() == abroad
        assert cli(world, "exit-nodes", "deselect", "--as", "client1")[0] == 0
        assert seen() == home
        assert cli(world, "exit-nodes", "deselect", "--as", "client1")[0] == 3
    finally:
        world.apply(before)


def test_an_exit_node_that_is_not_offered_is_refused(world):
    before = world.config
    config = two_exits(before)
    config["peers"]["client1"]["groups"] = ["everyone"]
    put(world, config)
    try:
        code, _, err = cli(world, "exit-nodes", "select", "abroad", "--as", "client1")
        assert code == 1 and "it is offered to travellers, and the peer is in everyone" in err
        assert "offered to travellers" in cli(world, "exit-nodes", "--as", "client1")[1]
        config = two_exits(before)
        config["policies"][0]["to"]["exit_nodes"].remove("abroad")
        put(world, config)
        code, _, err = cli(world, "exit-nodes", "select", "abroad", "--as", "client1")
        assert code == 1 and "no policy allows it" in err and "{exit_nodes: [abroad]}" in err
        assert cli(world, "exit-nodes", "select", "nowhere", "--as", "client1")[0] == 2
        assert cli(world, "exit-nodes", "select", "abroad")[0] == 2

        # an offer that ends closes the way: no other address takes its place
        put(world, two_exits(before))
        assert cli(world, "exit-nodes", "select", "abroad", "--as", "client1")[0] == 0
        config = two_exits(before)
        config["peers"]["client1"]["groups"] = ["everyone"]
        put(world, config)
        assert stays_in(world)
        code, text, _ = cli(world, "why", "client1", topology.INTERNET["v4"])
        assert code == 1 and "abroad is selected, but not offered any more" in text
        problem = next(p for p in world.gateway.json("status")["problems"]
                       if p["code"] == "SP1110")
        assert "abroad is selected by 1 peer" in problem["message"]
        assert problem["next"] == "sallyport exit-nodes --as client1"
        fixes = [c["fix"] for c in json.loads(
            cli(world, "doctor", "--as", "client1", "-j")[1])["gateway"] if c["state"] == "fail"]
        assert "sallyport exit-nodes deselect --as client1" in fixes
        # and the exit node takes the choice with it
        put(world, before)
        assert goes_out(world)
    finally:
        put(world, before)
