# SPDX-License-Identifier: BSD-3-Clause
"""The user guide's pages per use case: their commands are run, in the order of the page, and say
what the page says that they say.

A block that begins with ```console NODE is run on that node of the lab. Lines after "$ " are commands;
each line below one must be found in its output, in this order, blanks counting as one; "..." in a line
stands for anything. Commands must succeed. Paths below /etc, /run and /var/lib are the lab's own."""
import json
import os
import re
import stat

import pytest
from conftest import ROOT, log_folder, needs_programs
from lablib import topology
from lablib.client import NO_KERNEL_WIREGUARD
from lablib.gateway import programs
from lablib.internet import start_web
from lablib.netns import LabError, run, wait_until
from test_one_nic import OneNicWorld
from world import World

GUIDE = ROOT / "docs" / "guide"
BLOCK = re.compile(r"^```console (\w[\w-]*)\n(.*?)^```", re.M | re.S)
# What may be asked again until it says so: figures are a second old, and a handshake takes its time.
ASKS = re.compile(r"(sallyport (status|peers|routes|flows|drops|egress|why|doctor|policy|exit-nodes|"
                  r"stats|history) ?|ping |curl |ip |wg )")


def steps(name):
    """(node, command, expected lines) of each command of a page."""
    for node, text in BLOCK.findall((GUIDE / f"{name}.md").read_text()):
        for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
            command, *expected = re.sub(r"\\\n> ", "", part).splitlines()
            yield node, command, [line for line in expected if line.strip()]


def differs(output, expected):
    """The first expected line that the output lacks, or None."""
    lines = iter([" ".join(line.split()) for line in output.splitlines()])
    for wanted in expected:
        pattern = re.compile(".*".join(re.escape(" ".join(part.split()))
                                       for part in wanted.split("...")))
        if not any(pattern.search(line) for line in lines):
            return wanted
    return None


class Reader:
    """Somebody who types what a page says."""

    def __init__(self, world):
        self.world, self.gateway = world, world.gateway
        self.folder = world.lab.state / "guide"
        self.bin = world.lab.state / "guide-bin"
        self.folder.mkdir()
        self.bin.mkdir()
        self.paths = {"/etc/sallyport/sallyport.yaml": str(self.gateway.config),
                      "/etc/sallyport": str(world.lab.state),
                      "/var/lib/sallyport": str(self.gateway.state_dir),
                      "/run/sallyport": str(self.gateway.run_dir)}
        self.put("sallyport", f'exec {programs()}/sallyport --socket '
                 f'{self.gateway.run_dir}/sallyport.sock "$@"')
        self.put("sallyportd", f'exec {" ".join(map(str, self.gateway.control.command))} "$@"')
        for name, client in world.clients.items():
            self.put("wg-quick", "export WG_QUICK_USERSPACE_IMPLEMENTATION="
                     f"{client.folder}/wireguard-go WG_LOG={client.logs}/{name}.guide.log\n"
                     f"PATH={os.environ['PATH']}\n{NO_KERNEL_WIREGUARD}", name)

    def put(self, name, text, node=""):
        folder = self.bin / node
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(stat.S_IRWXU)

    def run(self, node, command):
        """What the command printed; LabError if it failed."""
        service = re.match(r"systemctl (start|stop) sallyport", command)
        if service:
            return self.serve(service[1])
        for path, real in self.paths.items():
            command = re.sub(re.escape(path) + r"(?=[\s/]|$)", real, command)
        command = re.sub(r"(?<![\w/])build/", f"{programs().parent}/", command)
        answer = self.world.lab.run(
            node, "bash", "-o", "pipefail", "-c", f"cd {self.folder}; {command}", timeout=60,
            env={"PATH": f"{self.bin / node}:{self.bin}:{os.environ['PATH']}", "COLUMNS": "80"})
        output = answer.stdout + answer.stderr
        for path, real in self.paths.items():
            output = output.replace(real, path)
        return output

    def serve(self, verb):
        if verb == "start":
            self.gateway.start()
        else:
            self.gateway.control.stop()
            self.gateway.dataplane.stop()
        return ""

    def follow(self, name):
        count = 0
        for node, command, expected in steps(name):
            count += 1
            seen = [""]

            def done():
                try:
                    seen[0] = self.run(node, command)
                except LabError as error:
                    seen[0] = str(error)
                    return False
                return differs(seen[0], expected) is None

            try:
                wait_until(done, 30 if ASKS.match(command) else 0, command, 0.2)
            except LabError as late:
                pytest.fail(f"{name}.md, on {node}: $ {command}\nlacks: "
                            f"{differs(seen[0], expected)}\nprinted:\n{seen[0]}\n{late}")
            if os.environ.get("GUIDE_SHOW"):
                print(f"[{node}] $ {command}\n{seen[0]}", end="")
        assert count > 3, f"{name}.md has no commands"


