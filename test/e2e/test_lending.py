# SPDX-License-Identifier: BSD-3-Clause
"""One tunnel of a real client over two workers, each with a CPU of its own, that lend each other the
cipher: nothing is lost, overtaken or taken for a replay. (That lending begins by itself where it
pays: test_load.py; with which gain: lend-bench.)"""
from lablib import topology

RATE, SECONDS = 1000, 6  # a ring that runs full would be shared with others (af_packet's rollover)


def test_one_tunnel_over_two_workers(make_world):
    options = ["--lend", "always", "--lcores", "0@0,1@0,2@1"]
    world = make_world(workers=2, clients=1, options=options).connect()
    world.clients["client1"].wait_handshake()
    assert world.clients["client1"].pings(topology.INTERNET["v4"], 3)
    result = world.whole(world.start_stream("client1", topology.INTERNET["v4"], RATE, SECONDS))
    assert result["sent"] == RATE * SECONDS and result["overtaken"] == 0, result
    workers = world.gateway.json("status")["workers"]
    assert sum(worker["helped"] for worker in workers) > 0, workers
    assert "wireguard.replayed" not in world.gateway.drops()
