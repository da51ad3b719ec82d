# SPDX-License-Identifier: BSD-3-Clause
"""What `doctor` says of UFW, firewalld, Docker and fail2ban, with the real ones: Debian's packages,
fetched and installed on a machine of their own, which has its own systemd, files and network. Each
fix that doctor names is typed there as it stands, and must be one."""
import json
import shutil

import pytest
from conftest import ROOT, log_folder, needs_programs
from lablib.gateway import programs
from lablib.netns import run, wait_until
from machine import Machine

PACKAGES = ["ufw", "firewalld", "docker.io", "fail2ban"]
SERVICES = ["ufw", "firewalld", "docker.socket", "docker", "containerd", "fail2ban"]
FILE = "/etc/sallyport/sallyport.yaml"
PROGRAM = "/usr/local/bin/sallyport"
CONFIG = {
    "version": 1, "gateway": {"name": "gw"},
    "ports": {"uplink": {"device": "net_af_packet_uplink,iface=uplink",
                         "addresses": ["198.51.100.2/24", "2001:db8:100::2/64"]}},
    "wireguard": {"private_key_file": "gateway.key", "addresses": ["100.64.0.1/16"]},
    "groups": {"everyone": {}},
    "routes": {"office": {"prefixes": ["10.30.0.0/16"], "distribute_to": ["everyone"],
                          "via": {"port": "uplink", "gateway": "198.51.100.1"}}},
}
# A jail for what nobody logs: its actions begin with the first ban.
JAIL = """[DEFAULT]
backend = polling
banaction = nftables-multiport

[sshd]
enabled = true
logpath = /var/log/nothing.log
"""


def fetch(folder):
    """The packages, and those they need that are not here; nothing is installed. Where that cannot
    be, the tests are skipped."""
    if not list(folder.glob("docker.io_*.deb")):
        (folder / "partial").mkdir(parents=True, exist_ok=True)
        answer = run(["apt-get", "install", "--download-only", "--yes", "-qq",
                      "--no-install-recommends", "-o", f"Dir::Cache::archives={folder}",
                      "-o", "APT::Sandbox::User=root", "-o", "APT::Keep-Downloaded-Packages=1",
                      *PACKAGES], check=False, timeout=300)
        if answer.returncode != 0:
            pytest.skip(f"{', '.join(PACKAGES)} cannot be had: {answer.stderr.strip()[-200:]}")
    return sorted(folder.glob("*.deb"))


class Firewalled(Machine):
    def install(self, packages):
        """Without starting anything."""
        cache = self.path("/var/cache/firewalls")
        cache.mkdir()
        for package in packages:  # none where the machine has them all
            (cache / package.name).write_bytes(package.read_bytes())
        policy = self.path("/usr/sbin/policy-rc.d")
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        if packages:
            self.type("export DEBIAN_FRONTEND=noninteractive; dpkg --no-triggers --path-exclude="
                      "'/usr/share/man/*' --path-exclude='/usr/share/doc/*' --install "
                      "/var/cache/firewalls/*.deb", timeout=300)
        self.type(f"systemctl daemon-reload; systemctl disable {' '.join(SERVICES)}")
        self.path(FILE).parent.mkdir(exist_ok=True)
        self.path(FILE).write_text(json.dumps(CONFIG))
        # The machine has a /tmp of its own, where the build may lie.
        shutil.copy(programs() / "sallyport", self.path(PROGRAM))

    def type(self, line, check=True, timeout=60):
        return self.run("sh", "-c", line, check=check, timeout=timeout)

    def doctor(self, step):
        """What it says of the machine, for one step."""
        answer = self.run(PROGRAM, "doctor", "--config", FILE, "-j", check=False)
        return [(row["state"], row["text"], row["fix"])
                for row in json.loads(answer.stdout)["machine"] if row["step"] == step]

    def states(self, step):
        return [state for state, *_ in self.doctor(step)]

    def follow_fix(self, step, state):
        """Types what doctor says for the one finding of this step."""
        (found, text, fix), = self.doctor(step)
        assert found == state, (found, text, fix)
        self.type(fix)


