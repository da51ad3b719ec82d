# SPDX-License-Identifier: BSD-3-Clause
"""One interface, one address: tunnels, masqueraded traffic and the gateway's own connections on it,
as config/one-nic-vps.yaml has it."""
import json
import signal
import subprocess
import sys

import pytest
import yaml
import config as configs
from conftest import ROOT, WORKERS, log_folder, needs_programs
from lablib import topology
from lablib.client import ended_early
from lablib.netns import Lab, run, wait_until
from world import AGENT, World

SSH, ECHO = 22, 7008
CONNECTIONS = 10_000
OF_CLIENT = 1_000
SHARE = range(16384, 32768)
PROVIDER = {"v4": "203.0.113.2", "v6": "2001:db8:203::2"}
FAMILIES = ("v4", "v6")


class OneNicLab(Lab):
    """The gateway hangs by eth0 on the router, which leads to the internet host as well."""

    def _wire_router(self):
        super()._wire_router()
        # Only what comes from the home network hides behind the router's address.
        run(["ip", "netns", "exec", self.ns("router"), "nft", "-f", "-"], input=(
            "flush ruleset\n" + "".join(
                f"table {family} nat {{ chain out {{ type nat hook postrouting priority srcnat; "
                f'iifname "home" oifname "uplink" masquerade; }}; }}\n'
                for family in ("ip", "ip6"))))

    def _wire_gateway(self):
        self.ip_batch("gateway", "link set wan name eth0", "link set eth0 up",
                      *(f"addr add {a} dev eth0" for a in topology.GATEWAY["wan"]),
                      "route add default via 198.51.100.1",
                      "route add default via 2001:db8:100::1")
        self.wire("router", "inet", "internet", "eth0")
        self.ip_batch("router", "link set inet up",
                      *(f"addr add {a} dev inet" for a in topology.GATEWAY["inet"]))
        self.ip_batch("internet", "link set eth0 up",
                      *(f"addr add dev eth0 {a}" for a in topology.HOSTS["internet"]),
                      *(f"route add default via {a}" for a in PROVIDER.values()))


class OneNicWorld(World):
    def __init__(self, logs, workers=1):
        def config(clients, workers):
            text = (ROOT / "config" / "one-nic-vps.yaml").read_text()
            config = yaml.safe_load(text)
            config["dataplane"]["workers"] = workers
            peer = config["peers"]["client1"]
            del peer["public_key_file"]
            peer["public_key"] = clients["client1"].public_key
            return config

        super().__init__(logs, config, workers=workers, clients=1, lab_class=OneNicLab)

    def ip_json(self, *args):
        return json.loads(self.lab.run("gateway", "ip", "-j", *args).stdout)

    def addresses(self, device):
        return {a["local"] for link in self.ip_json("addr") if link.get("ifname") == device
                for a in link["addr_info"] if a["scope"] == "global"}

    def start_tcp_echo(self, node, port):
        self.lab.start(node, sys.executable, AGENT, "tcp-echo", port,
                       log=self.logs / f"{node}.tcp-echo.log")
        self.wait_listening(node, port)

    def wait_listening(self, node, port):
        """In both families."""
        wait_until(lambda: len(self.lab.run(node, "ss", "-Hltn", f"sport = :{port}")
                               .stdout.splitlines()) == 2, 30, f"port {port} of {node}")

    def start_sshd(self):
        """For one key, whose owner is on the internet."""
        home = self.ssh_home = self.lab.state / "ssh"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        for name in ("host", "key"):
            run(["dropbearkey", "-t", "ed25519", "-f", home / name])
        shown = run(["dropbearkey", "-y", "-f", home / "key"]).stdout
        (home / ".ssh" / "authorized_keys").write_text(
            next(line for line in shown.splitlines() if line.startswith("ssh-ed25519")) + "\n")
        self.lab.start("gateway", "sh", "-c", SSHD, "sshd", home, log=self.logs / "sshd.log")
        self.wait_listening("gateway", SSH)


@pytest.fixture(params=WORKERS)
def world(request):
    needs_programs()
    world = OneNicWorld(log_folder(request), request.param)
    request.node.worlds = [world]
    try:
        yield world.up(start=False)
    finally:
        world.down()


# root's home is another one for this process alone: sshd looks there for keys.
SSHD = """
mount --bind "$1" /root
exec dropbear -F -E -s -p 22 -r "$1/host"
"""

# Numbers go to `cat` on the gateway and come back.
TALK = """
number=0
while sleep 0.02; do number=$((number + 1)); echo $number; done |
	dbclient -T -y -y -i "$1/key" "root@$2" cat >"$3"
"""


class Session:
    """An ssh session on the gateway, by which it is administered: it must never end."""

    def __init__(self, world, family):
        self.file = world.lab.state / f"session-{family}"
        self.child = world.lab.start("internet", "sh", "-c", TALK, "talk", world.ssh_home,
                                     topology.WAN[family], self.file,
                                     log=world.logs / f"session-{family}.log")
        self.family = family

    def count(self):
        assert self.child.poll() is None, f"the session over {self.family} ended"
        return self.file.read_text().count("\n") if self.file.exists() else 0

    def goes_on(self, when):
        before = self.count()
        wait_until(lambda: self.count() >= before + 10, 60, f"the session to go on {when}", 0.05)


