# SPDX-License-Identifier: BSD-3-Clause
"""sallyportd comes and goes; nothing is lost, nothing comes twice."""
import contextlib
import copy
import os
import signal
import time

import config as configs
import pytest
from conftest import WORKERS, log_folder, needs_programs
from lablib import topology
from lablib.netns import wait_until
from test_wireguard import INITIATION, RESPONSE, of_kind, payload
from world import World

PORT = topology.LISTEN_PORT
RATE = 2000  # packets per second
AT_LEAST = 4 * RATE


@contextlib.contextmanager
def none_lost(world):
    """Of a stream that runs from before the block until after it, and has so many at least."""
    child = world.start_stream("client1", topology.INTERNET["v4"], RATE, 120, AT_LEAST)
    yield
    assert child.poll() is None, "the stream ended too early to prove anything"
    child.terminate()
    result = world.whole(child)
    assert result["sent"] >= AT_LEAST, result


@pytest.fixture(scope="module", params=WORKERS)
def shared(request):
    needs_programs()
    world = World(log_folder(request) / f"workers-{request.param}", workers=request.param)
    request.node.worlds = getattr(request.node, "worlds", []) + [world]
    try:
        yield world.up().connect("client1")
    finally:
        world.down()


@pytest.fixture
def world(shared):
    """Each test leaves a gateway that forwards, with the configuration from before."""
    for host in topology.INTERNET.values():
        assert shared.clients["client1"].pings(host, 3)
    return shared


def test_kill_and_restart_of_sallyportd(world):
    dataplane = world.gateway.dataplane.pid()
    with none_lost(world):
        for _ in range(2):
            old = world.gateway.control.kill()
            world.gateway.control.restarted(old)
            world.gateway.wait_ready()
    assert world.gateway.dataplane.pid() == dataplane
    world.expect_handoffs()


def test_forwarding_goes_on_without_sallyportd(world):
    world.gateway.control.stop()
    with none_lost(world):
        pass
    # a new flow, and the neighbours still known
    assert world.clients["client1"].seen_address(topology.INTERNET["v6"]) == \
        topology.EGRESS["client1"]["v6"]
    world.gateway.control.control("u")
    world.gateway.wait_ready()
    assert world.clients["client1"].pings(topology.INTERNET["v4"], 3)


def test_reload_that_adds_a_thousand_peers(world):
    config = copy.deepcopy(world.config)
    config["peers"] |= configs.crowd(1000, both=True)
    config["wireguard"]["addresses"] = ["100.64.0.1/16", "fd64::1/64"]
    with none_lost(world), world.changed(config):
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
    it initiates to the endpoints it knew, at once: the first initiation is well before a
    retransmission's five seconds, and it is the one that the client answers."""
    client = world.clients["client1"]
    address = client.seen_address(topology.INTERNET["v4"])
    with world.capture("router", "uplink", f"udp port {PORT}") as capture:
        old, killed = world.gateway.dataplane.kill(), time.monotonic()
        world.gateway.dataplane.restarted(old)
        world.gateway.wait_ready()
        ready = time.time()
        wait_until(lambda: client.pings(topology.INTERNET["v4"], 1, 0.2), 30, "forwarding")
        print(f"forwarding again {time.monotonic() - killed:.1f} s after kill -9 of the data plane")
        response = wait_until(lambda: [p for p in of_kind(capture.packets(), RESPONSE)
                                       if p["UDP"].dport == PORT], 30, "the client's response")[0]
    first = next(p for p in of_kind(capture.packets(), INITIATION) if p["UDP"].sport == PORT)
    assert float(first.time) < ready + 4
    assert payload(response)[8:12] == payload(first)[4:8]  # it was not sent again
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
