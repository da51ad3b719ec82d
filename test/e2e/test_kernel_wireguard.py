# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's WireGuard at the other end: the checks of its own self-test (netns.sh), in so far as
they make sense between a client and a gateway. Skipped where QEMU or the kernel cannot be had."""
import hashlib
import json
import os
import re

import config as configs
import pytest
from conftest import log_folder, needs_programs
from guest import image
from kernel_vm import HOSTS, KernelVm
from lablib import internet, topology
from lablib.client import make_keys
from lablib.netns import run, wait_until
from test_wireguard import DATA, INITIATION, RESPONSE, of_kind, payload, row_of
from world import World

PORT = topology.LISTEN_PORT
NAME = "client1"
FAMILIES = ("v4", "v6")
BYTES = 8_000_000
OVERLAY = {family: configs.overlay(1, family) for family in FAMILIES}


def config_of(clients, workers):
    """The one peer has a preshared key; its public key is put in when there is one."""
    config = configs.exit_node(clients, workers)
    config["peers"][NAME]["preshared_key_file"] = "vm.psk"
    return config


def apply_key(world, vm):
    world.config["peers"][NAME]["public_key"] = vm.public_key
    configs.write(world.config, world.lab.state / "gateway.yaml")


def start(world, folder):
    """A gateway and the guest, booted but not yet connected."""
    world.up(start=False)
    world.vm = KernelVm(world, NAME)
    apply_key(world, world.vm)
    world.preshared = run(["wg", "genpsk"]).stdout.strip()
    key = world.gateway.state_dir / "vm.psk"
    key.touch(mode=0o600)
    key.write_text(world.preshared + "\n")
    world.gateway.start()
    world.vm.boot(folder)


@pytest.fixture(scope="module")
def world(request):
    needs_programs()
    folder = image()
    world = World(log_folder(request), config_of, clients=1)
    request.node.worlds = [world]
    try:
        start(world, folder)
        yield world
    finally:
        world.down()


def exported(world, keepalive=True, **fields):
    """The peer's file, with its preshared key and these fields of [Peer] replaced."""
    text = world.gateway.export(NAME, world.vm.key_file)
    text = re.sub(r"(?m)^.*PresharedKey = \.\.\..*$", f"PresharedKey = {world.preshared}", text)
    assert world.preshared in text
    if not keepalive:
        text = re.sub(r"(?m)^PersistentKeepalive.*\n", "", text)
    for field, value in fields.items():
        text = re.sub(rf"(?m)^{field} = .*$", f"{field} = {value}", text)
    return text


@pytest.fixture
def vm(world):
    """The guest, connected; the tunnel of the test before is gone."""
    world.vm.up(exported(world))
    yield world.vm
    world.vm.down()


def all_answer(vm, count=3):
    answers = [vm.pings(host, count) for host in topology.INTERNET.values()]
    print(f"{answers} of {count} answered")
    return answers == [count] * len(answers)


# -- handshakes -----------------------------------------------------------------------------------


def test_the_kernel_initiates(world, vm):
    """One handshake, pings of both families, and the gateway's own account of them."""
    assert all_answer(vm, 10)
    assert vm.handshake() > 0
    for family, host in topology.INTERNET.items():
        where = f"[{host}]" if family == "v6" else host
        assert vm.run(f"wget -qO- http://{where}/").strip() == topology.EGRESS[NAME][family]
    row = row_of(world, NAME)
    assert row["endpoint"].startswith("198.51.100.1:")
    wait_until(lambda: row_of(world, NAME)["last_handshake"], 30, "the gateway's word for it")


def test_the_gateway_initiates(world, vm):
    """A data plane without sessions asks the endpoint it knew; the guest itself is silent."""
    vm.run("wg set wg0 peer $(wg show wg0 peers) persistent-keepalive 0")
    assert all_answer(vm)
    before = vm.handshake()
    with world.capture("router", "uplink", f"udp port {PORT}") as capture:
        world.gateway.dataplane.restarted(world.gateway.dataplane.kill())
        wait_until(lambda: vm.handshake() != before, 30, "the gateway's handshake", 0.5)
    initiations = of_kind(capture.packets(), INITIATION)
    assert {p.payload.src for p in initiations} == {topology.WAN["v4"]}
    assert of_kind(capture.packets(), RESPONSE)[0].payload.dst == topology.WAN["v4"]
    world.gateway.wait_ready()
    for family in FAMILIES:  # from the gateway's own host
        world.lab.run("gateway", "ping", "-n", "-c", "5", "-i", "0.2", "-W", "5", OVERLAY[family])
    assert all_answer(vm)