@pytest.fixture(scope="module")
def machine(request):
    needs_programs()
    folder = log_folder(request)
    packages = fetch(programs().parent / "firewalls")
    folder.mkdir(parents=True, exist_ok=True)
    machine = Firewalled(folder / "machine.log")
    try:
        machine.boot()
        machine.type("ip link add uplink type veth peer name far && ip link set uplink up")
        machine.install(packages)
        yield machine
    finally:
        machine.down()


@pytest.fixture
def nothing_else(machine):
    """Neither rules nor findings before and after."""
    steps = ("ufw", "firewalld", "docker", "fail2ban")
    assert [machine.states(step) for step in steps] == [["skip"]] * len(steps)
    yield
    machine.type("ufw --force disable", check=False)
    for service in SERVICES:
        machine.type(f"systemctl stop {service}", check=False)
    machine.type("nft flush ruleset")


def test_ufw(machine, nothing_else):
    machine.type("ufw --force enable")
    assert "Status: active" in machine.type("ufw status").stdout
    assert machine.states("neighbours") == ["ok"]  # of which it accepts all that IPv6 needs
    machine.follow_fix("ufw", "warn")
    assert machine.doctor("ufw") == [("ok", "on, with a rule for sp0", None)]

    assert machine.states("listen_port") == ["ok"]
    machine.type("ufw deny proto udp to 0.0.0.0/0 port 51820")
    (state, text, fix), = machine.doctor("listen_port")
    assert state == "warn" and "ip filter ufw-user-input drops UDP 51820" in text
    machine.type(fix)
    assert machine.states("listen_port") == ["ok"]


def test_firewalld(machine, nothing_else):
    machine.type("systemctl start firewalld")
    wait_until(lambda: machine.type("firewall-cmd --state", check=False).returncode == 0, 60,
               "firewalld")
    assert machine.states("neighbours") == ["ok"]
    machine.follow_fix("firewalld", "warn")
    assert machine.doctor("firewalld") == [("ok", "sp0 is in a zone", None)]
    assert "sp0" in machine.type("firewall-cmd --zone=trusted --list-interfaces").stdout


def test_docker(machine, nothing_else):
    """Its default network is nobody's; one in the overlay or in a route's range is."""
    machine.type("systemctl start docker", timeout=120)
    assert "docker0" in machine.type("ip -br addr").stdout
    assert machine.doctor("docker") == [("ok", "its chains see containers only", None)]
    for name, subnet, object_ in (("clash", "100.64.3.0/24", "the overlay"),
                                  ("wide", "10.0.0.0/8", "office"),
                                  ("narrow", "10.30.7.0/28", "office")):
        machine.type(f"docker network create {name} --subnet {subnet} "
                     f"--opt com.docker.network.bridge.name=br-{name}")
        (state, text, fix), = machine.doctor("docker")
        assert state == "fail" and f"the network of br-{name} overlaps {object_}:" in text
        assert "default-address-pools" in fix
        machine.type(f"docker network rm {name}")
    assert machine.states("docker") == ["ok"]


def test_fail2ban(machine, nothing_else):
    machine.path("/etc/fail2ban/jail.local").write_text(JAIL)
    machine.path("/var/log/nothing.log").touch()
    machine.type("systemctl start fail2ban")
    wait_until(lambda: machine.type("fail2ban-client ping", check=False).returncode == 0, 60,
               "fail2ban")
    machine.type("fail2ban-client set sshd banip 192.0.2.7")
    wait_until(lambda: machine.states("fail2ban") != ["skip"], 30, "the ban's rules", 0.5)
    (state, _, fix), = machine.doctor("fail2ban")
    assert state == "warn"
    where, line = fix.split(": ", 1)
    assert where == "add to [DEFAULT] in /etc/fail2ban/jail.local"
    machine.path("/etc/fail2ban/jail.local").write_text(
        JAIL.replace("[DEFAULT]\n", f"[DEFAULT]\n{line}\n"))
    machine.type("fail2ban-client reload")
    wait_until(lambda: machine.doctor("fail2ban") == [
        ("ok", "on, and leaves 100.64.0.0/16 alone", None)], 30, "the jail to be loaded again", 0.5)
    machine.type("fail2ban-client set sshd banip 192.0.2.7")
    assert machine.type("fail2ban-client get sshd ignoreip").stdout.count("100.64.0.0/16") == 1
