# SPDX-License-Identifier: BSD-3-Clause
"""Ports by other drivers than af_packet: what `device:` says is DPDK's own name of a device."""
import copy
import json
import subprocess
import time

import config as configs
import pytest
from bare import Bare
from conftest import log_folder, needs_programs
from lablib.gateway import programs
from lablib.netns import wait_until
from scapy.error import Scapy_Exception
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import rdpcap, wrpcap

TRAFFIC = programs().parent / "test" / "e2e" / "tools" / "memif_traffic"
RATE = 100_000  # packets per second
SECONDS, PATIENCE = 8, 60  # the stream lasts so long at least, and at most


@pytest.fixture
def bare(request):
    needs_programs()
    bare = Bare(log_folder(request))
    request.node.worlds = [bare]
    try:
        yield bare.up()
    finally:
        bare.down()


def two_networks(device_a, device_b, workers, **port):
    """Hosts on port a reach those on port b by policy, and nothing else."""
    return {
        "version": 1,
        "gateway": {"name": "gw"},
        "dataplane": {"workers": workers, "idle": "adaptive"},
        "ports": {"a": {"device": device_a, "addresses": ["10.1.0.1/24"], **port},
                  "b": {"device": device_b, "addresses": ["10.2.0.1/24"], **port}},
        "wireguard": {"private_key_file": "gateway.key", "addresses": ["100.64.0.1/16"]},
        "groups": {"everyone": {}},
        "policies": [{"name": "a-to-b", "from": {"port": "a"}, "to": {"prefixes": ["10.2.0.0/24"]},
                      "action": "allow"}],
    }


# -- memif ----------------------------------------------------------------------------------------


class Memif:
    """A gateway between two memif ports, and the process at their other ends."""

    def __init__(self, bare, role, workers, queues=None):
        other = {"server": "client", "client": "server"}[role]
        self.bare, self.workers, self.queues = bare, workers, queues or 1
        self.sockets = [bare.path(f"memif-{side}") for side in "ab"]
        self.role_of_traffic = other
        devices = [f"net_memif{n},role={role},id=0,rsize=12,socket-abstract=no,socket={socket}"
                   for n, socket in enumerate(self.sockets)]
        options = {"queues": queues} if queues else {}
        self.config = two_networks(*devices, workers, **options)
        self.gateway = bare.make_gateway(self.config, workers=workers,
                                         options=["--max-peers", 4096])

    def launch_traffic(self, rate, seconds):
        return self.bare.lab.start(
            "gateway", TRAFFIC, self.role_of_traffic, *self.sockets, self.queues, rate, seconds,
            log=self.bare.logs / "memif_traffic.log", stdout=subprocess.PIPE, text=True)

    def await_traffic(self, child):
        """Until datagrams come through the gateway."""
        first = child.stdout.readline()
        assert first == "started\n", (self.bare.logs / "memif_traffic.log").read_text()
        return child

    def is_forgotten(self):
        """Nobody is at the other ends, and the kernel knows no more who was: it forgets up to a
        second after a link has gone, which would be under the next one's traffic. It has when it
        says itself that there is no carrier; new links have one until the data plane looks."""
        twins = links(self.bare)
        neighbours = [n for port in "ab" for n in json.loads(self.bare.lab.run(
            "gateway", "ip", "-j", "neigh", "show", "dev", f"sp-{port}").stdout)]
        return not any(port["link_up"] for port in self.gateway.json("status")["ports"]) and \
            all("NO-CARRIER" in twins[f"sp-{port}"]["flags"] for port in "ab") and \
            not any("lladdr" in neighbour for neighbour in neighbours)

    def start_traffic(self, rate, seconds):
        wait_until(self.is_forgotten, 30, "the ones before to be forgotten", 0.1)
        return self.await_traffic(self.launch_traffic(rate, seconds))

    @staticmethod
    def result(child, seconds):
        output, _ = child.communicate(timeout=seconds + 90)
        return json.loads(output.splitlines()[-1])

    def handoffs(self):
        return sum(w["handoff_out"] for w in self.gateway.json("status")["workers"])


def none_lost(result, at_least):
    print(result)
    assert result["received"] == result["sent"], result
    assert result["duplicates"] == 0 and result["strange"] == 0, result
    assert result["sent"] >= at_least, result


def test_memif_as_server(bare):
    memif = Memif(bare, "server", workers=1)
    memif.gateway.start()
    for _ in range(2):  # the other end goes and comes back
        none_lost(memif.result(memif.start_traffic(5000, 1), 1), 5000)


def test_memif_as_server_after_a_crash(bare):
    """Whose socket files lie there still: the driver would not have them."""
    memif = Memif(bare, "server", workers=1)
    memif.gateway.start()
    memif.gateway.dataplane.restarted(memif.gateway.dataplane.kill())
    memif.gateway.wait_ready()
    none_lost(memif.result(memif.start_traffic(5000, 1), 1), 5000)


def test_memif_peer_leaves_under_traffic(bare):
    """DPDK's driver unmaps the rings at once; a worker may be at them (port/memif_guard.c)."""
    memif = Memif(bare, "server", workers=1)
    memif.gateway.start()
    pid = memif.gateway.dataplane.pid()
    bare.lab.run("gateway", TRAFFIC.with_name("memif_leave"), memif.sockets[0], 60, timeout=240)
    none_lost(memif.result(memif.start_traffic(5000, 1), 1), 5000)
    for _ in range(10):  # without a word
        child = memif.await_traffic(memif.launch_traffic(1_000_000, 60))
        child.kill()
        child.communicate(timeout=60)
    none_lost(memif.result(memif.start_traffic(5000, 1), 1), 5000)
    assert memif.gateway.dataplane.pid() == pid