def test_preshared_key(world):
    """With a wrong one nothing comes of the handshake; with the right one it does."""
    vm, wrong = world.vm, run(["wg", "genpsk"]).stdout.strip()
    with world.capture("router", "uplink", f"udp port {PORT}") as capture:
        vm.up(exported(world).replace(world.preshared, wrong))
        wait_until(lambda: of_kind(capture.packets(), RESPONSE), 30, "a response")
        assert vm.pings(topology.INTERNET["v4"], 1, 1) == 0
    assert vm.handshake() == 0
    vm.run(f"echo {world.preshared} >/tmp/psk; wg set wg0 peer $(wg show wg0 peers) "
           "preshared-key /tmp/psk; rm /tmp/psk")
    wait_until(vm.handshake, 30, "a handshake with the right key", 0.5)
    assert all_answer(vm)
    vm.down()


def test_another_private_key_and_a_handshake_at_once(world, vm):
    """netns.sh, group 11: both sides learn of it, and the next packet makes the new session."""
    assert all_answer(vm)
    old = vm.public_key
    private = run(["wg", "genkey"]).stdout.strip()
    vm.key_file.write_text(private + "\n")
    vm.public_key = run(["wg", "pubkey"], input=private).stdout.strip()
    world.config["peers"][NAME]["public_key"] = vm.public_key
    world.apply(world.config)
    vm.run(f"echo {private} >/tmp/key; wg set wg0 private-key /tmp/key; rm /tmp/key")
    assert all_answer(vm)
    assert row_of(world, NAME)["public_key"] == vm.public_key != old


# -- traffic --------------------------------------------------------------------------------------


def wire_bytes(world):
    """(sent, received) by the gateway's account, once it no longer changes."""
    def figures():
        row = row_of(world, NAME)
        return row["wire_tx_bytes"], row["wire_rx_bytes"]

    last = None
    while last != (now := figures()):
        last = now
        world.wait_published()
    return last


@pytest.mark.parametrize("outer", FAMILIES)
def test_exact_byte_counters(world, outer):
    """Ten pings and nothing else: what both ends count is known to the byte. The gateway still
    holds the session of the test before; even the first answer must not go under that one."""
    vm, host = world.vm, topology.INTERNET["v4"]
    where = f"[{topology.WAN['v6']}]" if outer == "v6" else topology.WAN["v4"]
    before = wire_bytes(world)
    vm.up(exported(world, keepalive=False, Address=f"{OVERLAY['v4']}/32", AllowedIPs=f"{host}/32",
                   Endpoint=f"{where}:{PORT}"), hosts=(host,))
    assert vm.pings(host, 10) == 10
    packet = 32 + 96  # 84 bytes, padded
    assert vm.transfer() == (92 + 10 * packet, 148 + 10 * packet)

    def there():
        row = row_of(world, NAME)
        return row["wire_tx_bytes"] - before[0], row["wire_rx_bytes"] - before[1]

    wait_until(lambda: there() == vm.transfer(), 30, f"the same figures, not {there()}", 0.5)
    vm.down()


