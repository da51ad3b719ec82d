# SPDX-License-Identifier: BSD-3-Clause
"""A gateway alone in a namespace: its ports are devices made by the test, not links of a lab."""
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))
import config as configs  # noqa: E402
from lablib.gateway import Gateway, have_programs, programs  # noqa: E402
from lablib.netns import RUN, Lab, run, wait_until  # noqa: E402
from world import end, fresh_prefix  # noqa: E402


class BareLab(Lab):
    """One node, "gateway", with nothing but its loopback."""

    def __init__(self):
        super().__init__(fresh_prefix(), clients=0)

    def up(self, guard=True):
        if guard:
            self._start_guard()
        RUN.mkdir(mode=0o755, exist_ok=True)
        self.state.mkdir(mode=0o700)
        self.add_node("gateway")


class Bare:
    def __init__(self, logs):
        self.logs = Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.lab = BareLab()
        self.gateway = None

    def up(self):
        self.lab.up()
        return self

    def path(self, name):
        """A file of this lab's; gone when it goes."""
        return self.lab.state / name

    def make_gateway(self, config, **options):
        path = configs.write(config, self.path("gateway.yaml"))
        self.gateway = Gateway(self.lab, path, self.logs, **options)
        return self.gateway

    def apply(self, config, timeout=60):
        configs.write(config, self.gateway.config)
        return self.gateway.cli("apply", timeout=timeout)

    def down(self):
        end(self.lab)


def start_control(bare, names):
    """sallyportd alone, with these peers: for what is answered without a data plane."""
    if not have_programs():
        pytest.skip(f"the programs are not in {programs()}")
    peers = {}
    for number, name in enumerate(names, 2):
        public = run(["wg", "pubkey"], input=run(["wg", "genkey"]).stdout).stdout.strip()
        peers[name] = {"public_key": public, "groups": ["everyone"],
                       "addresses": [f"100.64.0.{number}", f"fd64::{number}"]}
    gateway = bare.make_gateway({
        "version": 1, "gateway": {"name": "gw"},
        "ports": {"uplink": {"device": "net_null0", "addresses": ["10.1.0.1/24"]}},
        "wireguard": {"private_key_file": "gateway.key",
                      "addresses": ["100.64.0.1/16", "fd64::1/64"]},
        "groups": {"everyone": {}}, "peers": peers,
        "exit_nodes": {"internet": {"offer_to": ["everyone"]}}})
    gateway.control.start()
    wait_until(lambda: gateway.cli("peers", check=False).returncode == 0, 30, "sallyportd")
    return gateway
