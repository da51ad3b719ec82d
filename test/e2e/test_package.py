# SPDX-License-Identifier: BSD-3-Clause
"""The Debian package: built, checked, installed on a machine with its own systemd, started,
killed, upgraded and purged there. And what systemd itself says of the units."""
import json
import re
import subprocess

import pytest
from conftest import ROOT, log_folder
from lablib.netns import run, wait_until
from machine import Machine

UNITS = ["sallyport-dataplane.service", "sallyportd.service"]
ADDRESS = "10.1.0.1/24"
CONFIG = {
    "version": 1,
    "gateway": {"name": "gw"},
    "ports": {"lan": {"device": "net_af_packet_lan,iface=lan", "addresses": [ADDRESS]}},
    "wireguard": {"private_key_file": "gateway.key", "addresses": ["100.64.0.1/16"]},
}


@pytest.fixture(scope="module")
def package(request):
    """Path of the package, built from the files as they are."""
    folder = log_folder(request) / "deb"
    answer = run([ROOT / "scripts" / "deb", folder], timeout=1200)
    return answer.stdout.split()[-1]


@pytest.fixture(scope="module")
def machine(request, package):
    folder = log_folder(request)
    machine = Machine(folder / "machine.log")
    try:
        machine.boot()
        machine.run("ip", "link", "add", "lan", "type", "veth", "peer", "name", "far")
        machine.run("ip", "link", "set", "far", "up")
        machine.run("ip", "link", "set", "lan", "up")
        machine.run("ip", "addr", "add", ADDRESS, "dev", "lan")
        machine.path("/var/cache/sallyport.deb").write_bytes(open(package, "rb").read())
        yield machine
    finally:
        machine.down()


def has_address(machine, device):
    return ADDRESS in machine.run("ip", "addr", "show", device, check=False).stdout


def ready(machine):
    return machine.run("sallyport", "status", "--check", "ready", check=False).returncode == 0


def test_lintian_finds_nothing(package):
    # The address of whoever builds a package is not ours to give.
    run(["lintian", "--allow-root", "--fail-on", "error,warning", "--suppress-tags",
         "bogus-mail-host,bogus-mail-host-in-debian-changelog", package], timeout=300)


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_sound_and_confined(unit, tmp_path):
    # verify wants the programs where the unit says they are.
    text = (ROOT / "config" / "systemd" / unit).read_text()
    local = tmp_path / unit
    local.write_text(re.sub(r"/usr/sbin/sallyport\S*", "/bin/true", text))
    other = next(u for u in UNITS if u != unit)
    (tmp_path / other).write_text("[Service]\nExecStart=/bin/true\n")
    verdict = run(["systemd-analyze", "verify", "--man=no", local], check=False)
    assert verdict.returncode == 0 and unit not in verdict.stderr, verdict.stderr
    # 3.0 is "OK", where a service without any confinement has 9.6.
    run(["systemd-analyze", "security", "--offline=yes", "--threshold=30", local])


@pytest.mark.parametrize("unit", UNITS)
def test_neither_unit_stops_the_other(unit):
    text = (ROOT / "config" / "systemd" / unit).read_text()
    for word in ("BindsTo", "PartOf", "Requires", "Requisite", "StopPropagatedFrom"):
        assert f"\n{word}=" not in text


