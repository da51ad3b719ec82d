# SPDX-License-Identifier: BSD-3-Clause
"""sallyportd comes and goes; nothing is lost, nothing comes twice."""
import copy
import os
import signal
import time

import pytest
from conftest import WORKERS
from lablib import topology
from lablib.netns import run, wait_until

RATE = 2000  # packets per second
SECONDS = 8


def none_lost(world, child):
    result = world.whole(child)
    assert result["sent"] == RATE * SECONDS, result


@pytest.fixture(params=WORKERS)
def world(request, make_world):
    world = make_world(workers=request.param).connect("client1")
    world.clients["client1"].wait_handshake()
    for host in topology.INTERNET.values():
        assert world.clients["client1"].pings(host, 3)
    return world


def test_kill_and_restart_of_sallyportd(world):
    dataplane = world.gateway.dataplane.pid()
    child = world.start_stream("client1", topology.INTERNET["v4"], RATE, SECONDS)
    for _ in range(2):
        old = world.gateway.control.kill()
        world.gateway.control.restarted(old)
        world.gateway.wait_ready()
    none_lost(world, child)
    assert world.gateway.dataplane.pid() == dataplane
    if world.workers > 1:
        assert world.handoffs() > 0


def test_forwarding_goes_on_without_sallyportd(world):
    world.gateway.control.stop()
    child = world.start_stream("client1", topology.INTERNET["v4"], RATE, SECONDS)
    none_lost(world, child)
    # a new flow, and the neighbours still known
    assert world.clients["client1"].seen_address(topology.INTERNET["v6"]) == \
        topology.EGRESS["client1"]["v6"]
    world.gateway.control.control("u")
    world.gateway.wait_ready()
    assert world.clients["client1"].pings(topology.INTERNET["v4"], 3)


def test_reload_that_adds_a_thousand_peers(world):
    config = copy.deepcopy(world.config)
    for number in range(1000):
        private = run(["wg", "genkey"]).stdout
        public = run(["wg", "pubkey"], input=private).stdout.strip()
        config["peers"][f"extra{number}"] = {
            "public_key": public, "groups": ["everyone"],
            "addresses": [f"100.64.{1 + number // 250}.{1 + number % 250}",
                          f"fd64::1:{number:x}"]}
    config["wireguard"]["addresses"] = ["100.64.0.1/16", "fd64::1/64"]
    child = world.start_stream("client1", topology.INTERNET["v4"], RATE, SECONDS)
    time.sleep(1)  # the stream is meant to be under way; nothing is awaited here
    world.apply(config)
    none_lost(world, child)
    assert len(world.gateway.json("peers")["peers"]) == len(config["peers"])


def test_a_broken_file_changes_nothing(world):
    generation = world.gateway.json("status")["dataplane"]["generation"]
    good = world.gateway.config.read_text()
    world.gateway.config.write_text(good.replace('"egress"', '"egres"'))
    answer = world.gateway.cli("apply", check=False)
    assert answer.returncode == 2
    assert "error[SP0201]" in answer.stdout + answer.stderr
    assert world.gateway.json("status")["dataplane"]["generation"] == generation
    assert world.clients["client1"].pings(topology.INTERNET["v4"], 2)
    world.gateway.config.write_text(good)


def test_the_data_plane_comes_back_by_itself(world):
    """kill -9 of the data plane: the supervisor starts it again, sallyportd replays everything, and
    it initiates to the endpoints it knew, at once: well before a retransmission's five seconds, and
    before the client misses anything."""
    client = world.clients["client1"]
    address = client.seen_address(topology.INTERNET["v4"])
    old, killed = world.gateway.dataplane.kill(), time.monotonic()
    world.gateway.dataplane.restarted(old)
    world.gateway.wait_ready()
    ready = time.monotonic()
    wait_until(lambda: client.pings(topology.INTERNET["v4"], 1, 0.2), 30, "forwarding")
    now = time.monotonic()
    print(f"forwarding again {now - killed:.1f} s after kill -9 of the data plane")
    assert now - ready < 4
    assert client.seen_address(topology.INTERNET["v4"]) == address


def test_nothing_is_forwarded_before_the_first_commit(world):
    """A data plane that nobody has told anything: its ports are not even there."""
    client, host = world.clients["client1"], topology.INTERNET["v4"]
    control = world.gateway.control.pid()
    os.kill(control, signal.SIGSTOP)
    try:
        world.gateway.dataplane.restarted(world.gateway.dataplane.kill())
        with world.capture("router", "uplink", "src host " + topology.WAN["v4"]) as capture:
            assert not client.pings(host, 10, 1)
        assert not capture.packets()
    finally:
        os.kill(control, signal.SIGCONT)
    world.gateway.wait_ready()
    wait_until(lambda: client.pings(host, 1, 0.5), 30, "forwarding")
