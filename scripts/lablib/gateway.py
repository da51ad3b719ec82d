# SPDX-License-Identifier: BSD-3-Clause
"""The gateway in the lab: Sallyport's two processes, each under its own runsv; and, to compare
with, a gateway of wireguard-go and nftables on the same ports."""
import json
import os
import shlex
import signal
import stat
from pathlib import Path

from . import topology
from .netns import LabError, run, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent


# The directory goes by way of /mnt, because /run, where it lies, is about to be covered.
WITH_WIREGUARD_DIR = """
mount --bind "$1" /mnt
mount -t tmpfs tmpfs /run
mkdir /run/wireguard
mount --bind /mnt /run/wireguard
shift
exec wg "$@"
"""


def programs():
    """Where the programs are: build/bin, or $BUILD/bin."""
    return ROOT / os.environ.get("BUILD", "build") / "bin"


def have_programs():
    return all((programs() / name).exists()
               for name in ("sallyportd", "sallyport-dataplane", "sallyport"))


class Service:
    """One program under runsv, which starts it again whenever it ends."""

    def __init__(self, lab, node, name, command, log):
        self.lab, self.node, self.name, self.log = lab, node, name, Path(log)
        self.folder = lab.state / "service" / name
        self.folder.mkdir(parents=True)
        self.command = command
        self.set_before("")
        self.runsv = None

    def set_before(self, line):
        """A line of shell to run before the program; takes effect at the next start."""
        script = self.folder / "run"
        script.write_text(f"#!/bin/sh\nexec >>{shlex.quote(str(self.log))} 2>&1 </dev/null\n"
                          f"{line}\nexec {shlex.join(map(str, self.command))}\n")
        script.chmod(stat.S_IRWXU)

    def start(self):
        self.runsv = self.lab.start(self.node, "runsv", self.folder, log=self.log)
        wait_until(lambda: self.pid() or self.runsv.poll() is not None, 30, f"{self.name} to start")
        if self.runsv.poll() is not None:
            raise LabError(f"runsv {self.folder} ended: see {self.log}")

    def pid(self):
        """Its process id, or None while it is not running."""
        try:
            return int((self.folder / "supervise" / "pid").read_text())
        except (OSError, ValueError):
            return None

    def control(self, letter):
        """A letter for runsv: u = up, d = down, o = once, k = kill, t = terminate, x = exit."""
        with open(self.folder / "supervise" / "control", "w") as pipe:
            pipe.write(letter)

    def once(self):
        """Not started again when it ends; known to runsv when this returns."""
        self.control("o")
        wait_until(lambda: "want down" in (self.folder / "supervise" / "stat").read_text(), 30,
                   f"{self.name} to be run once")

    def stop(self):
        """Ends the program and keeps it down."""
        pid = self.pid()
        self.control("d")
        if pid:
            wait_until(lambda: self.pid() is None, 30, f"{self.name} to end")

    def start_again(self):
        """After stop()."""
        self.control("u")
        wait_until(self.pid, 30, f"{self.name} to start")

    def kill(self, number=signal.SIGKILL):
        """A signal to the program itself; runsv starts it again. Returns the old process id."""
        pid = self.pid()
        if pid is None:
            raise LabError(f"{self.name} is not running")
        os.kill(pid, number)
        return pid

    def restarted(self, old, seconds=30):
        """Waits for another process than `old` and returns its id."""
        return wait_until(lambda: self.pid() if self.pid() != old else None, seconds,
                          f"another {self.name}")


class Gateway:
    """Sallyport: sallyport-dataplane and sallyportd on one configuration file."""

    kind = "sallyport"

    def __init__(self, lab, config, logs, workers=1, idle="adaptive", options=()):
        """`options` are further ones of the data plane's command line."""
        self.lab, self.logs = lab, Path(logs)
        self.bin = programs()
        self.run_dir, self.state_dir = lab.state / "run", lab.state / "var"
        self.wireguard_dir = lab.state / "wireguard"
        self.config = Path(config)
        for folder in (self.run_dir, self.state_dir):
            folder.mkdir(mode=0o700)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.dataplane = Service(lab, "gateway", "sallyport-dataplane", [
            self.bin / "sallyport-dataplane", "--socket", self.run_dir / "dataplane.sock",
            "--workers", workers, "--idle", idle, *options], self.logs / "sallyport-dataplane.log")
        self.control = Service(lab, "gateway", "sallyportd", [
            self.bin / "sallyportd", "--config", self.config, "--state-dir", self.state_dir,
            "--run-dir", self.run_dir, "--wireguard-dir", self.wireguard_dir],
            self.logs / "sallyportd.log")
        self.workers = workers

    def start(self):
        self.dataplane.start()
        self.control.start()
        self.wait_ready()

    def ready(self):
        """True once the data plane forwards what the configuration says."""
        answer = self.cli("status", "-j", check=False)
        if answer.returncode != 0:
            return False
        try:
            status = json.loads(answer.stdout)
        except ValueError:
            return False
        dataplane = status.get("dataplane", {})
        return bool(dataplane.get("connected") and dataplane.get("generation"))

    def wait_ready(self, seconds=60):
        try:
            wait_until(self.ready, seconds, "sallyport to be ready", 0.1)
        except LabError as late:
            last = self.cli("status", "-j", check=False)
            raise LabError(f"{late}\nlast answer of sallyport status: {last.stdout}{last.stderr}\n"
                           f"{self.log_tails()}") from late

    def log_tails(self, lines=15):
        text = ""
        for log in sorted(self.logs.glob("*.log")):
            tail = log.read_text(errors="replace").splitlines()[-lines:]
            text += f"--- {log}\n" + "\n".join(tail) + "\n"
        return text

    def cli_command(self, *args):
        return [self.bin / "sallyport", "--socket", self.run_dir / "sallyport.sock", *args]

    def cli(self, *args, check=True, timeout=60, accept=True):
        """Changes of a test may cut flows, unless `accept` is false: then they are as typed."""
        if accept and (args[0] in ("apply", "rollback") or args[:2] == ("peer", "remove")):
            args += ("--accept-risk=drop-sessions",)
        return run(self.cli_command(*args), check=check, timeout=timeout, env=self.lab.env())

    def json(self, *args):
        return json.loads(self.cli(*args, "-j").stdout)

    def drops(self):
        """Reason to packets, of every reason that has counted something."""
        answer = self.json("drops")
        rows = answer if isinstance(answer, list) else answer["drops"]
        return {row["name"]: row["packets"] for row in rows if row["packets"]}

    def wg(self, *args, check=True, **options):
        """wg(8) on the gateway, with the lab's own directory in the place of /run/wireguard.
        Files under /run are out of its sight: give it /dev/stdin."""
        return self.lab.run("gateway", "unshare", "-m", "sh", "-ec", WITH_WIREGUARD_DIR, "wg",
                            self.wireguard_dir, *args, check=check, **options)

    def export(self, peer, key_file, full=False):
        """The wg-quick file of a peer, as the operator would hand it out."""
        extra = ["--full"] if full else []
        return self.cli("peer", "export", peer, "--private-key-file", key_file, "--endpoint",
                        f"{topology.WAN['v4']}:{topology.LISTEN_PORT}", *extra).stdout