def iperf(vm, host, options):
    def measure():
        output = vm.run(f"iperf3 -J -c {host} {options}", check=False, timeout=180)
        return None if internet.was_busy(output) else json.loads(output)["end"]

    return wait_until(measure, 30, "the iperf3 server to be free", 0.5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("outer", FAMILIES)
def test_floods_and_streams(world, outer, family):
    """Groups 1 to 4 and 6, over each outer family: a ping flood, TCP one by one and side by side,
    both directions, and UDP; all of it through the kernel's WireGuard."""
    vm, host = world.vm, topology.INTERNET[family]
    wan = f"[{topology.WAN['v6']}]" if outer == "v6" else topology.WAN["v4"]
    vm.up(exported(world, Endpoint=f"{wan}:{PORT}"))
    assert vm.pings(host, 100) == 100
    where = f"[{host}]" if family == "v6" else host
    digest = vm.run(f"wget -qO- http://{where}/bytes/{BYTES} | sha256sum", timeout=120)
    block = bytes(range(256)) * 256
    assert digest.split()[0] == hashlib.sha256((block * (BYTES // len(block) + 1))[:BYTES]
                                               ).hexdigest()
    for options in ("-n 4M", "-n 4M -R", "-n 4M -P 5"):
        assert iperf(vm, host, options)["sum_received"]["bytes"] > 2 << 20, options
    sent = iperf(vm, host, "-u -b 2M -t 2")["sum"]
    assert sent["packets"] > 100 and sent["lost_percent"] < 5, sent
    assert row_of(world, NAME)["endpoint"].startswith("[" if outer == "v6" else "198")
    vm.down()


def test_padding_never_exceeds_the_mtu(world):
    """Group 7: a tunnel of 1,300 bytes, inner packets of 1,297 to 1,300, and no longer outer packet
    than 1,360 in either direction."""
    vm, host = world.vm, topology.INTERNET["v4"]
    vm.up(re.sub(r"(?m)^MTU = .*$", "MTU = 1300", exported(world)))
    with world.capture("router", "uplink", f"udp port {PORT}") as capture:
        for size in (1269, 1270, 1271, 1272):
            assert vm.pings(host, 1, 5, "-s", size) == 1
    lengths = {len(payload(p)) + 28 for p in of_kind(capture.packets(), DATA)
               if p.payload.dst == topology.WAN["v4"]}
    assert max(lengths) == 1360
    vm.down()


def test_roaming_port_and_family(world, vm):
    """Groups 8 and 9, with the guest as the one who moves: no new handshake, the next data packet
    moves the endpoint, and not even the answer to that one is lost."""
    assert all_answer(vm)
    handshake = vm.handshake()
    for change, expected in (("listen-port 40009", r"198\.51\.100\.1:40009"),
                             (f"peer $(wg show wg0 peers) endpoint '[{topology.WAN['v6']}]:{PORT}'",
                              r"\[2001:db8:100::1\]:\d+"),
                             (f"peer $(wg show wg0 peers) endpoint {topology.WAN['v4']}:{PORT}",
                              r"198\.51\.100\.1:\d+")):
        vm.run(f"wg set wg0 {change}")
        assert all_answer(vm)
        wait_until(lambda e=expected: re.fullmatch(e, row_of(world, NAME)["endpoint"]), 30,
                   f"the endpoint {expected}", 0.2)
    assert vm.handshake() == handshake


def test_a_tunnel_through_the_tunnel(world, vm):
    """Groups 12 and 16: the guest's second interface speaks to another WireGuard on the internet,
    by way of the first; the gateway sees only a datagram like any other."""
    lab, interface = world.lab, f"n{os.getpid():x}"
    (far_key, far_public), (near_key, near_public) = (make_keys(lab, n) for n in ("far", "near"))
    far = lab.start("internet", "wireguard-go", interface, log=world.logs / "far.wireguard-go.log",
                    env={"WG_PROCESS_FOREGROUND": "1",
                         "WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD": "1"})
    try:
        wait_until(lambda: lab.run("internet", "wg", "show", interface, check=False
                                   ).returncode == 0, 30, "wireguard-go on the internet host")
        lab.run("internet", "wg", "set", interface, "private-key", far_key, "listen-port", "4444",
                "peer", near_public, "allowed-ips", "10.99.0.2/32")
        lab.ip_batch("internet", f"link set {interface} mtu 1340 up",
                     f"addr add 10.99.0.1/24 dev {interface}")
        vm.ip("link add wg1 type wireguard")
        vm.run(f"echo {near_key.read_text().strip()} >/tmp/key; wg set wg1 private-key /tmp/key "
               f"peer {far_public} allowed-ips 10.99.0.0/24 "
               f"endpoint {topology.INTERNET['v4']}:4444; rm /tmp/key")
        vm.ip("link set wg1 mtu 1340 up", "addr add 10.99.0.2/24 dev wg1")
        assert vm.pings("10.99.0.1", 20) == 20
        assert vm.pings("10.99.0.1", 3, 5, "-s", 1312) == 3
        endpoint = lab.run("internet", "wg", "show", interface, "endpoints").stdout.split()[1]
        assert endpoint.startswith(topology.EGRESS[NAME]["v4"] + ":")
    finally:
        vm.run("/bin/ip link del wg1", check=False)
        far.terminate()
        far.wait(10)


def test_kept_alive_behind_a_forgetful_nat(world):
    """Group 14: the router forgets a flow after two seconds of silence; a keepalive each second
    holds the way open, so that the gateway reaches the guest after three."""
    vm = world.vm
    old = world.lab.run("router", "sh", "-c", "cd /proc/sys/net/netfilter && cat "
                        "nf_conntrack_udp_timeout nf_conntrack_udp_timeout_stream").stdout.split()
    world.lab.sysctl("router", net__netfilter__nf_conntrack_udp_timeout=2,
                     net__netfilter__nf_conntrack_udp_timeout_stream=2)
    try:
        vm.up(re.sub(r"(?m)^PersistentKeepalive = .*$", "PersistentKeepalive = 1", exported(world)))
        assert all_answer(vm)
        with world.capture("router", "uplink", f"udp dst port {PORT}") as capture:
            wait_until(lambda: len(capture.packets()) >= 4, 30, "keepalives", 0.1)
        assert {len(payload(p)) for p in capture.packets()} == {32}
        # One of them at least: a keepalive that comes late leaves the way closed for a moment.
        world.lab.run("gateway", "ping", "-n", "-c", "5", "-W", "5", OVERLAY["v4"])
    finally:
        world.lab.sysctl("router", net__netfilter__nf_conntrack_udp_timeout=old[0],
                         net__netfilter__nf_conntrack_udp_timeout_stream=old[1])
    vm.down()


def test_down_and_up_again(world, vm):
    """What the guest forgot the gateway may still hold: the guest's next handshake counts."""
    assert all_answer(vm)
    for _ in range(2):
        vm.ip("link set wg0 down", "link set wg0 up", f"addr replace {OVERLAY['v6']}/128 dev wg0",
              *(f"route replace {host} dev wg0" for host in HOSTS))
        assert all_answer(vm)
