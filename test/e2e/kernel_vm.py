# SPDX-License-Identifier: BSD-3-Clause
"""A small machine (QEMU, no KVM) at home, beside the lab's clients: its WireGuard is the kernel's.

It is told what to do by a shell on its second serial port, line by line. Not for figures: all
of it is interpreted."""
import base64
import re
import shlex
import socket
import subprocess
import time

import pytest
from lablib import topology
from lablib.client import make_keys
from lablib.gateway import ROOT, programs
from lablib.netns import LabError, wait_until

NUMBER = 90  # of its addresses at home; no client has it
BOOT_S = 240  # seconds; it takes three on a machine with nothing else to do


def image():
    """The folder with the kernel and its RAM disk; skips the test where they cannot be had."""
    folder = programs().parent / "vm"
    made = subprocess.run([ROOT / "scripts" / "vm-image", folder], capture_output=True, text=True,
                          timeout=300)
    if made.returncode == 77:
        pytest.skip("the kernel's WireGuard in QEMU: " + made.stdout.strip().splitlines()[-1])
    assert made.returncode == 0, made.stdout + made.stderr
    return folder

# What the guest reaches through its tunnel: a host on the internet, and the gateway's own address.
HOSTS = (*topology.INTERNET.values(), "100.64.0.1", "fd64::1")


class KernelVm:
    interface = "wg0"

    def __init__(self, world, name):
        """`name`: the peer that it is for the gateway."""
        self.world, self.lab, self.name = world, world.lab, name
        self.key_file, self.public_key = make_keys(self.lab, f"vm-{name}")
        self.console = world.logs / "vm.console.log"
        self.shell = None
        self.calls = 0

    def boot(self, folder):
        lab, path = self.lab, self.lab.state / "vm.sock"
        lab.run("router", "ip", "tuntap", "add", "vm", "mode", "tap")
        lab.ip_batch("router", "link set vm master home", "link set vm up")
        (v4, v6), (via, via6) = topology.client_addresses(NUMBER), topology.ROUTER["home"]
        self.console.unlink(missing_ok=True)
        qemu = lab.start(
            "router", "qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=single", "-cpu",
            "qemu64", "-m", "256", "-smp", "1", "-nodefaults", "-no-reboot", "-display", "none",
            "-kernel", folder / "vmlinuz", "-initrd", folder / "initrd.gz",
            "-serial", f"file:{self.console}",
            "-chardev", f"socket,id=shell,path={path},server=on,wait=off", "-serial",
            "chardev:shell", "-netdev", "tap,id=n0,ifname=vm,script=no,downscript=no,vhost=off",
            "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:77:00:02,romfile=",
            "-append", "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on "
            f"tsc=reliable vm.addr={v4} vm.addr6={v6} vm.via={via.split('/')[0]} "
            f"vm.via6={via6.split('/')[0]}", log=self.world.logs / "qemu.log")
        wait_until(lambda: self.says("VM ready") or qemu.poll() is not None, BOOT_S,
                   "the guest's kernel and its init", 0.2)
        if qemu.poll() is not None:
            raise LabError("qemu: " + (self.world.logs / "qemu.log").read_text())
        self.shell = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.shell.connect(str(path))
        wait_until(lambda: self.try_run("true", 2) is not None, 60, "the guest's shell")
        return self

    def says(self, text):
        return self.console.exists() and text in self.console.read_text(errors="replace")

    def try_run(self, line, timeout):
        """(exit status, output), or None if there was no answer in time."""
        self.calls += 1
        end = re.compile(rf"END {self.calls} (\d+)\n")
        command = base64.b64encode(line.encode()).decode()
        self.shell.sendall(f"{self.calls} {command}\n".encode())
        text, until = "", time.monotonic() + timeout
        while not (found := end.search(text)):
            self.shell.settimeout(max(0.01, until - time.monotonic()))
            try:
                text += self.shell.recv(65536).decode(errors="replace").replace("\r", "")
            except TimeoutError:
                return None
        return int(found[1]), text[:found.start()]

    def run(self, *command, check=True, timeout=60):
        """Words, or one string of shell; its output."""
        line = command[0] if len(command) == 1 else shlex.join(map(str, command))
        answer = self.try_run(line, timeout)
        if answer is None:
            raise LabError(f"in the guest: {line}: no answer in {timeout} s")
        if check and answer[0] != 0:
            raise LabError(f"in the guest: {line}: exit status {answer[0]}\n{answer[1]}")
        return answer[1]

    def ip(self, *lines):
        self.run(" && ".join(f"/bin/ip {line}" for line in lines))

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
        """How many of `count` echo requests were answered."""
        output = self.run("ping", "-A", "-c", count, "-W", seconds, *options, host, check=False,
                          timeout=60 + count * (seconds + 1))
        return int(re.search(r"(\d+) packets received", output)[1])

    def handshake(self):
        answer = self.run(f"wg show {self.interface} latest-handshakes").split()
        return int(answer[1]) if len(answer) > 1 else 0

    def transfer(self):
        """(received, sent), in bytes."""
        return tuple(int(n) for n in self.run(f"wg show {self.interface} transfer").split()[1:])