@pytest.fixture
def follow(request):
    """follow(page, text of the configuration, {name of a key's file: client}, world): reads a page."""
    needs_programs()
    made = []

    def go(page, text, keys=None, world=None, before=None):
        world = world or World(log_folder(request), lambda *_: {}, clients=1)
        made.append(world)
        request.node.worlds = made
        world.up(start=False)
        (world.lab.state / "gateway.yaml").write_text(
            text.replace("/run/sallyport/", f"{world.gateway.run_dir}/"))
        for file, client in (keys or {}).items():
            (world.gateway.state_dir / file).write_text(world.clients[client].public_key + "\n")
        if before:
            before(world)
        Reader(world).follow(page)

    yield go
    for world in made:
        world.down()


def sample(name):
    return (ROOT / "config" / f"{name}.yaml").read_text()


def test_exit_node(follow):
    text = sample("exit-node")
    keys = run(["wg", "genkey"]).stdout, run(["wg", "genkey"]).stdout
    for name, key in zip(("client1", "client2"), keys):
        public = run(["wg", "pubkey"], input=key).stdout.strip()
        text = re.sub(rf"public_key_file: {name}.pub.*", f'public_key: "{public}"', text)
    follow("exit-node", text)


def test_site_to_site(follow):
    def before(world):
        for address in ("10.30.0.10", "fd30::10"):
            world.lab.run("client1", "ip", "addr", "add", address, "dev", "lo")

    follow("site-to-site", sample("site-to-site"), before=before)


def test_routing_gateway(follow):
    """Two veth pairs in the place of the cards, and a third port to which the lab's client finds."""
    text = sample("datacentre-gateway")
    for device, name in (("0000:3b:00.0", "inet"), ("0000:3b:00.1", "lan")):
        text = text.replace(f'device: "{device}"', f'device: "net_af_packet_{name},iface={name}"')
    text = text.replace("    mtu: 9000\n", "").replace("    queues: 4\n", "")
    addresses = json.dumps(topology.GATEWAY["wan"])
    text = text.replace("\nwireguard:", '  clients: { device: "net_af_packet_wan,iface=wan", '
                        f"addresses: {addresses} }}\n\nwireguard:", 1)

    def before(world):
        credentials = world.lab.state / "credentials"
        credentials.mkdir(mode=0o700)
        key = credentials / "wireguard"
        key.write_text(run(["wg", "genkey"]).stdout)
        key.chmod(0o400)
        world.gateway.control.set_before(f"export CREDENTIALS_DIRECTORY={credentials}")
        start_web(world.lab, world.logs, "lan-host")

    follow("routing-gateway", text, before=before)


def test_one_nic(follow, request):
    follow("one-nic", sample("one-nic-vps"), {"client1.pub": "client1"},
           OneNicWorld(log_folder(request)))


def test_benchmarking(follow):
    follow("benchmarking", sample("benchmark"))
