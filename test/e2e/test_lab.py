# SPDX-License-Identifier: BSD-3-Clause
"""The lab itself, without Sallyport: with the gateway of wireguard-go and nftables in its place."""
import glob
import json
import os
import re
import signal
import subprocess
import sys

import pytest
from conftest import ROOT
from lablib import topology
from lablib.netns import Lab, LabError, marked_pids, run, wait_until
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from world import World, fresh_prefix


def machine_state():
    """What a lab must not change on the machine: links, nftables, hugepages, shared memory."""
    with open("/proc/meminfo") as info:
        huge = re.findall(r"^(HugePages_\w+):\s+(\d+)", info.read(), re.MULTILINE)
    links = {line.split(":")[1].strip() for line in run(["ip", "-o", "link"]).stdout.splitlines()}
    return {"links": links, "nft": run(["nft", "list", "ruleset"]).stdout, "huge": huge,
            "shm": set(os.listdir("/dev/shm")), "hugetlbfs": set(glob.glob("/dev/hugepages/*")),
            "rules": run(["ip", "rule"]).stdout, "routes": run(["ip", "route"]).stdout}


def expect_state(before):
    """As before, once what others on this machine are about has passed."""
    try:
        wait_until(lambda: machine_state() == before, 10, "the machine to be as before", 0.2)
    except LabError:
        assert machine_state() == before


@pytest.fixture
def lab():
    lab = Lab(fresh_prefix())
    yield lab
    lab.down()


def test_up_and_down_leaves_nothing(lab):
    before = machine_state()
    lab.up()
    assert len(lab.nodes()) == 6 and lab.leftovers()
    for host in ("198.51.100.1", "2001:db8:100::1"):
        lab.run("client1", "ping", "-n", "-c", "1", "-W", "10", host)
    lab.down()
    assert lab.leftovers() == []
    expect_state(before)


def test_ports_of_the_gateway_are_bare(lab):
    lab.up()
    for port in ("wan", "inet", "lan"):
        link = json.loads(lab.run("gateway", "ip", "-j", "addr", "show", port).stdout)[0]
        assert link["addr_info"] == [] and link["operstate"] == "UP"


def test_two_labs_side_by_side(lab):
    other = Lab(fresh_prefix())
    try:
        lab.up()
        other.up()
        lab.down()
        assert len(other.nodes()) == 6
        assert other.run("client2", "ping", "-n", "-c", "1", "-W", "10",
                         "198.51.100.1").returncode == 0
    finally:
        other.down()


def test_down_ends_what_runs_inside(lab):
    lab.up()
    child = lab.start("internet", "sleep", "1000")
    lab.down()
    assert child.poll() is not None
    assert marked_pids(lab.prefix) == []


def test_the_tools_of_the_tests(tmp_path):
    """Streams count, raw packets arrive, captures see them: with any gateway that forwards."""
    world = World(tmp_path, clients=1, reference=True)
    try:
        world.up().connect()
        result = world.result(world.start_stream("client1", topology.INTERNET["v4"], 200, 1))
        assert result.pop("longest_gap_ms") > 0
        assert result == {"sent": 200, "received": 200, "lost": 0, "duplicates": 0, "refused": 0,
                          "overtaken": 0}
        packet = IP(src="100.64.0.11", dst=topology.FAR["v4"]) / UDP(sport=1000, dport=9) / b"raw"
        frame = Ether(dst=world.port_mac("inet")) / ARP(psrc=topology.INTERNET["v4"],
                                                         pdst="203.0.113.99")
        with world.capture("internet", "eth0") as capture:
            world.send_raw("client1", "wg0", packet)
            world.send_raw("internet", "eth0", frame)
            wait_until(lambda: len(capture.packets()) >= 2, 30, "two packets")
        raw = [p for p in capture.packets() if UDP in p]
        assert bytes(raw[0][UDP].payload) == b"raw"
        assert raw[0][IP].src == topology.EGRESS["client1"]["v4"]
        assert [p for p in capture.packets() if ARP in p and p[ARP].pdst == "203.0.113.99"]
        # and a stream that loses something says so
        world.lab.ip_batch("internet", f"route add blackhole {topology.EGRESS['client1']['v4']}")
        lossy = world.result(world.start_stream("client1", topology.INTERNET["v4"], 100, 0.5))
        assert lossy["lost"] == lossy["sent"] == 50
    finally:
        world.down()


def start_run(prefix, folder, *args):
    return subprocess.Popen([sys.executable, ROOT / "scripts" / "run", "--prefix", prefix,
                             "--folder", folder, "--once", "--seconds", "1", *args],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            start_new_session=True)


def test_run_with_the_reference_passes(tmp_path):
    before = machine_state()
    child = start_run(fresh_prefix(), tmp_path, "--reference")
    output, _ = child.communicate(timeout=120)
    assert child.returncode == 0, output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["ok"] and len(report["checks"]) >= 15
    for check in report["checks"]:
        assert {"name", "ok", "command", "output", "figures"} <= set(check)
    expect_state(before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL],
                         ids=lambda n: n.name)
@pytest.mark.parametrize("moment", ["client1, client2", "starting the gateway", "handshake"])
def test_an_interrupted_run_leaves_nothing(tmp_path, number, moment):
    before = machine_state()
    prefix = fresh_prefix()
    child = start_run(prefix, tmp_path, "--reference")
    try:
        for line in child.stdout:
            if moment in line:
                break
        else:
            pytest.fail(f"the run ended before '{moment}'")
        os.kill(child.pid, number)
        child.communicate(timeout=60)
        assert child.returncode != 0
        wait_until(lambda: not Lab(prefix).leftovers(), 30, "everything to be gone", 0.1)
        expect_state(before)
    finally:
        child.kill()
        Lab(prefix).down()
