# SPDX-License-Identifier: BSD-3-Clause
"""Keys do not outlive the processes that hold them, and are nowhere to be found beside them."""
import base64
import os
import re
import signal
from pathlib import Path

import config as configs
import pytest
from lablib import topology
from lablib.netns import run, wait_until

MAX_FILE = 1 << 30


def new_key():
    return run(["wg", "genkey"]).stdout.strip()


def forms(text):
    """A key as it might lie about: raw, base64, hex of either case."""
    raw = base64.b64decode(text)
    return [raw, text[:42].encode(), raw.hex().encode(), raw.hex().upper().encode()]


def hugetlbfs_mounts():
    return [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()
            if line.split()[2] == "hugetlbfs"]


def files_with(folders, needles):
    found = []
    for folder in folders:
        for path in Path(folder).rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_size < MAX_FILE:
                data = path.read_bytes()
                if any(needle in data for needle in needles):
                    found.append(path)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV], ids=lambda n: n.name)
def test_planted_keys_are_nowhere(make_world, number):
    gateway_key, preshared = new_key(), new_key()

    def with_keys(clients, workers):
        config = configs.exit_node(clients, workers)
        config["peers"]["client1"]["preshared_key_file"] = "client1.psk"
        return config

    world = make_world(with_keys, clients=1, start=False)
    var = world.gateway.state_dir
    for name, key in (("gateway.key", gateway_key), ("client1.psk", preshared)):
        (var / name).write_text(key + "\n")
        (var / name).chmod(0o600)
    cores = world.lab.state / "cores"
    cores.mkdir()
    for service in (world.gateway.dataplane, world.gateway.control):
        service.set_before(f"cd '{cores}' && ulimit -c unlimited")
    world.gateway.start()
    exported = world.gateway.export("client1", world.clients["client1"].key_file)
    assert gateway_key not in exported
    client = world.clients["client1"]
    client.up(exported if preshared in exported else re.sub(
        r"(?m)^(PublicKey.*)$", rf"\1\nPresharedKey = {preshared}", exported))
    assert client.pings(topology.INTERNET["v4"], 3)
    status = Path(f"/proc/{world.gateway.dataplane.pid()}/status").read_text()
    assert int(re.search(r"VmLck:\s+(\d+)", status)[1]) > 0
    answers = "".join(world.gateway.cli(verb, "-j").stdout for verb in
                      ("status", "peers", "routes", "flows"))
    for key in (gateway_key, preshared):
        assert not any(form in answers.encode() for form in forms(key)[1:])

    for service in (world.gateway.dataplane, world.gateway.control):
        pid = service.pid()
        service.once()  # it stays down, so that only the dead one's traces are found
        os.kill(pid, number)
        wait_until(lambda s=service: s.pid() is None, 30, "the program to be gone")
    needles = forms(gateway_key) + forms(preshared)
    places = [*hugetlbfs_mounts(), "/dev/shm", world.logs, world.gateway.run_dir, cores]
    assert files_with(places, needles) == []
    # only the operator's own key files hold them
    assert {p.name for p in files_with([var], needles)} <= {"gateway.key", "client1.psk"}