def test_a_session_to_the_gateway_outlives_everything(world):
    gateway = world.gateway
    world.start_sshd()
    sessions = [Session(world, family) for family in FAMILIES]

    def all_go_on(when):
        for session in sessions:
            session.goes_on(when)

    all_go_on("before the start")
    own = world.addresses("eth0")
    routes = {family: world.ip_json(f"-{family[1]}", "route", "show", "default")
              for family in FAMILIES}
    gateway.start()
    all_go_on("after the start")
    assert world.addresses("sp-wan") == own == set(topology.WAN.values())
    assert not world.addresses("eth0")
    world.connect("client1")
    for family in FAMILIES:
        seen = world.clients["client1"].seen_address(topology.INTERNET[family])
        assert seen == topology.WAN[family]
    config = world.config
    config["policies"][-1]["ports"].append(2222)
    world.apply(config)
    all_go_on("after apply")
    old = gateway.control.kill()
    gateway.control.restarted(old)
    gateway.wait_ready()
    all_go_on("after kill -9 of sallyportd")
    old = gateway.dataplane.kill()
    gateway.dataplane.restarted(old)
    all_go_on("after kill -9 of the data plane")
    gateway.control.stop()
    all_go_on("without sallyportd")
    withdraw = [*gateway.control.command, "--withdraw"]
    refused = world.lab.run("gateway", *withdraw, check=False)
    assert refused.returncode == 1 and "stop it first" in refused.stderr
    gateway.dataplane.stop()
    world.lab.run("gateway", *withdraw)
    all_go_on("after the stop")
    assert world.addresses("eth0") == own
    for family in FAMILIES:
        after = world.ip_json(f"-{family[1]}", "route", "show", "default")
        assert [(r["gateway"], r["dev"]) for r in after] == \
            [(r["gateway"], r["dev"]) for r in routes[family]]
    gateway.dataplane.control("u")
    gateway.control.control("u")
    gateway.wait_ready()
    all_go_on("after the second start")


def holder(world):
    """Who has eth0, or None without sallyportd. A gateway without a data plane is no success."""
    status = json.loads(world.gateway.cli("status", "-j", check=False).stdout or "{}")
    return {port["name"]: port["held_by"] for port in status.get("ports", [])}.get("wan")


def test_without_a_data_plane_the_kernel_has_the_interface(world):
    """A session by which the server is administered goes on, whatever becomes of the data plane."""
    gateway, config = world.gateway, world.config
    world.start_sshd()
    sessions = [Session(world, family) for family in FAMILIES]
    own = world.addresses("eth0")

    def all_go_on(when, held_by):
        wait_until(lambda: holder(world) == held_by, 60, f"the {held_by} to have eth0 {when}")
        for session in sessions:
            session.goes_on(when)
        assert world.addresses("eth0") == (own if held_by == "kernel" else set())

    # sallyportd alone, and then a data plane that refuses the first configuration.
    config["ports"]["wan"]["give_back"] = 1
    config["ports"]["more"] = {"device": "net_af_packet_more,iface=absent"}
    configs.write(config, gateway.config)
    gateway.control.start()
    all_go_on("without a data plane", "kernel")
    assert "the kernel's" in gateway.cli("status", check=False).stdout
    findings = gateway.cli("doctor", check=False).stdout
    assert "port wan: the kernel has eth0" in findings, findings
    before = gateway.control.log.stat().st_size
    gateway.dataplane.start()
    wait_until(lambda: "the data plane refused" in gateway.control.log.read_text()[before:], 60,
               "the configuration to be refused")
    all_go_on("after a refusal", "kernel")
    assert not world.addresses("sp-wan")
    del config["ports"]["more"]
    world.apply(config)
    all_go_on("after the first port", "port")

    # The data plane dies and stays away; sallyportd is started again meanwhile.
    gateway.dataplane.stop()
    all_go_on("after the data plane's death", "kernel")
    old = gateway.control.kill()
    gateway.control.restarted(old)
    all_go_on("with another sallyportd", "kernel")
    gateway.dataplane.control("u")
    all_go_on("after the data plane came back", "port")
    assert world.addresses("sp-wan") == own
    # While it lives its port keeps the device, though nobody speaks with it.
    gateway.control.stop()
    for _ in range(3):
        for session in sessions:
            session.goes_on("without sallyportd")
    assert not world.addresses("eth0")


def sources(world):
    """Source ports of established connections to the echo, as the internet host sees them."""
    listed = world.lab.run("internet", "ss", "-Htn", "state", "established",
                           f"sport = :{ECHO}").stdout
    ends = [line.split()[3].rsplit(":", 1) for line in listed.splitlines()]
    assert {address.removeprefix("[::ffff:").strip("[]") for address, _ in ends} == \
        {topology.WAN["v4"]}
    return [int(port) for _, port in ends]


