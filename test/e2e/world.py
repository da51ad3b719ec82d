# SPDX-License-Identifier: BSD-3-Clause
"""A lab with Sallyport and its clients in it, as the tests use it."""
import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import config as configs
from scapy.error import Scapy_Exception
from scapy.utils import rdpcap
from lablib import internet
from lablib.client import Client
from lablib.gateway import Gateway, Reference
from lablib.netns import Lab, LabError, wait_until

AGENT = Path(__file__).resolve().parent / "agent.py"
ECHO_PORT = 7007
_serial = itertools.count()


def fresh_prefix():
    """A name that no other lab on this machine has."""
    return f"e{os.getpid():x}n{next(_serial)}"


class World:
    def __init__(self, logs, make_config=configs.exit_node, workers=1, clients=2,
                 reference=False, lab_class=Lab, options=(), queues=None):
        self.logs = Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.lab = lab_class(fresh_prefix(), clients)
        self.make_config, self.workers, self.reference = make_config, workers, reference
        self.options = options  # of the data plane's command line
        self.queues = queues    # of each port; None: as the configuration has it
        self.clients, self.gateway = {}, None

    def up(self, start=True):
        self.lab.up(guard=True)
        internet.start_all(self.lab, self.logs)
        self.start_echo("internet")
        self.clients = {n: Client(self.lab, n, self.logs) for n in self.lab.clients}
        if self.reference:
            self.gateway = Reference(self.lab, self.logs)
        else:
            self.config = self.make(self.make_config)
            path = configs.write(self.config, self.lab.state / "gateway.yaml")
            self.gateway = Gateway(self.lab, path, self.logs, workers=self.workers,
                                   options=self.options)
        if start:
            self.gateway.start()
        return self

    def connect(self, *names):
        """wg-quick up with the exported file, for these clients (default: all)."""
        for name in names or self.clients:
            client = self.clients[name]
            client.up(self.gateway.export(name, client.key_file))
        return self

    def down(self):
        end(self.lab)

    # -- configuration ------------------------------------------------------------------------

    def make(self, make_config):
        config = make_config(self.clients, self.workers)
        if self.queues is not None:
            for port in config["ports"].values():
                port["queues"] = self.queues
        return config

    def apply(self, config):
        """Another configuration, as an operator brings it about."""
        self.config = config
        configs.write(config, self.lab.state / "gateway.yaml")
        return self.gateway.cli("apply")

    @contextlib.contextmanager
    def changed(self, config):
        """Another configuration for the length of a block, and then the one from before."""
        before = self.config
        try:
            self.apply(config)
            yield
        except BaseException:  # which is what is to be told, whatever becomes of the way back
            with contextlib.suppress(LabError):
                self.apply(before)
            raise
        self.apply(before)

    # -- traffic --------------------------------------------------------------------------------

    def start_echo(self, node, port=ECHO_PORT):
        self.lab.start(node, sys.executable, AGENT, "echo", port,
                       log=self.logs / f"{node}.echo.log")
        wait_until(lambda: self.lab.run(node, "ss", "-Hlun", f"sport = :{port}").stdout.strip(),
                   30, f"the echo on {node}")

    def agent(self, node, *args, timeout=60):
        return self.lab.run(node, sys.executable, AGENT, *args, timeout=timeout).stdout

    def start_agent(self, node, *args):
        """In the background, and returned once its first line is there."""
        log = self.logs / f"{node}.agent.log"
        child = self.lab.start(node, sys.executable, AGENT, *args, log=log,
                               stdout=subprocess.PIPE, text=True)
        child.said = child.stdout.readline()
        if not child.said:
            raise LabError(f"{args} on {node}: ended at once\n{log.read_text()}")
        return child

    def start_stream(self, node, host, rate, seconds, at_least=0):
        """A sequence-numbered stream to the echo on a host, in the background. Terminated, it ends
        early, but not before it has sent so many."""
        lost = self.lost_around()
        child = self.start_agent(node, "stream", host, ECHO_PORT, rate, seconds, at_least)
        child.lost_before, child.port = lost, int(child.said.split()[1])
        return child

    def start_question(self, node, host, port, source_port, count=1, size=8, seconds=30):
        """One datagram, and a socket in the background for the answers, for so long at most."""
        return self.start_agent(node, "udp", host, port, source_port, seconds, size, count)

    def answers(self, question):
        """Those that have come, as soon as they are as many as were to be expected and a moment has
        brought no other one."""
        question.terminate()
        return self.result(question)

    def lost_around(self):
        """Packets that were lost before the gateway had them, or after: by the kernels of the nodes
        around it, and for want of room in the rings of its ports. On a busy machine that is no
        doing of the gateway's. What the rings missed is not known while sallyportd is down."""
        missed = 0
        if not self.reference:
            status = self.gateway.cli("status", "-j", check=False)
            ports = json.loads(status.stdout)["ports"] if status.returncode == 0 else []
            missed = sum(port["rx_missed"] for port in ports)
        return self.lab.kernel_lost() + missed

    def lost_beside(self, before, sent):
        """Of so many packets those that may have been lost around the gateway since that many had
        been. What others sent is counted there, too: more than a tenth is no excuse for what the
        gateway lost."""
        return min(max(self.lost_around() - before, 0), sent // 10)

    def whole(self, child, timeout=60):
        """The result of a stream, of which the gateway may have lost nothing."""
        result = self.result(child, timeout)
        print(result)
        if result["lost"] != 0:
            wait_until(lambda: result["lost"] <= self.lost_beside(child.lost_before,
                                                                  result["sent"]),
                       10, f"losses to be counted elsewhere: {result}, {self.gateway.drops()}")
        assert result["duplicates"] == result["refused"] == 0, result
        return result

    @staticmethod
    def result(child, timeout=60):
        output, _ = child.communicate(timeout=timeout)
        return json.loads(output.splitlines()[-1])

    def send_raw(self, node, interface, *packets):
        """Packets made with scapy, past the node's own stack."""
        self.agent(node, "raw", interface, *(bytes(p).hex() for p in packets))

    def port_mac(self, port):
        link = self.lab.run("gateway", "ip", "-j", "link", "show", port).stdout
        return json.loads(link)[0]["address"]

    def capture(self, node, interface, expression=""):
        return Capture(self, node, interface, expression)

    # -- counters -------------------------------------------------------------------------------

    def drops(self, reason):
        return self.gateway.drops().get(reason, 0)

    def expect_drops(self, reason, act, at_least=1, seconds=30):
        """Does act() and waits until this reason has counted that many more packets."""
        before = self.drops(reason)
        act()
        wait_until(lambda: self.drops(reason) >= before + at_least, seconds,
                   f"{at_least} more drops '{reason}' (now {self.gateway.drops()})", 0.1)

    def wait_published(self):
        """Until all that went before is in the figures: workers collect those of flows twice a
        second, and what they have is published and read once a second. Three new readings of each
        worker are awaited, the first of which may have been under way."""
        def cycles():
            return [w["total_cycles"] for w in self.gateway.json("status")["workers"]]

        def all_changed():
            now = cycles()
            return len(now) == len(before) > 0 and all(a != b for a, b in zip(now, before))

        for _ in range(3):
            before = cycles()
            wait_until(all_changed, 30, "new figures of every worker", 0.1)

    def handoffs(self):
        """Packets that workers gave to workers; other threads' are counted by the receiver only."""
        return sum(w["handoff_out"] for w in self.gateway.json("status")["workers"])

    def expect_handoffs(self, above=0):
        """Of several workers, which publish their counters now and then, some handed packets over;
        a single one has nobody to hand them to."""
        if self.workers > 1:
            wait_until(lambda: self.handoffs() > above, 30, f"more hand-offs than {above}", 0.1)
        else:
            assert self.handoffs() == 0


def end(lab):
    """Ends a lab, which leaves nothing behind and in which nothing had failed unnoticed."""
    failed = lab.failed()
    lab.down()
    left = lab.leftovers()
    if left:
        raise LabError(f"left behind: {', '.join(left)}")
    if failed:
        raise LabError("ended by themselves: " + "; ".join(failed))


class Capture:
    """tcpdump on an interface, from entering the block to leaving it; then packets()."""

    def __init__(self, world, node, interface, expression):
        self.world, self.node = world, node
        self.file = world.lab.state / f"capture-{next(_serial)}.pcap"
        self.log = self.file.with_suffix(".log")
        # Its buffer has places of the snapshot's length: with less, bursts get lost.
        self.command = ["tcpdump", "-n", "-U", "--immediate-mode", "-s", "65535", "-B", "16384",
                        "-i", interface, "-w", self.file]
        self.command += [expression] if expression else []

    def __enter__(self):
        self.process = self.world.lab.start(self.node, *self.command, log=self.log)
        wait_until(lambda: "listening on" in self.log.read_text() or self.process.poll() is not None,
                   30, "tcpdump to listen")
        if self.process.poll() is not None:
            raise LabError(self.log.read_text())
        return self

    def __exit__(self, *_):
        # It drops what it has not yet written, and may be behind on a machine that is busy.
        # What came before its filter was there it has thrown away: such a rest stays the same.
        rests = []
        while self.process.poll() is None and len(rests) < 200:
            rests.append(self.unwritten())
            if rests[-1] == 0 or rests[-3:] == rests[-1:] * 3:
                break
            time.sleep(0.05)
        self.process.terminate()
        self.process.wait(30)

    def unwritten(self):
        """How many of the packets that have come by tcpdump has not written; it tells when asked."""
        told = self.log.read_text().count("dropped by kernel")
        self.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: self.log.read_text().count("dropped by kernel") > told, 30,
                   "tcpdump's figures")
        written, received, dropped = map(int, re.findall(
            r"(\d+) packets? (?:captured|received|dropped)", self.log.read_text())[-3:])
        return received - written - dropped

    def packets(self):
        try:
            return rdpcap(str(self.file))
        except Scapy_Exception:
            return []  # tcpdump has not yet written the file's header
