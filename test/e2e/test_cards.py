# SPDX-License-Identifier: BSD-3-Clause
"""Network cards on a PCI bus, in a guest: `bind` moves them between the kernel's drivers and
vfio-pci, and the gateway forwards on them by DPDK's drivers; also without an IOMMU, under
uio_pci_generic. The guest stands where the gateway is: its cards, an Intel 82574L and a virtio one,
are the ends of `wan` and `inet`. Skipped where QEMU or the kernel cannot be had. The tests stand in
the order in which a card is handed out."""
import copy
import json

import config as configs
import pytest
from conftest import log_folder, needs_programs
from guest import Guest, image
from lablib import topology
from lablib.netns import LabError, wait_until
from world import World

CARDS = {"wan": "0000:00:05.0", "inet": "0000:00:06.0"}
MACS = {"wan": "52:54:00:77:05:01", "inet": "52:54:00:77:06:01"}
DRIVERS = {"wan": "e1000e", "inet": "virtio-pci"}
MODELS = {"wan": "e1000e", "inet": "virtio-net-pci,disable-legacy=on"}
FILE = "/run/sallyport.yaml"
HUGEPAGES = 280  # of 2 MiB
FAMILIES = ("v4", "v6")
SLOW = 120  # seconds, for what takes two where the processor is a real one


def config_of(clients, workers):
    """As a file for this machine would be: default places, devices by their PCI addresses."""
    config = copy.deepcopy(configs.exit_node(clients, workers))
    del config["ports"]["lan"]
    for name, port in config["ports"].items():
        port["device"] = CARDS[name]
        port["addresses"] = list(topology.GATEWAY[name])
    return config


class Machine(Guest):
    """The guest, and its cards' other ends."""

    def __init__(self, world, folder):
        super().__init__(world, "machine")
        self.folder = folder
        for port in CARDS:
            tap, bridge = f"t-{port}", f"b-{port}"
            self.lab.run("gateway", "ip", "tuntap", "add", tap, "mode", "tap")
            self.lab.ip_batch("gateway", f"link add {bridge} type bridge mcast_snooping 0",
                              *(f"link set {name} addrgenmode none" for name in (tap, bridge)),
                              *(f"link set {name} master {bridge}" for name in (tap, port)),
                              *(f"link set {name} up" for name in (tap, bridge)))

    def boot(self, iommu=True):
        devices = ["-device", "intel-iommu,intremap=on"] if iommu else []
        for port, card in CARDS.items():
            slot = card.split(":")[2].split(".")[0]
            model = MODELS[port] + (",iommu_platform=on" if iommu and port == "inet" else "")
            devices += ["-netdev", f"tap,id={port},ifname=t-{port},script=no,downscript=no,"
                        "vhost=off", "-device", f"{model},netdev={port},mac={MACS[port]},"
                        f"addr=0x{slot},romfile="]
        return super().boot("gateway", self.folder / "vmlinuz", self.folder / "gateway.img",
                            ["virtio_pci", "virtio_net", "e1000e", "tun", "nf_tables"], *devices,
                            cpu="max", memory=1200, append="intel_iommu=on" if iommu else "")

    def sallyport(self, *words, check=True):
        return self.run("sallyport", *words, check=check, timeout=SLOW)

    def json(self, *words, check=True):
        return json.loads(self.sallyport(*words, "-j", check=check))

    def card(self, port):
        cards = self.json("bind", "--list")["cards"]
        return next(card for card in cards if card["address"] == CARDS[port])

    def doctor(self, step):
        """What it says of the machine, for one step."""
        rows = self.json("doctor", "--config", FILE, check=False)["machine"]
        return [(row["state"], row["text"], row["fix"]) for row in rows if row["step"] == step]

    def carries(self, interface):
        """Its global addresses, and the default routes over it."""
        listed = json.loads(self.run("/bin/ip", "-j", "addr", "show", interface))[0]
        routes = [self.run("/bin/ip", family, "route", "show", "default", "dev", interface).split()
                  for family in ("-4", "-6")]
        return ({f"{a['local']}/{a['prefixlen']}" for a in listed["addr_info"]
                 if a["scope"] == "global"}, [words[:3] for words in routes])

    def write(self, path, text, mode="600"):
        self.run(f"umask 077; cat >{path} <<'EOF'\n{text}\nEOF\nchmod {mode} {path}")


@pytest.fixture(scope="module")
def world(request):
    needs_programs()
    folder = image(log_folder(request).parents[1])
    world = World(log_folder(request), config_of, clients=1)
    request.node.worlds = [world]
    try:
        world.up(start=False)
        world.machine = Machine(world, folder).boot()
        yield world
    finally:
        world.gateway = None  # of which the guest has its own
        world.down()