class Reference:
    """wireguard-go and nftables masquerade on the same ports, with the same addresses: what the
    lab itself is tested with, and what throughput is compared with."""

    kind = "reference"
    overlay = {"client1": ("100.64.0.11", "fd64::11"), "client2": ("100.64.0.12", "fd64::12")}

    def __init__(self, lab, logs, **_):
        self.lab, self.logs = lab, Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.key = run(["wg", "genkey"]).stdout.strip()

    def start(self):
        lab = self.lab
        for port, addresses in topology.GATEWAY.items():
            lab.ip_batch("gateway", *(f"addr add {a} dev {port}" for a in addresses))
        for egress in topology.EGRESS.values():
            lab.ip_batch("gateway", f"addr add {egress['v4']}/24 dev inet",
                    f"addr add {egress['v6']}/64 dev inet")
        lab.ip_batch("gateway", f"route add default via {topology.INTERNET_ROUTER['v4']}",
                f"route add default via {topology.INTERNET_ROUTER['v6']}")
        lab.sysctl("gateway", net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        lab.start("gateway", "wireguard-go", "sp0", log=self.logs / "wireguard-go.log",
                  env={"WG_PROCESS_FOREGROUND": "1",
                       "WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD": "1"})
        wait_until(lambda: lab.run("gateway", "wg", "show", "sp0", check=False).returncode == 0,
                   30, "wireguard-go on the gateway")
        config = f"[Interface]\nPrivateKey={self.key}\nListenPort={topology.LISTEN_PORT}\n"
        nft = ""
        for name, (v4, v6) in self.overlay.items():
            public = lab.state / "keys" / f"{name}.pub"
            if public.exists():
                config += (f"[Peer]\nPublicKey={public.read_text().strip()}\n"
                           f"AllowedIPs={v4}/32,{v6}/128\n")
            nft += (f'add rule inet nat out oifname "inet" ip saddr {v4} '
                    f"snat ip to {topology.EGRESS[name]['v4']}\n"
                    f'add rule inet nat out oifname "inet" ip6 saddr {v6} '
                    f"snat ip6 to {topology.EGRESS[name]['v6']}\n")
        file = lab.state / "reference.conf"
        file.write_text(config)
        lab.run("gateway", "wg", "setconf", "sp0", file)
        lab.ip_batch("gateway", "link set sp0 mtu 1420 up", "addr add 100.64.0.1/24 dev sp0",
                "addr add fd64::1/64 dev sp0")
        lab.run("gateway", "nft", "-f", "-", input=(
            "add table inet nat\nadd chain inet nat out { type nat hook postrouting priority "
            "srcnat; }\n" + nft + "add table inet filter\nadd chain inet filter forward { type "
            'filter hook forward priority filter; }\nadd rule inet filter forward oifname "lan" '
            "drop\n"))

    def export(self, peer, key_file, full=False):
        v4, v6 = self.overlay[peer]
        public = run(["wg", "pubkey"], input=self.key + "\n").stdout.strip()
        routes = "0.0.0.0/0, ::/0" if full else "0.0.0.0/1, 128.0.0.0/1, ::/1, 8000::/1"
        endpoint = topology.WAN["v4"]
        # The halves cover the endpoint as well; a host route keeps the tunnel outside itself.
        keep = "" if full else (
            f"PreUp = ip route add $(ip route get {endpoint} | sed -n 's/^[^ ]* \\(via [^ ]* \\)\\?"
            f"dev \\([^ ]*\\).*/{endpoint} \\1dev \\2/p')\n"
            f"PostDown = ip route del {endpoint}\n")
        return (f"[Interface]\nPrivateKey = {Path(key_file).read_text().strip()}\n"
                f"Address = {v4}/32, {v6}/128\nMTU = 1420\n{keep}[Peer]\nPublicKey = {public}\n"
                f"Endpoint = {endpoint}:{topology.LISTEN_PORT}\nAllowedIPs = {routes}\n"
                "PersistentKeepalive = 25\n")