def test_memif_as_client(bare):
    """The other end has to be there first: DPDK's driver tries once."""
    memif = Memif(bare, "client", workers=1)
    child = memif.launch_traffic(5000, 1)
    wait_until(lambda: all(s.exists() for s in memif.sockets), 30, "the sockets of the other end")
    memif.gateway.start()
    none_lost(memif.result(memif.await_traffic(child), 1), 5000)


def with_a_thousand_peers(config):
    config = copy.deepcopy(config)
    config["peers"] = configs.crowd(1000)
    return config


@pytest.mark.parametrize("workers, queues", [pytest.param(1, None, id="1-worker"),
                                             pytest.param(3, None, id="3-workers"),
                                             pytest.param(3, 3, id="3-workers-3-queues")])
def test_nothing_is_lost_at_full_rate(bare, workers, queues):
    """sallyportd is killed twice and a reload adds 1,000 peers under 100,000 packets a second."""
    memif = Memif(bare, "server", workers, queues)
    memif.gateway.start()
    larger = with_a_thousand_peers(memif.config)
    child, began = memif.start_traffic(RATE, PATIENCE), time.monotonic()
    for _ in range(2):
        old = memif.gateway.control.kill()
        memif.gateway.control.restarted(old)
        memif.gateway.wait_ready()
    bare.apply(larger)
    assert child.poll() is None, "the stream ended too early to prove anything"
    time.sleep(max(0, began + SECONDS - time.monotonic()))
    child.terminate()
    # The rate is what the machine gave the sender; all of it must arrive.
    none_lost(memif.result(child, PATIENCE), RATE)
    assert len(memif.gateway.json("peers")["peers"]) == 1000
    if workers > 1:
        assert memif.handoffs() > 0


# -- pcap, ring -----------------------------------------------------------------------------------

HOST_A, HOST_B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
PCAP_MAC = "02:70:63:61:70:{:02x}"  # the driver counts its devices
PACKETS = 100


def links(bare):
    listed = json.loads(bare.lab.run("gateway", "ip", "-j", "link").stdout)
    return {link["ifname"]: link for link in listed}


def twin_is_up(bare, name):
    return "UP" in links(bare).get(name, {}).get("flags", [])


def wait_generation(gateway, above):
    """Until what the kernel knows has reached the data plane."""
    wait_until(lambda: gateway.json("status")["dataplane"]["generation"] > above, 30,
               f"a generation above {above}", 0.05)


def written(file):
    """The datagrams in a file that the gateway writes."""
    try:
        return [p for p in rdpcap(str(file)) if UDP in p]
    except Scapy_Exception:
        return []  # nothing was written yet


def test_pcap_files_in_and_out(bare):
    """A file is read as soon as its port is there, so the way out is made first: port b, and on
    it the neighbour that nobody is there to answer for."""
    files = {name: bare.path(f"{name}.pcap") for name in ("a-in", "a-out", "b-in", "b-out")}
    packets = [Ether(src=HOST_A, dst=PCAP_MAC.format(1)) / IP(src="10.1.0.2", dst="10.2.0.2") /
               UDP(sport=1000 + n, dport=9) / bytes([n] * 20) for n in range(PACKETS)]
    wrpcap(str(files["a-in"]), packets)
    wrpcap(str(files["b-in"]), packets[:1])  # for another station here
    config = two_networks(f"net_pcap0,rx_pcap={files['a-in']},tx_pcap={files['a-out']}",
                          f"net_pcap1,rx_pcap={files['b-in']},tx_pcap={files['b-out']}", 1)
    first = copy.deepcopy(config)
    del first["ports"]["a"], first["policies"]
    gateway = bare.make_gateway(first)
    gateway.start()
    wait_until(lambda: twin_is_up(bare, "sp-b"), 30, "sp-b to be up")
    assert links(bare)["sp-b"]["address"] == PCAP_MAC.format(0)
    before = gateway.json("status")["dataplane"]["generation"]
    bare.lab.ip_batch("gateway", f"neigh replace 10.2.0.2 lladdr {HOST_B} dev sp-b nud permanent")
    wait_generation(gateway, before)
    bare.apply(config)
    wait_until(lambda: len(written(files["b-out"])) >= PACKETS, 30,
               f"{PACKETS} datagrams in {files['b-out']}")
    out = written(files["b-out"])
    assert [(p[UDP].sport, bytes(p[UDP].payload)) for p in out] == \
        [(p[UDP].sport, bytes(p[UDP].payload)) for p in packets]
    assert {(p.dst, p.src, p[IP].ttl) for p in out} == {(HOST_B, PCAP_MAC.format(0), 63)}
    wait_until(lambda: gateway.drops().get("port.other_mac") == 1, 30, "the other station's frame")
    assert not written(files["a-out"])


def test_a_device_without_an_address_gets_one(bare):
    """net_ring has none; its packets come back to itself."""
    config = two_networks("net_ring0", "net_null0,no-rx=1", 1)
    gateway = bare.make_gateway(config)
    gateway.start()
    wait_until(lambda: twin_is_up(bare, "sp-a") and twin_is_up(bare, "sp-b"), 30, "both twins")
    first = int(links(bare)["sp-a"]["address"].split(":")[0], 16)
    assert first & 3 == 2, "a unicast address, locally administered"
    assert {p["name"] for p in gateway.json("status")["ports"]} == {"a", "b"}