def test_installed_started_killed_and_purged(machine):
    machine.run("dpkg", "-i", "/var/cache/sallyport.deb", timeout=120)
    there = set(machine.run("dpkg-query", "-L", "sallyport").stdout.split())
    for sample in set((ROOT / "config").glob("*.yaml")) - {ROOT / "config" / "alerts.yaml"}:
        installed = machine.path(f"/usr/share/doc/sallyport/examples/{sample.name}").read_text()
        header, rest = installed.split("\n", 1)
        assert rest == sample.read_text().split("\n", 1)[1]
        assert header.split("$schema=")[1] in there, header
    assert {f"/usr/share/man/{page}.gz" for page in (
        "man1/sallyport.1", "man7/sallyport-codes.7", "man8/sallyportd.8",
        "man8/sallyport-dataplane.8")} <= there
    # Without a configuration nothing starts, and that is no failure.
    for unit in UNITS:
        assert machine.show(unit, "ActiveState") == "inactive"
        assert machine.show(unit, "UnitFileState") == "enabled"
        assert machine.show(unit, "ConditionResult") == "no"
        assert machine.show(unit, "RestartUSec") == "100ms"
    machine.path("/etc/sallyport/sallyport.yaml").write_text(json.dumps(CONFIG))
    machine.run("systemctl", "start", *UNITS, timeout=90)
    wait_until(lambda: ready(machine), 30, "the gateway to be ready")

    # Each comes back when it is killed, and the other one stays.
    pids = {unit: machine.show(unit, "MainPID") for unit in UNITS}
    for unit in UNITS:
        other = next(u for u in UNITS if u != unit)
        machine.run("kill", "-KILL", pids[unit])
        wait_until(lambda: machine.show(unit, "MainPID") not in (pids[unit], "0"), 30,
                   f"{unit} to be started again")
        wait_until(lambda: ready(machine), 30, "the gateway to be ready again")
        assert machine.show(unit, "NRestarts") == "1"
        assert machine.show(other, "MainPID") == pids[other]
        pids[unit] = machine.show(unit, "MainPID")

    # An upgrade restarts the control process; the data plane goes on with what it has.
    machine.run("dpkg", "-i", "/var/cache/sallyport.deb", timeout=120)
    wait_until(lambda: ready(machine), 30, "the gateway to be ready after the upgrade")
    assert machine.show("sallyport-dataplane.service", "MainPID") == \
        pids["sallyport-dataplane.service"]
    assert machine.show("sallyportd.service", "MainPID") != pids["sallyportd.service"]

    # The kernel has its device back once both have been stopped, in whatever order.
    assert has_address(machine, "sp-lan") and not has_address(machine, "lan")
    for first, second in (UNITS, reversed(UNITS)):
        machine.run("systemctl", "stop", first)
        assert not has_address(machine, "lan"), f"without {first}"
        machine.run("systemctl", "stop", second)
        assert has_address(machine, "lan"), f"without {second} as well"
        for unit in UNITS:
            assert machine.show(unit, "Result") == "success"
        assert "on_lan" not in machine.run("nft", "list", "ruleset").stdout
        machine.run("systemctl", "start", *UNITS, timeout=90)
        wait_until(lambda: ready(machine), 30, "the gateway to be ready again")

    # A broken file is told of; the version before it, which is known, runs on.
    good = machine.path("/etc/sallyport/sallyport.yaml").read_text()
    machine.path("/etc/sallyport/sallyport.yaml").write_text(good.replace("gateway", "gatway", 1))
    machine.run("systemctl", "restart", "sallyportd.service")
    assert "which was in force, runs instead" in machine.run("sallyport", "status", check=False).stdout
    for unit in UNITS:
        assert machine.show(unit, "ActiveState") == "active"
    machine.path("/etc/sallyport/sallyport.yaml").write_text(good)
    machine.run("systemctl", "restart", "sallyportd.service")
    wait_until(lambda: ready(machine), 30, "the gateway to be ready with the file mended")

    machine.run("dpkg", "--purge", "sallyport", timeout=120)
    assert has_address(machine, "lan")
    left = machine.run("dpkg-query", "-L", "sallyport", check=False)
    assert left.returncode != 0
    for path in ("/usr/sbin/sallyportd", "/var/lib/sallyport", "/lib/systemd/system/" + UNITS[0],
                 "/etc/default/sallyport-dataplane"):
        assert not machine.path(path).exists(), path
    for unit in UNITS:
        assert machine.show(unit, "ActiveState") in ("inactive", "failed")
    assert subprocess.run(["pgrep", "--ns", str(machine.init), "--nslist", "pid", "sallyport"],
                          check=False).returncode == 1
