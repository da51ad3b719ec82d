# SPDX-License-Identifier: BSD-3-Clause
"""`sallyport why` against real packets: it says what then happens."""
import json
import time

import config as configs
from lablib import topology
from lablib.netns import wait_until

LAN_HOST, GATEWAY = "10.20.0.10", "100.64.0.1"


def why(world, *words):
    answer = world.gateway.cli("why", *words, "-j", check=False)
    result = json.loads(answer.stdout)
    assert answer.returncode == (0 if result["allowed"] else 1)
    return result


def tcp_try(world, name, host, port):
    return lambda: world.lab.run(name, "timeout", "2", "bash", "-c",
                                 f"exec 3<>/dev/tcp/{host}/{port}", check=False)


def test_why_agrees_with_packets(make_world):
    world = make_world().connect()
    client = world.clients["client1"]
    internet = topology.INTERNET["v4"]

    result = why(world, "client1", f"{internet}:80")
    assert result["allowed"] and result["route"]["by"] == "exit node internet"
    assert result["policy"]["rule"] == "policy:internet"
    file, line = result["policy"]["place"].rsplit(":", 1)
    assert file == str(world.gateway.config)
    assert '"internet"' in "".join(world.gateway.config.read_text().splitlines()[int(line) - 1:][:3])
    assert result["next_hop"] == {"port": "inet", "address": internet, "mtu": 1500}
    seen = client.seen_address(internet)
    assert result["egress"]["addresses"] == [seen]

    assert why(world, "client1", internet)["allowed"]
    assert client.pings(internet)
    assert why(world, configs.overlay(1), GATEWAY)["route"]["host"]
    assert why(world, "client1", GATEWAY)["allowed"] and client.pings(GATEWAY)

    denied = {
        LAN_HOST: ("flow.exit_closed", "port lan names 10.20.0.0/24"),
        configs.overlay(2): ("flow.policy", "no policy allows it"),
    }
    for host, (drop, reason) in denied.items():
        result = why(world, "client1", host)
        assert not result["allowed"] and result["drop"] == drop and reason in result["verdict"]
        world.expect_drops(drop, lambda host=host: client.pings(host, 1, 1))

    result = why(world, "client1", f"{GATEWAY}:22")
    assert not result["allowed"] and result["drop"] == "flow.policy_host"
    begun = int(time.time())
    world.expect_drops("flow.policy_host", tcp_try(world, "client1", GATEWAY, 22))
    last = wait_until(lambda: (found := why(world, "client1", f"{GATEWAY}:22")["last_drop"])[
        "last"] >= begun and found, 30, "the time of the last drop")
    assert last["packets"] > 0 and last["last"] <= time.time()
    shown = world.gateway.cli("why", "client1", f"{GATEWAY}:22", check=False).stdout
    assert "flow.policy_host  " in shown and " times for any flow, last " in shown
    text = world.gateway.cli("why", "client1", LAN_HOST, check=False).stdout
    assert text.splitlines()[-1].startswith("verdict   denied") and max(
        map(len, text.splitlines())) <= 80

    steps = doctor(world, "client1")
    assert {step["step"] for step in steps if step["state"] == "fail"} == set(), steps
    by_step = {step["step"]: step["text"] for step in steps}
    assert "exit node internet is offered" in by_step["permission"]
    assert "policy:internet -- leaves as" in by_step["access"]
    assert "out of the tunnel" in by_step["arriving"] and "answers" in by_step["targets"]
    assert any(step["fix"] == "route -n get 0.0.0.0/1" for step in steps)
    steps = doctor(world, "client2")  # connected, but has sent nothing
    failed = {step["step"] for step in steps if step["state"] == "fail"}
    assert failed == {"arriving"}, steps

    # Whose port it was: told by the data plane, and still known to the next process.
    assert world.gateway.cli("egress", "list").stdout.split()[0] == seen
    flow = next(flow for flow in world.gateway.json("flows", "--peer", "client1")["flows"]
                if flow["protocol"] == "tcp" and flow["nat"] == seen)
    question = f"{seen}:{flow['nat_port']}"

    def users():
        answer = world.gateway.cli("egress", "who", question, "-j", check=False)
        if answer.returncode == 5:
            return []  # between two processes
        return [user["who"] for user in json.loads(answer.stdout).get("users", [])]

    wait_until(lambda: users() == ["peer client1"], 30, "the port block in the log")
    old = world.gateway.control.pid()
    world.gateway.control.kill()
    world.gateway.control.restarted(old)
    wait_until(lambda: users() == ["peer client1"], 30, "the port block after a restart")


def doctor(world, peer):
    """The steps that the daemon knows, and those of the ports' devices, in the gateway's namespace."""
    command = world.gateway.cli_command("doctor", "--as", peer, "-j")
    result = json.loads(world.lab.run("gateway", *command, check=False).stdout)
    devices = [step for step in result["machine"] if step["step"] in ("devices", "offloads", "guard")]
    assert len(devices) == 9
    return result["gateway"] + devices
