# SPDX-License-Identifier: BSD-3-Clause
"""The samples in config/: each is right, and each starts, with devices that are here."""
import json
import re

import jsonschema
import pytest
import yaml
from bare import Bare
from conftest import ROOT, log_folder, needs_programs
from lablib import topology
from lablib.gateway import programs
from lablib.netns import run, wait_until
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from world import World

SAMPLES = sorted(p for p in (ROOT / "config").glob("*.yaml") if "\nversion: 1\n" in p.read_text())
HEADER = "# yaml-language-server: $schema=sallyport.schema.json\n"
BERLIN = {"v4": "10.30.0.10", "v6": "fd30::10"}


def load(name):
    return yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())


def test_all_samples_are_here():
    assert {p.stem for p in SAMPLES} == {"benchmark", "datacentre-gateway", "exit-node",
                                         "one-nic-vps", "site-to-site"}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.stem)
def test_a_sample_is_right(path):
    needs_programs()
    text = path.read_text()
    assert text.startswith(HEADER)
    # without warnings too; routes to be configured elsewhere may follow
    answer = run([programs() / "sallyport", "check", path])
    assert answer.stderr == ""
    assert re.fullmatch(rf"{re.escape(str(path))}: no errors\n(\nNot masqueraded: .*\n"
                        r"(  \S+: \S+ via .+\n)+)?", answer.stdout)
    schema = json.loads((ROOT / "config" / "sallyport.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(text))


@pytest.fixture
def bare(request):
    needs_programs()
    made = Bare(log_folder(request))
    request.node.worlds = [made]
    try:
        yield made.up()
    finally:
        made.down()


def assert_forwards(gateway, ports):
    wait_until(lambda: all(p["link_up"] and not p["failed"]
                           for p in gateway.json("status")["ports"]), 30, "the ports")
    assert {p["name"] for p in gateway.json("status")["ports"]} == set(ports)
    assert gateway.cli("plan", check=False).returncode == 0


def test_benchmark_starts(bare):
    config = load("benchmark")
    config["peers"]["generator"]["public_key"] = run(
        ["wg", "pubkey"], input=run(["wg", "genkey"]).stdout).stdout.strip()
    del config["peers"]["generator"]["public_key_file"]
    for name, port in config["ports"].items():
        port["device"] = port["device"].replace(f"/run/sallyport/{name}.sock",
                                                str(bare.path(f"{name}.sock")))
    gateway = bare.make_gateway(config)
    gateway.start()
    # a memif has a link once somebody is at its other end
    assert {p["name"]: p["failed"] for p in gateway.json("status")["ports"]} == \
        {"left": None, "right": None}
    assert all(bare.path(f"{name}.sock").exists() for name in config["ports"])


def test_datacentre_gateway_starts(bare):
    """With its private key from the place that systemd gives, and people who come later."""
    config = load("datacentre-gateway")
    for name, port in config["ports"].items():
        bare.lab.run("gateway", "ip", "link", "add", name, "type", "veth", "peer", f"{name}-far")
        for end in (name, f"{name}-far"):
            bare.lab.run("gateway", "ip", "link", "set", end, "up")
        port.update(device=f"net_af_packet_{name},iface={name}", mtu=1500)
        del port["queues"]
    credentials = bare.path("credentials")
    credentials.mkdir(mode=0o700)
    key = credentials / "wireguard"
    key.write_text(run(["wg", "genkey"]).stdout)
    key.chmod(0o400)
    gateway = bare.make_gateway(config)
    gateway.control.set_before(f"export CREDENTIALS_DIRECTORY={credentials}")
    gateway.start()
    assert_forwards(gateway, config["ports"])
    gateway.cli("peer", "add", "anna", "--groups", "admins")
    why = gateway.json("why", "anna", "10.20.0.80:22")
    assert why["allowed"] and why["policy"]["rule"] == "policy:administration"
    assert gateway.json("why", "anna", "1.1.1.1:443")["egress"]["addresses"] == ["203.0.113.10"]
    args = gateway.cli("dataplane-args", gateway.config).stdout
    assert "--workers=4" in args and "--lcores=0@(0,1),2,3,4,5" in args and "pci" not in args
    args = gateway.cli("dataplane-args", ROOT / "config" / "datacentre-gateway.yaml").stdout
    assert args.endswith("--lcores=0@(0,1),2,3,4,5 --allow-pci --mtu-max=9000\n")


@pytest.fixture(scope="module")
def sites(request):
    """Headquarters is the gateway; Berlin is client3, with its office on the loopback."""
    needs_programs()

    def config(clients, workers):
        sample = load("site-to-site")
        sample["peers"]["berlin"]["public_key"] = clients["client3"].public_key
        del sample["peers"]["berlin"]["public_key_file"]
        return sample

    world = World(log_folder(request) / request.node.name, config, clients=3)
    request.node.worlds = [world]
    try:
        world.up()
        berlin = world.clients["client3"]
        for address in BERLIN.values():
            berlin.run("ip", "addr", "add", address, "dev", "lo")
        berlin.up(world.gateway.export("berlin", berlin.key_file))
        yield world
    finally:
        world.down()


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_two_sites_reach_each_other_from_one_file(sites, family):
    flag = ["-6"] if family == "v6" else []
    berlin, office = sites.clients["client3"], topology.LAN_HOST[family]
    # Berlin is behind a home router here: it begins
    wait_until(lambda: berlin.lab.run(
        "client3", "ping", *flag, "-n", "-c", "1", "-W", "1", "-I", BERLIN[family], office,
        check=False).returncode == 0, 30, "headquarters from Berlin")
    with sites.capture("lan-host", "eth0", "icmp or icmp6") as capture:
        sites.lab.run("lan-host", "ping", *flag, "-n", "-c", "2", "-W", "10", BERLIN[family])
    layer = IPv6 if family == "v6" else IP
    packets = [Ether(bytes(p)) for p in capture.packets()]
    addresses = {(p[layer].src, p[layer].dst) for p in packets if layer in p}
    assert (BERLIN[family], office) in addresses  # its own address: nothing is masqueraded
    # and the tunnel leads to the office only
    assert berlin.lab.run("client3", "ping", *flag, "-n", "-c", "1", "-W", "1", "-I",
                          BERLIN[family], topology.INTERNET[family], check=False).returncode != 0