@pytest.fixture
def machine(world):
    return world.machine


run_so_far = []


@pytest.fixture(autouse=True)
def step(request):
    """A guest takes long to boot: each test goes on where the one before it has ended."""
    tests = [name for name in vars(request.module) if name.startswith("test_")]
    for name in tests[:tests.index(request.function.__name__)]:
        if name not in run_so_far:
            pytest.skip(f"goes on where {name} ends: run the whole file")
    yield
    run_so_far.append(request.function.__name__)


def pinged(world, seconds=10):
    """By the host at the other end of the card, in each family."""
    return [world.lab.run("router", "ping", "-n", "-c", "1", "-W", seconds, host,
                          check=False).returncode == 0 for host in topology.WAN.values()]


def test_the_way_in_comes_back_with_all_it_carried(world, machine):
    """Nobody confirms: driver, addresses, MTU and default routes are as they were, and packets
    come again, though nothing in the guest configures interfaces."""
    interface = machine.card("wan")["interfaces"]
    vias = [address.split("/")[0] for address in topology.ROUTER["uplink"]]
    machine.ip(f"link set {interface} mtu 1400 up",
               *(f"addr add {address} dev {interface}" for address in topology.GATEWAY["wan"]),
               *(f"route add default via {via} dev {interface}" for via in vias))
    before = machine.carries(interface)
    assert before[0] == set(topology.GATEWAY["wan"]) and all(before[1])
    wait_until(lambda: all(pinged(world)), SLOW, "answers to ping")

    machine.run("modprobe vfio-pci && modprobe vfio_iommu_type1")
    said = machine.sallyport("bind", CARDS["wan"], check=False)
    assert "left alone: the default route leaves by it" in said and interface in said
    assert machine.card("wan")["driver"] == "e1000e"
    assert "Back in 20 s by itself" in machine.sallyport("bind", CARDS["wan"], "--force",
                                                         "--confirm", "20s")
    card = machine.card("wan")
    assert (card["driver"], card["interfaces"]) == ("vfio-pci", None) and card["seconds_left"] > 0
    with pytest.raises(LabError):
        machine.run("/bin/ip", "link", "show", interface)
    assert not any(pinged(world, 1))
    wait_until(lambda: machine.card("wan")["driver"] == "e1000e", SLOW, "the way back", 1)
    wait_until(lambda: all(pinged(world)), SLOW, "answers to ping")
    assert machine.carries(interface) == before
    assert "mtu 1400" in machine.run("/bin/ip", "link", "show", interface)


def test_confirmed_it_stays(world, machine):
    """doctor before and after, completion of addresses in bash, and both cards handed out."""
    machine.write(FILE, json.dumps(world.config))
    assert machine.doctor("drivers") == [
        ("fail", f"port {port}: {CARDS[port]} is {DRIVERS[port]}'s, not DPDK's",
         f"sallyport bind {CARDS[port]} --driver vfio-pci --confirm 60s") for port in CARDS]
    assert [state for state, *_ in machine.doctor("hugepages")] == ["fail"]
    assert [state for state, *_ in machine.doctor("iommu")] == ["ok"]
    machine.run("sallyport completion bash >/run/complete")
    offered = machine.run("bash", "-c", ". /run/complete; COMP_LINE='sallyport bind 0000:00:0'; "
                          "COMP_WORDS=(sallyport bind 0000 : 00 : 0); COMP_CWORD=6; "
                          "COMP_POINT=${#COMP_LINE}; _sallyport; echo ${COMPREPLY[@]}")
    assert offered.split() == ["05.0", "06.0"]
    described = machine.sallyport("complete", "--", "bind", "00:05").split("\t")
    assert described[0] == "00:05.0" and "8086:10d3 e1000e" in described[1]

    for port, card in CARDS.items():
        machine.sallyport("bind", card, "--force", "--confirm", "60s")
        assert machine.card(port)["seconds_left"] > 0
        assert machine.sallyport("bind", "confirm", card) == "Confirmed: 1.\n"
        assert (machine.card(port)["driver"], machine.card(port)["seconds_left"]) == ("vfio-pci", 0)
    machine.run(f"echo {HUGEPAGES} >/proc/sys/vm/nr_hugepages")
    assert [(state, text.split(", memory")[0]) for state, text, _ in machine.doctor("drivers")] == [
        ("ok", f"port {port}: {card} is vfio-pci's") for port, card in CARDS.items()]
    assert machine.doctor("hugepages") == [("ok", f"{2 * HUGEPAGES} MiB", None)]


