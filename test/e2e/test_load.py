# SPDX-License-Identifier: BSD-3-Clause
"""WireGuard under load: floods of handshake messages, and many peers that rekey under traffic. The
peers are simulated (tools/memif_peers.c) and the ports are memif, whose rings tell the sender what
the port did not take, so that each packet taken can be asked for."""
import json
import os
import subprocess

import pytest
from bare import Bare
from conftest import log_folder, needs_programs
from lablib.gateway import programs
from lablib.netns import run

PEERS_PROGRAM = programs().parent / "test" / "e2e" / "tools" / "memif_peers"
FLOOD_SECONDS = 4
FLOOD_CLIENTS = 8  # as in memif_peers.c
MANY = int(os.environ.get("SALLYPORT_REKEY_PEERS", "1000"))  # `make bench` asks for 10,000


@pytest.fixture
def bare(request):
    needs_programs()
    bare = Bare(log_folder(request))
    request.node.worlds = [bare]
    try:
        yield bare.up()
    finally:
        bare.down()


def inside(number):
    """The overlay address of simulated peer <number>."""
    return f"100.64.{1 + number // 250}.{1 + number % 250}"


class Load:
    """A gateway between two memif ports, and simulated peers behind the first."""

    def __init__(self, bare, peers, workers, lend="auto", options=()):
        self.bare = bare
        self.sockets = [bare.path(f"memif-{side}") for side in "ab"]
        keys = run([PEERS_PROGRAM, "keys", str(peers)]).stdout.split()
        private = run(["wg", "genkey"]).stdout
        self.key = run(["wg", "pubkey"], input=private).stdout.strip()
        devices = [f"net_memif{n},role=server,id=0,rsize=12,socket-abstract=no,socket={socket}"
                   for n, socket in enumerate(self.sockets)]
        self.gateway = bare.make_gateway({
            "version": 1,
            "gateway": {"name": "gw"},
            "dataplane": {"workers": workers, "idle": "adaptive"},
            "ports": {"a": {"device": devices[0], "addresses": ["10.1.0.1/24"]},
                      "b": {"device": devices[1], "addresses": ["10.2.0.1/24"]}},
            "wireguard": {"private_key_file": "gateway.key", "addresses": ["100.64.0.1/16"]},
            "groups": {"everyone": {}},
            "peers": {f"peer{n}": {"public_key": key, "groups": ["everyone"],
                                   "addresses": [inside(n)]} for n, key in enumerate(keys)},
            "routes": {"lan": {"prefixes": ["10.2.0.0/24"], "via": {"port": "b"},
                               "masquerade": False, "distribute_to": ["everyone"]}},
            "policies": [{"name": "lan", "from": {"groups": ["everyone"]},
                          "to": {"routes": ["lan"]}, "action": "allow"}],
        }, workers=workers, options=["--max-peers", max(4096, peers + 8), "--lend", lend,
                                       *options])
        key_file = self.gateway.state_dir / "gateway.key"
        key_file.touch(mode=0o600)
        key_file.write_text(private)

    def run(self, scenario, argument, seconds):
        self.gateway.start()
        log = self.bare.logs / "memif_peers.log"
        child = self.bare.lab.start("gateway", PEERS_PROGRAM, scenario, "client", *self.sockets,
                                    self.key, argument, log=log, stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "started\n", log.read_text()
        before = self.lost_by_ports()
        output, _ = child.communicate("go\n", timeout=seconds)
        result = json.loads(output.splitlines()[-1])
        result["lost_by_ports"] = self.lost_by_ports() - before
        print(result, self.gateway.drops())
        return result

    def lost_by_ports(self):
        """What the other end of a port did not take: counted there, no doing of the gateway's."""
        return self.gateway.drops().get("port.tx_full", 0)


def none_lost(load, result):
    """Workers that share cores with everything else here may lose theirs while they hold what they
    were lent; what is not taken meanwhile is counted, and is no excuse for more than a tenth.
    Without lending there is none of that."""
    lost = result["sent"] - result["back"]
    away = min(load.gateway.drops().get("wireguard.lend_full", 0), result["sent"] // 10)
    assert lost <= result["lost_by_ports"] + away, (result, load.gateway.drops())
    assert result["disordered"] == 0 and result["strange"] == 0, result
    assert result["latest"] == 0, "counters leave in order"


WAYS = [pytest.param(1, "auto", id="1-worker"), pytest.param(3, "auto", id="3-workers"),
        pytest.param(3, "always", id="3-workers-lending")]


@pytest.mark.parametrize("workers, lend", WAYS)
def test_a_flood_of_handshakes(bare, workers, lend):
    """The stream through the tunnel loses nothing, and clients that are new still get in: with
    their first initiation, or with the second one if the first was answered by a cookie."""
    load = Load(bare, 1 + FLOOD_CLIENTS, workers, lend)
    result = load.run("flood", str(FLOOD_SECONDS), 60)
    none_lost(load, result)
    assert result["sent"] > 1000, result
    assert result["valid"] > 10_000 and result["bad"] > 10_000, result
    assert result["replies"] > 1000, "cookies were asked for"
    assert result["clients"]["connected"] == result["clients"]["of"] == FLOOD_CLIENTS, result
    assert result["clients"]["most_initiations"] <= 2, result


@pytest.mark.parametrize("workers, lend", WAYS)
def test_many_peers_rekey_under_traffic(bare, workers, lend):
    load = Load(bare, MANY, workers, lend)
    result = load.run("rekey", str(MANY), 240)
    none_lost(load, result)
    assert result["rekeyed"] == MANY, result
    assert result["sent"] > 10 * MANY, result


def test_lending_begins_by_itself(bare):
    """Where workers have CPUs of their own, one that has too much to do lends to one that has not;
    each packet of the one tunnel that others speak through comes once and in order."""
    load = Load(bare, 1 + FLOOD_CLIENTS, 2,
                options=["--lcores", "0@0,1@0,2@1", "--idle", "adaptive"])
    result = load.run("flood", str(FLOOD_SECONDS), 60)
    none_lost(load, result)
    assert result["sent"] > 1000, result
    workers = load.gateway.json("status")["workers"]
    assert sum(worker["helped"] for worker in workers) > 0, workers
    assert load.gateway.drops().get("wireguard.replayed", 0) == 0
