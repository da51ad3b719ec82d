# SPDX-License-Identifier: BSD-3-Clause
"""A guest at home, beside the lab's clients: its WireGuard is the kernel's."""
import re

from guest import Guest
from lablib import topology
from lablib.client import ended_early, make_keys

NUMBER = 90  # of its addresses at home; no client has it

# What the guest reaches through its tunnel: a host on the internet, and the gateway's own address.
HOSTS = (*topology.INTERNET.values(), "100.64.0.1", "fd64::1")


class KernelVm(Guest):
    interface = "wg0"

    def __init__(self, world, peer):
        """`peer`: the peer that it is for the gateway."""
        super().__init__(world, "vm")
        self.key_file, self.public_key = make_keys(self.lab, f"vm-{peer}")

    def boot(self, folder):
        lab = self.lab
        lab.run("router", "ip", "tuntap", "add", "vm", "mode", "tap")
        lab.ip_batch("router", "link set vm master home", "link set vm up")
        (v4, v6), (via, via6) = topology.client_addresses(NUMBER), topology.ROUTER["home"]
        return super().boot(
            "router", folder / "vmlinuz", folder / "initrd.gz",
            ["virtio_pci", "virtio_net", "wireguard", "veth"],
            "-netdev", "tap,id=n0,ifname=vm,script=no,downscript=no,vhost=off",
            "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:77:00:02,romfile=",
            append=f"vm.addr={v4} vm.addr6={v6} vm.via={via.split('/')[0]} "
            f"vm.via6={via6.split('/')[0]}")

    def up(self, text, hosts=HOSTS):
        """What wg-quick would do with an exported file, but with routes to these hosts only."""
        fields = dict(re.findall(r"(?m)^(Address|MTU) = (.*)$", text))
        plain = re.sub(r"(?m)^(#|(Address|MTU|DNS|Table|PreUp|PreDown|PostUp|PostDown)\b).*\n", "",
                       text)
        self.run(f"cat >/tmp/wg.conf <<'EOF'\n{plain}\nEOF")
        self.run("/bin/ip link del wg0", check=False)
        self.ip("link add wg0 type wireguard")
        self.run("wg setconf wg0 /tmp/wg.conf && rm /tmp/wg.conf")
        self.ip(*(f"addr add {address} dev wg0" for address in fields["Address"].split(", ")),
                f"link set wg0 mtu {fields.get('MTU', 1420)} up",
                *(f"route add {host} dev wg0" for host in hosts))

    def down(self):
        self.ip("link del wg0")

    def pings(self, host, count=1, seconds=5, *options):
        """How many of `count` echo requests were answered. Once Busybox's ping has heard something it
        waits for the last one a second: when only the last are missing it is run again."""
        for _ in range(5):
            output = self.run("ping", "-A", "-c", count, "-W", seconds, *options, host, check=False,
                              timeout=60 + count * (seconds + 1))
            if not ended_early(output, count, first=0):
                break
        return int(re.search(r"(\d+) packets received", output)[1])

    def handshake(self):
        answer = self.run(f"wg show {self.interface} latest-handshakes").split()
        return int(answer[1]) if len(answer) > 1 else 0

    def transfer(self):
        """(received, sent), in bytes."""
        return tuple(int(n) for n in self.run(f"wg show {self.interface} transfer").split()[1:])
