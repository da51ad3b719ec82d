# SPDX-License-Identifier: BSD-3-Clause
"""Namespaces, veth pairs and addresses; processes in them; and the end of it all.

Everything a lab makes can be found again from its prefix alone: namespaces are called
<prefix>-<node>, processes carry SALLYPORT_LAB=<prefix> in their environment, files lie under
/run/sallyport-lab/<prefix>. So down() also clears up after a lab whose maker was killed.
"""
import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import topology

MARK = "SALLYPORT_LAB"
RUN = Path("/run/sallyport-lab")
SCRIPTS = Path(__file__).resolve().parent.parent
PREFIX = re.compile(r"[a-z][a-z0-9]{0,11}$")  # no '-': prefix "a" must not own lab "a-b"

# A client's private view of the machine: its own /run (wireguard-go's sockets) and resolv.conf;
# an empty /sys/module, because wg-quick refuses a userspace implementation where the kernel's
# module is loaded. Ends as the process that keeps the mount namespace alive.
HOLDER = """
set -e
mkdir -p "$STATE/mnt-$NODE"
mount -t tmpfs -o mode=755 tmpfs "$STATE/mnt-$NODE"
mkdir -p "$STATE/mnt-$NODE$(echo "$STATE" | sed s,^/run,,)"
mount --bind "$STATE" "$STATE/mnt-$NODE$(echo "$STATE" | sed s,^/run,,)"
: >"$STATE/mnt-$NODE/resolv.conf"
[ ! -e /etc/resolv.conf ] || mount --bind "$STATE/mnt-$NODE/resolv.conf" /etc/resolv.conf
mount -t tmpfs tmpfs /sys/module
mount -n --move "$STATE/mnt-$NODE" /run
touch "$STATE/$NODE.ready"
exec sleep infinity
"""


class LabError(Exception):
    """Something the lab needed did not happen; the text says what, for people."""


