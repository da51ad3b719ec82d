# SPDX-License-Identifier: BSD-3-Clause
"""A WireGuard client of the lab: Debian's wireguard-go under wg-quick, as its owner would run it."""
import os
import re
from pathlib import Path

from .netns import LabError, run, wait_until

# wg-quick starts this with the interface's name. It leaves wireguard-go in the background, where
# it writes its log, and returns once the control socket is there.
STARTER = """#!/bin/sh
WG_PROCESS_FOREGROUND=1 WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 LOG_LEVEL=error \\
	wireguard-go "$1" >>"$WG_LOG" 2>&1 </dev/null &
tries=0
while [ ! -S "/var/run/wireguard/$1.sock" ]; do
	tries=$((tries + 1))
	[ $tries -lt 200 ] || { echo "wireguard-go did not start; see $WG_LOG" >&2; exit 1; }
	sleep 0.05
done
"""

# Where the kernel has WireGuard of its own, wg-quick would take that.
NO_KERNEL_WIREGUARD = """
ip() {
	case "$*" in
	"link add "*" type wireguard") return 2 ;;
	*) command ip "$@" ;;
	esac
}
export -f ip
exec wg-quick "$@"
"""


def make_keys(lab, name):
    """A key pair under the lab's folder; returns (private key file, public key)."""
    folder = lab.state / "keys"
    folder.mkdir(mode=0o700, exist_ok=True)
    private = run(["wg", "genkey"]).stdout
    public = run(["wg", "pubkey"], input=private).stdout
    key_file = folder / f"{name}.key"
    with open(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(private)
    (folder / f"{name}.pub").write_text(public)
    return key_file, public.strip()


def answered(output):
    """The numbers of the echo requests that ping(8) says were answered, in order."""
    return sorted(map(int, re.findall(r"(?m)^\d+ bytes from .* (?:icmp_)?seq=(\d+) ", output)))


def ended_early(output, count, first=1):
    """Whether only the last answers to `count` echo requests are missing. Once ping(8) has heard
    something it waits no longer than two round trips, whatever -W says: it is to be run again.
    `first` is the number of the first one."""
    numbers = answered(output)
    return 0 < len(numbers) < count and numbers == list(range(first, first + len(numbers)))


class Client:
    interface = "wg0"

    def __init__(self, lab, node, logs):
        self.lab, self.node, self.logs = lab, node, Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.key_file, self.public_key = make_keys(lab, node)
        self.folder = lab.state / node
        self.folder.mkdir(mode=0o700)
        self.config = self.folder / f"{self.interface}.conf"
        starter = self.folder / "wireguard-go"
        starter.write_text(STARTER)
        starter.chmod(0o700)

    def run(self, *command, **options):
        return self.lab.run(self.node, *command, **options)

    def wg_quick(self, verb):
        return self.run("bash", "-c", NO_KERNEL_WIREGUARD, "wg-quick", verb, self.config, env={
            "WG_QUICK_USERSPACE_IMPLEMENTATION": str(self.folder / "wireguard-go"),
            "WG_LOG": str(self.logs / f"{self.node}.wireguard-go.log")})

    def up(self, text):
        """wg-quick up on the text of an exported file."""
        self.config.write_text(text)
        self.config.chmod(0o600)
        return self.wg_quick("up")

    def down(self):
        return self.wg_quick("down")

    def handshake(self):
        """Unix time of the latest handshake, 0 = none yet."""
        answer = self.run("wg", "show", self.interface, "latest-handshakes").stdout.split()
        return int(answer[1]) if len(answer) > 1 else 0

    def wait_handshake(self, seconds=30):
        wait_until(self.handshake, seconds, f"a handshake of {self.node}", 0.05)

    def seen_address(self, host, port=80):
        """The address from which a host on the internet sees this client."""
        where = f"[{host}]" if ":" in host else host
        answer = self.run("curl", "-sS", "-m", "20", f"http://{where}:{port}/", check=False)
        if answer.returncode != 0:
            raise LabError(f"{self.node}: {answer.stderr.strip()}")
        return answer.stdout.strip()

    def pings_all(self, host, count, *options):
        """LabError unless each of `count` echo requests is answered, in one run of at most five."""
        for _ in range(5):
            output = self.run("ping", "-n", "-c", count, "-i", "0.05", "-W", "10", *options, host,
                              check=False).stdout
            if answered(output) == list(range(1, count + 1)):
                return
            if not ended_early(output, count):
                break
        raise LabError(f"{self.node}: not all of {count} were answered\n{output}")

    def pings(self, host, count=1, seconds=10, *options):
        """True if at least one of `count` echo requests was answered."""
        return self.run("ping", "-n", "-c", count, "-i", "0.2", "-W", seconds, *options, host,
                        check=False).returncode == 0