def packets_of_client(world):
    """As the gateway counts them: with all other figures, once a second."""
    return world.gateway.json("peers")["peers"][0]["rx_packets"]


def meet_the_neighbours(world):
    """What the gateway drops while it waits for a neighbour is not among what is returned later."""
    client = world.clients["client1"]
    for host in topology.INTERNET.values():
        wait_until(lambda h=host: client.pings(h), 60, f"{host} to answer")
    before = packets_of_client(world)
    assert client.pings(topology.INTERNET["v4"])
    wait_until(lambda: packets_of_client(world) > before, 30, "figures")
    return world.gateway.drops()


def test_ten_thousand_connections_of_the_host_beside_the_nat(world):
    world.start_tcp_echo("internet", ECHO)
    world.gateway.start()
    world.connect("client1").clients["client1"].wait_handshake()
    reserved = world.lab.run("gateway", "sysctl", "-n", "net.ipv4.ip_local_reserved_ports").stdout
    assert reserved.strip() == "16384-32767"
    dropped = meet_the_neighbours(world)
    stream = world.start_stream("client1", topology.INTERNET["v4"], 200, 8)
    children = [world.lab.start(node, sys.executable, AGENT, "connect", topology.INTERNET["v4"],
                                ECHO, count, stdout=subprocess.PIPE, text=True)
                for node, count in (("gateway", CONNECTIONS), ("client1", OF_CLIENT))]
    results = [json.loads(child.stdout.readline()) for child in children]
    assert [r["connected"] for r in results] == [CONNECTIONS, OF_CLIENT], results
    ports = sources(world)
    of_nat = [port for port in ports if port in SHARE]
    assert len(of_nat) == OF_CLIENT and len(ports) == CONNECTIONS + OF_CLIENT
    assert len(set(ports)) == len(ports)
    result = world.result(stream)
    # Ten thousand connections come at once: what the port's ring or a client without a free core
    # had no room for is lost, and nothing else.
    wait_until(lambda: result["lost"] <= world.lost_around() - stream.lost_before, 30,
               f"losses to be counted: {result}")
    assert result["duplicates"] == 0, result
    assert world.gateway.drops() == dropped
    # The same identifier from both: each hears its own answers.
    ping = ["ping", "-n", "-c", "10", "-i", "0.2", "-W", "10", "-e", "20000",
            topology.INTERNET["v4"]]

    def both():
        pings = [world.lab.start(node, *ping, stdout=subprocess.PIPE, text=True)
                 for node in ("gateway", "client1")]
        outputs = [child.communicate(timeout=60)[0] for child in pings]
        return None if any(ended_early(output, 10) for output in outputs) else outputs

    for output in wait_until(both, 30, "the last answers, too"):
        assert "10 received" in output and "duplicates" not in output, output
    world.expect_handoffs()


LEASE_SCRIPT = """#!/bin/sh
# As Debian's, without the resolver.
echo "$1 $ip" >>{told}
case $1 in bound|renew) ;; *) exit 0 ;; esac
ip addr change $ip/$mask dev $interface valid_lft $lease preferred_lft $lease ||
    ip addr add $ip/$mask dev $interface valid_lft $lease preferred_lft $lease
ip route replace default via $router dev $interface
"""


def test_a_lease_is_renewed_while_the_interface_is_a_ports(world):
    """A DHCP client that was there before the start goes on, and what it does ends on the twin."""
    lab, gateway = world.lab, world.gateway
    told, script = lab.state / "dhcp-told", lab.state / "dhcp-script"
    script.write_text(LEASE_SCRIPT.format(told=told))
    script.chmod(0o755)
    address = topology.WAN["v4"]
    lab.start("router", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0",
              "--interface=uplink", "--bind-interfaces", "--no-ping", "--dhcp-authoritative",
              f"--dhcp-range={address},{address},255.255.255.0,10m", "--dhcp-option=3,198.51.100.1",
              f"--dhcp-leasefile={lab.state}/leases", "--user=root", "--log-facility=-",
              log=world.logs / "dnsmasq.log")
    client = lab.start("gateway", "udhcpc", "-f", "-i", "eth0", "-s", script,
                       log=world.logs / "udhcpc.log")

    def renewals():
        return told.read_text().splitlines().count(f"renew {address}")

    wait_until(lambda: told.exists() and f"bound {address}" in told.read_text(), 30, "a lease")
    world.start_sshd()
    session = Session(world, "v4")
    session.goes_on("with a lease")
    gateway.start()
    session.goes_on("after the start")
    for number in (1, 2):
        client.send_signal(signal.SIGUSR1)
        wait_until(lambda n=number: renewals() >= n, 60, "the lease to be renewed", 0.1)
        wait_until(lambda: not world.addresses("eth0"), 30, "the address to be the twin's")
        assert address in world.addresses("sp-wan")
        ways = {r["dev"] for r in world.ip_json("-4", "route", "show", "default")}
        assert ways == {"sp-wan"}
        session.goes_on("after a renewal")
    assert client.poll() is None