def wait_until(condition, seconds, what, interval=0.02):
    """Polls until condition() is true and returns its value; LabError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds} s in vain for {what}")
        time.sleep(interval)


def run(command, check=True, timeout=60, **options):
    """subprocess.run with text output, a time limit, and an error that shows the output."""
    try:
        result = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                                errors="replace", timeout=timeout, **options)
    except subprocess.TimeoutExpired as late:
        raise LabError(f"{' '.join(map(str, command))}: took longer than {timeout} s") from late
    if check and result.returncode != 0:
        raise LabError(f"{' '.join(map(str, command))}: exit status {result.returncode}\n"
                       f"{result.stdout}{result.stderr}".rstrip())
    return result


def marked_pids(prefix):
    """Processes of this lab, by the mark in the environment they were started with."""
    mark, pids = f"{MARK}={prefix}".encode(), []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if mark in Path(entry.path, "environ").read_bytes().split(b"\0"):
                    pids.append(int(entry.name))
    return pids


def end_processes(pids, grace=3.0):
    """SIGTERM, a bounded wait, SIGKILL, a bounded wait."""
    fds = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            fds[os.pidfd_open(pid)] = pid
    for number, limit in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for fd in fds:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(fd, number)
        deadline = time.monotonic() + limit
        while fds and time.monotonic() < deadline:
            ended, _, _ = select.select(list(fds), [], [], max(0, deadline - time.monotonic()))
            for fd in ended:
                os.close(fd)
                del fds[fd]
    for fd in fds:
        os.close(fd)


class Lab:
    def __init__(self, prefix="sp", clients=2):
        if not PREFIX.match(prefix):
            raise LabError(f"prefix '{prefix}': a letter, then up to 11 letters and digits")
        self.prefix = prefix
        self.clients = [f"client{n}" for n in range(1, clients + 1)]
        self.state = RUN / prefix
        self.children = []
        self._guard = None

    # -- names ------------------------------------------------------------------------------

    def ns(self, node):
        return f"{self.prefix}-{node}"

    def nodes(self):
        """The nodes that exist now, whoever made them."""
        listed = run(["ip", "netns", "list"]).stdout.split("\n")
        names = [line.split()[0] for line in listed if line.strip()]
        return [n[len(self.prefix) + 1:] for n in names if n.startswith(self.prefix + "-")]

    def env(self, **more):
        return {**os.environ, MARK: self.prefix, "LC_ALL": "C.UTF-8", **more}

    # -- processes --------------------------------------------------------------------------

    def enter(self, node, command):
        """The command line that runs `command` in a node."""
        holder = self.state / f"{node}.pid"
        if holder.exists():
            return ["nsenter", "-t", holder.read_text().strip(), "-m", "-n", "--",
                    *map(str, command)]
        return ["ip", "netns", "exec", self.ns(node), *map(str, command)]

    def run(self, node, *command, check=True, timeout=60, env=None, **options):
        return run(self.enter(node, command), check=check, timeout=timeout,
                   env=self.env(**(env or {})), **options)

    def start(self, node, *command, log=None, env=None, **options):
        """Starts a process in a node, in a session of its own: Ctrl-C ends it through down()."""
        out = open(log, "ab") if log else subprocess.DEVNULL
        try:
            child = subprocess.Popen(self.enter(node, command),
                                     stdin=options.pop("stdin", subprocess.DEVNULL),
                                     stdout=options.pop("stdout", out), stderr=out,
                                     env=self.env(**(env or {})), start_new_session=True,
                                     **options)
        finally:
            if log:
                out.close()
        self.children.append(child)
        return child

    def failed(self):
        """What was started here and has ended by itself with an error."""
        return [f"{' '.join(map(str, child.args))}: exit status {child.returncode}"
                for child in self.children if (child.poll() or 0) > 0]

    def kernel_lost(self, *nodes):
        """Packets that these nodes' own kernels have lost (default: all but the gateway's): queues of
        devices and UDP sockets were full. On a busy machine that is no doing of the gateway's."""
        lost = 0
        for node in nodes or set(self.nodes()) - {"gateway"}:
            links = json.loads(self.run(node, "ip", "-j", "-s", "link").stdout)
            sockets = json.loads(self.run(node, "nstat", "-asj").stdout)["kernel"]
            lost += sockets.get("UdpRcvbufErrors", 0) + sum(
                link["stats64"][way]["dropped"] for link in links for way in ("rx", "tx"))
        return lost

    # -- building ---------------------------------------------------------------------------

    def up(self, guard=False):
        """Makes the lab. With guard, it goes away when this process does, however it ends."""
        if os.geteuid() != 0:
            raise LabError("network namespaces need root")
        if self.nodes() or self.state.exists():
            raise LabError(f"a lab '{self.prefix}' is up already: scripts/lab --prefix "
                           f"{self.prefix} down")
        if guard:
            self._start_guard()
        RUN.mkdir(mode=0o755, exist_ok=True)
        self.state.mkdir(mode=0o700)
        for node in [*self.clients, "router", "gateway", "internet", "lan-host"]:
            self.add_node(node)
        self._wire_router()
        self._wire_gateway()
        for number, node in enumerate(self.clients, 1):
            self._wire_client(node, number)
        # The kernel looks at new links once a second, and sends nothing on one it has not seen.
        wait_until(lambda: not any("NO-CARRIER" in run(["ip", "-n", self.ns(n), "link"]).stdout
                                   for n in self.nodes()), 30, "carrier on every link", 0.05)

    def ip_batch(self, node, *lines):
        """Many ip(8) commands in one go; node None = the machine itself."""
        where = ["-n", self.ns(node)] if node else []
        run(["ip", *where, "-batch", "-"], input="\n".join(lines) + "\n")

    def sysctl(self, node, **values):
        """Keys with '__' for '/'; a key that this kernel lacks is an error."""
        script = "".join(f"echo {value} >/proc/sys/{key.replace('__', '/')}\n"
                         for key, value in values.items())
        run(["ip", "netns", "exec", self.ns(node), "sh", "-ec", script])

    def add_node(self, node):
        run(["ip", "netns", "add", self.ns(node)])
        forward = 1 if node == "router" else 0
        self.sysctl(node, net__ipv4__ip_forward=forward,
                     net__ipv6__conf__all__forwarding=forward,
                     # Debian's own default, whatever this machine was set to
                     net__ipv4__conf__all__rp_filter=2, net__ipv4__conf__default__rp_filter=2,
                     # no waiting for duplicate address detection
                     net__ipv6__conf__all__accept_dad=0,
                     net__ipv6__conf__default__accept_dad=0,
                     net__ipv6__conf__default__accept_ra=0)
        self.ip_batch(node, "link set lo up")

    def wire(self, node_a, if_a, node_b, if_b):
        self.ip_batch(None, f"link add {if_a} netns {self.ns(node_a)} type veth "
                       f"peer name {if_b} netns {self.ns(node_b)}")

    def _wire_router(self):
        self.wire("router", "uplink", "gateway", "wan")
        lines = ["link add home type bridge", "link set home up", "link set uplink up"]
        for name, addresses in topology.ROUTER.items():
            lines += [f"addr add {a} dev {name}" for a in addresses]
        self.ip_batch("router", *lines)
        # A home router: what is behind it shares its address.
        run(["ip", "netns", "exec", self.ns("router"), "nft", "-f", "-"],
            input="".join(f"table {family} nat {{ chain out {{ type nat hook postrouting "
                          'priority srcnat; oifname "uplink" masquerade; }; }\n'
                          for family in ("ip", "ip6")))

    def _wire_gateway(self):
        self.wire("gateway", "inet", "internet", "eth0")
        self.wire("gateway", "lan", "lan-host", "eth0")
        for port in topology.PORTS:
            # No address, not even link-local: these belong to the data plane.
            self.ip_batch("gateway", f"link set {port} addrgenmode none", f"link set {port} up")
        for node, addresses in topology.HOSTS.items():
            self.ip_batch(node, "link set eth0 up", *(f"addr add dev eth0 {a}" for a in addresses))
        self.ip_batch("internet", *(f"addr add {a} dev lo" for a in topology.FAR_ADDRESSES))
        v4, v6 = (a.split("/")[0] for a in topology.GATEWAY["lan"])
        self.ip_batch("lan-host", f"route add default via {v4}", f"route add default via {v6}")

    def _wire_client(self, node, number):
        self.wire(node, "eth0", "router", f"c{number}")
        self.ip_batch("router", f"link set c{number} master home", f"link set c{number} up")
        v4, v6 = (a.split("/")[0] for a in topology.ROUTER["home"])
        self.ip_batch(node, "link set eth0 up",
                 *(f"addr add {a} dev eth0" for a in topology.client_addresses(number)),
                 f"route add default via {v4}", f"route add default via {v6}")
        holder = self.start(node, "sh", "-c", HOLDER, log=self.state / f"{node}.holder.log",
                            env={"STATE": str(self.state), "NODE": node})
        ready = self.state / f"{node}.ready"
        wait_until(lambda: ready.exists() or holder.poll() is not None, 30, f"{node}'s mounts")
        if holder.poll() is not None:
            log = (self.state / f"{node}.holder.log").read_text()
            raise LabError(f"{node}: no private mounts: {log}")
        (self.state / f"{node}.pid").write_text(f"{holder.pid}\n")

    # -- the end ----------------------------------------------------------------------------

    def _start_guard(self):
        """A process that waits for the end of this one and then does what down() does."""
        self._guard = subprocess.Popen([sys.executable, SCRIPTS / "lab", "--prefix", self.prefix,
                                        "guard"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, start_new_session=True)

    def down(self):
        """Ends the lab, also one that was made by another process or only in part. Idempotent;
        signals wait until it is done."""
        block = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        old = signal.pthread_sigmask(signal.SIG_BLOCK, block)
        try:
            pids = set(marked_pids(self.prefix))
            for node in self.nodes():
                listed = run(["ip", "netns", "pids", self.ns(node)], check=False).stdout
                pids |= {int(pid) for pid in listed.split()}
            end_processes(pids - {os.getpid()})
            for child in self.children:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(5)
            self.children.clear()
            for node in self.nodes():
                run(["ip", "netns", "del", self.ns(node)])
            shutil.rmtree(self.state, ignore_errors=True)
            with contextlib.suppress(OSError):
                RUN.rmdir()  # only the last lab's down() finds it empty
            if self._guard:
                self._guard.stdin.close()
                self._guard.wait(30)
                self._guard = None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)

    def leftovers(self):
        """What of this lab is still there: nothing, after down()."""
        left = [f"namespace {self.ns(n)}" for n in self.nodes()]
        left += [f"process {pid}" for pid in marked_pids(self.prefix)]
        if self.state.exists():
            left.append(f"folder {self.state}")
        return left
