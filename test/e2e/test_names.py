# SPDX-License-Identifier: BSD-3-Clause
"""Endpoints by name: looked up by the control process, again and again, at a DNS server on the
internet host. The peers are on the LAN, where nothing stands between."""
import contextlib
import json
import os

import config as configs
import pytest
from conftest import log_folder, needs_programs
from lablib import topology
from lablib.client import make_keys
from lablib.gateway import Gateway
from lablib.netns import run, wait_until
from scapy.layers.inet import UDP
from world import World

PORT = 51830
HERE, GONE, ELSEWHERE = "10.20.0.10", "10.20.0.12", "10.20.0.13"
SIX = "fd20::15"
INITIATION = b"\1\0\0\0"


class Names:
    """dnsmasq on the internet host, with a hosts file that can change."""

    def __init__(self, world):
        self.world, self.file = world, world.lab.state / "names"
        self.process = None

    def say(self, **addresses):
        """name=["address", ...]; answers last for one second."""
        self.file.write_text("".join(f"{a} {n}.example\n" for n, all_ in addresses.items()
                                     for a in all_))
        if self.process:
            self.process.send_signal(1)

    def start(self):
        self.process = self.world.lab.start(
            "internet", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
            "--no-hosts", f"--addn-hosts={self.file}", "--local-ttl=1", "--user=root",
            "--pid-file", "--local=/example/", "--cache-size=0",
            log=self.world.logs / "dnsmasq.log")
        wait_until(lambda: self.world.lab.run("internet", "ss", "-Hlun", "sport = :53").stdout
                   .strip(), 30, "dnsmasq")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.process = None


@contextlib.contextmanager
def office(world, key_file, gateway_key):
    """wireguard-go on the LAN host, listening where the name says."""
    name = f"wo{os.getpid()}"
    lab = world.lab
    process = lab.start("lan-host", "wireguard-go", name, log=world.logs / "office.log",
                        env={"WG_PROCESS_FOREGROUND": "1",
                             "WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD": "1"})
    try:
        wait_until(lambda: run(["wg", "show", name], check=False).returncode == 0, 30,
                   "wireguard-go")
        run(["wg", "set", name, "private-key", key_file, "listen-port", PORT, "peer", gateway_key,
             "allowed-ips", "100.64.0.0/24"])
        lab.ip_batch("lan-host", f"link set {name} up")
        yield lambda: int((run(["wg", "show", name, "latest-handshakes"]).stdout.split()
                           + ["0", "0"])[1])
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def world(request):
    needs_programs()

    def config_of(clients, workers):
        config = configs.exit_node(clients, workers)
        config["gateway"]["name_servers"] = [topology.INTERNET["v4"]]
        for number, (name, key) in enumerate(world.keys.items(), 20):
            config["peers"][name] = {**configs.peer(number, key[1], []),
                                     "endpoint": f"{name}.example:{PORT}",
                                     "persistent_keepalive": 1}
        return config

    world = World(log_folder(request), config_of, clients=1)
    request.node.worlds = [world]
    try:
        world.lab.up(guard=True)
        world.keys = {n: make_keys(world.lab, n) for n in ("office", "shop", "six", "nowhere")}
        world.names = Names(world)
        world.names.say(office=[HERE, "fd20::10"], shop=[GONE], six=[SIX])
        world.names.start()
        world.lab.ip_batch("lan-host", *(f"addr add {a}/24 dev eth0" for a in (GONE, ELSEWHERE)),
                           f"addr add {SIX}/64 dev eth0")
        world.clients = {}
        world.config = config_of({}, 1)
        path = configs.write(world.config, world.lab.state / "gateway.yaml")
        world.gateway = Gateway(world.lab, path, world.logs)
        world.gateway.start()
        yield world
    finally:
        world.down()


def row(world, name):
    return next(p for p in world.gateway.json("peers")["peers"] if p["name"] == name)


def resolves(world, name, expected, seconds=30):
    wait_until(lambda: row(world, name)["endpoint_resolved"] == expected, seconds,
               f"{name} at {expected}, not {row(world, name)}", 0.2)


def initiations_to(world, address):
    """Waits for one there."""
    with world.capture("lan-host", "eth0", f"udp dst port {PORT} and dst host {address}") as seen:
        wait_until(lambda: any(UDP in p and bytes(p[UDP].payload)[:4] == INITIATION
                               for p in seen.packets()), 30, f"an initiation to {address}", 0.1)


def test_both_families(world):
    """IPv4 where there are both, else what there is; tried from the start, without any traffic."""
    resolves(world, "shop", f"{GONE}:{PORT}")
    resolves(world, "six", f"[{SIX}]:{PORT}")
    initiations_to(world, GONE)
    initiations_to(world, SIX)
    assert row(world, "shop")["endpoint_name"] == f"shop.example:{PORT}"
    plan = json.loads(world.gateway.cli("plan", "-j", check=False).stdout)
    assert (plan["sets"], plan["deletions"]) == (0, 0)  # what names say is no change


def test_a_name_that_is_none(world):
    peer = row(world, "nowhere")
    assert (peer["endpoint"], peer["endpoint_resolved"]) == (None, None)
    assert peer["endpoint_error"] == "the name has no address"
    assert "nowhere.example:51830: the name has no address" in world.gateway.cli("peers").stdout


def test_an_address_that_changes(world):
    """A peer without a session follows its name."""
    world.names.say(office=[HERE], shop=[ELSEWHERE], six=[SIX])
    resolves(world, "shop", f"{ELSEWHERE}:{PORT}")
    initiations_to(world, ELSEWHERE)


def test_who_speaks_is_believed_before_the_name(world):
    """A session stays where its peer is heard, whatever the name says meanwhile; and when nobody
    answers for names any more, what was known last is kept."""
    gateway_key = world.gateway.wg("show", "sp0", "public-key").stdout.strip()
    with office(world, world.keys["office"][0], gateway_key) as handshake:
        wait_until(handshake, 30, "a handshake", 0.2)
        wait_until(lambda: row(world, "office")["endpoint"] == f"{HERE}:{PORT}", 30,
                   "the endpoint", 0.2)
        first = handshake()
        world.names.say(office=[GONE], shop=[ELSEWHERE], six=[SIX])
        resolves(world, "office", f"{GONE}:{PORT}")
        with world.capture("lan-host", "eth0", f"udp dst port {PORT} and dst host {HERE}") as seen:
            wait_until(lambda: len(seen.packets()) >= 3, 30, "three keepalives", 0.1)
        assert handshake() == first
        assert row(world, "office")["endpoint"] == f"{HERE}:{PORT}"
        world.names.stop()
        try:
            wait_until(lambda: row(world, "office")["endpoint_error"], 60, "an error", 0.5)
            assert row(world, "office")["endpoint_resolved"] == f"{GONE}:{PORT}"
            assert row(world, "shop")["endpoint_resolved"] == f"{ELSEWHERE}:{PORT}"
        finally:
            world.names.start()
        assert handshake() == first