def start_gateway(machine):
    """As the units do: the data plane's command line is what `dataplane-args` prints. Returns the
    data plane's log."""
    options = machine.sallyport("dataplane-args", FILE).strip()
    machine.run("mkdir -p /var/lib/sallyport /run/sallyport")
    for command in (f"sallyport-dataplane {options}", f"sallyportd --config {FILE}"):
        name = command.split()[0]
        machine.run(f"{command} >/run/{name}.log 2>&1 </dev/null & echo $! >/run/{name}.pid")

    def ports():
        answer = machine.run("sallyport status -j 2>/dev/null", check=False, timeout=SLOW)
        found = json.loads(answer).get("ports", []) if answer.startswith("{") else []
        return {port["name"]: port["link_up"] for port in found}

    try:
        wait_until(lambda: ports() == {"wan": True, "inet": True}, SLOW, "both links", 1)
    except LabError as late:
        raise LabError(f"{late}\n" + machine.run("cat /run/*.log")) from late
    return machine.run("cat /run/sallyport-dataplane.log")


def counted(machine):
    """Packets that the cards have received and sent; published once a second."""
    rows = {port["name"]: port for port in machine.json("status")["ports"]}
    return [rows[name][count] for name in CARDS for count in ("rx_packets", "tx_packets")]


def send_through(world, machine, families=FAMILIES):
    """A client's tunnel comes in by one card, and its packets leave by the other."""
    client = world.clients["client1"]
    machine.write("/run/client1.key", client.key_file.read_text().strip())
    client.up(machine.sallyport("peer", "export", "client1", "--private-key-file",
                                "/run/client1.key", "--endpoint",
                                f"{topology.WAN['v4']}:{topology.LISTEN_PORT}"))
    wait_until(lambda: client.pings(topology.INTERNET["v4"], 1, 5), SLOW, "the tunnel")
    for family in families:
        assert client.pings(topology.INTERNET[family], 5, 10)
        assert client.seen_address(topology.INTERNET[family]) == topology.EGRESS["client1"][family]
    client.down()
    wait_until(lambda: all(n > 10 for n in counted(machine)), SLOW, "the cards' counters", 0.5)


def test_the_gateway_forwards_on_cards(world, machine):
    log = start_gateway(machine)
    assert "in hugepages" in log and CARDS["wan"] in log and CARDS["inet"] in log, log
    send_through(world, machine)
    assert f"{topology.LISTEN_PORT}" in machine.sallyport("ports")
    found = machine.json("doctor", check=False)
    assert [row for row in found["machine"] + found["gateway"] if row["state"] == "fail"] == []


def test_back_to_the_kernel(world, machine):
    machine.run("kill $(cat /run/sallyportd.pid /run/sallyport-dataplane.pid)")
    for port, card in CARDS.items():
        wait_until(lambda c=card, d=DRIVERS[port]: d in machine.sallyport("bind", c, "--driver", d),
                   SLOW, "the kernel's driver", 1)
        assert machine.card(port)["driver"] == DRIVERS[port]
    interface = machine.card("wan")["interfaces"]
    machine.ip(f"link set {interface} up", *(f"addr add {address} dev {interface}"
                                             for address in topology.GATEWAY["wan"]))
    wait_until(lambda: all(pinged(world)), SLOW, "answers to ping")
    machine.end()


def test_without_an_iommu(world, machine):
    """As on most rented servers: vfio-pci is refused before anything is moved, uio_pci_generic and
    physical addresses do, and receive queues without interrupts of their own."""
    machine.boot(iommu=False)
    machine.write(FILE, json.dumps(world.config))
    machine.run("modprobe vfio-pci && modprobe uio_pci_generic")
    said = machine.sallyport("bind", CARDS["wan"], check=False)
    assert "there is no IOMMU" in said and "--driver uio_pci_generic" in said
    assert machine.card("wan")["driver"] == "e1000e"
    assert [state for state, *_ in machine.doctor("iommu")] == ["fail"]
    for card in CARDS.values():
        machine.sallyport("bind", card, "--driver", "uio_pci_generic")
    assert [state for state, *_ in machine.doctor("iommu")] == ["warn"]
    assert [state for state, *_ in machine.doctor("drivers")] == ["ok", "ok"]
    machine.run(f"echo {HUGEPAGES} >/proc/sys/vm/nr_hugepages")
    start_gateway(machine)
    send_through(world, machine, ["v4"])
