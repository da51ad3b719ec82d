# SPDX-License-Identifier: BSD-3-Clause
"""The command as a person and as a script meets it: on a terminal of 80 columns nothing is wider,
elsewhere there is neither colour nor pager, and whatever shows something says the same as JSON and
as YAML."""
import base64
import fcntl
import hashlib
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time

import config as configs
import pytest
import yaml
from conftest import log_folder, needs_programs
from lablib import topology
from lablib.netns import wait_until
from test_watchdog import Supervisor
from world import World

OFFICE = "office-with-a-name-as-long-as-names-may-be-and-as-nobody-would-63"[:63]
INTERNET = topology.INTERNET["v4"]
LAN_HOST = "10.20.0.10"
LONG = "a-name-as-long-as-names-may-be-and-as-nobody-would-write-it-63b"


def long_names(clients, workers=1):
    """An exit node, and everything that could make a line long."""
    config = configs.exit_node(clients, workers)
    group = f"group-{LONG}"[:63]
    config["groups"][group] = {}
    config["peers"][f"peer-{LONG}"[:63]] = {
        "public_key": base64.b64encode(hashlib.sha256(b"long").digest()).decode(),
        "addresses": ["100.64.0.99", "fd64::aaaa:bbbb:cccc:dddd"], "groups": [group],
        "endpoint": "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:51820"}
    config["routes"] = {OFFICE: {
        "prefixes": ["10.21.0.0/16"], "masquerade": False, "distribute_to": ["everyone"],
        "acl_groups": ["everyone", group], "via": {"port": "lan", "gateway": LAN_HOST}}}
    config["forwards"] = {f"web-{LONG}"[:63]: {
        "address": topology.EGRESS["client1"]["v4"], "protocol": "tcp", "ports": "8000-8099",
        "to": {"peer": "client1"}, "from": "any"}}
    config["policies"].append({"name": f"policy-{LONG}"[:63], "action": "allow",
                               "from": {"groups": ["everyone", group]},
                               "to": {"groups": ["everyone"]}})
    return config


@pytest.fixture(scope="module")
def world(request):
    needs_programs()
    world = World(log_folder(request) / "world", long_names)
    request.node.worlds = [world]
    try:
        world.up().connect()
        world.clients["client1"].wait_handshake()
        assert world.clients["client1"].pings(INTERNET, 3)
        for port in range(40400, 40412):  # nobody answers
            world.agent("client1", "udp", "10.21.0.9", 9999, port, 0)
        world.agent("client1", "udp", "10.21.0.9", 9999, 40400, 0)
        yield world
    finally:
        world.down()


def read_to_end(terminal):
    seen = b""
    try:
        while part := os.read(terminal, 65536):
            seen += part
    except OSError:
        pass  # the other end has closed
    os.close(terminal)
    return seen


def on_terminal(world, *args, columns=80, typed=b"", **env):
    """What a terminal of that width is sent, and the exit status. `typed` is there beforehand."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        list(map(str, world.gateway.cli_command(*args))), stdin=slave, stdout=slave, stderr=slave,
        env={**world.lab.env(), "TERM": "xterm", "PAGER": "cat", "LC_ALL": "C.UTF-8", **env},
        start_new_session=True)
    os.close(slave)
    os.write(master, typed)
    return read_to_end(master).decode().replace("\r\n", "\n"), process.wait(60)


SHOWN = [["status"], ["status", "-d"], ["peers"], ["routes"], ["exit-nodes"], ["egress"],
         ["exit-nodes", "--as", "client1"], ["flows"], ["drops"], ["drops", "--all"], ["policy"],
         ["forwards"], ["counters"], ["counters", "--all"], ["traffic"], ["history"], ["plan"],
         ["ports"], ["doctor"], ["doctor", "--as", "client1"], ["config", "show", "--origin"],
         ["why", "client1", f"{INTERNET}:443"], ["why", "client1", "10.21.0.9:80"],
         ["why", "client1", "192.168.77.1"], ["why", f"peer-{LONG}"[:63], f"{INTERNET}:443"],
         ["explain", "SP0201"], ["help"], ["help", "apply"], ["bind", "--list"]]


@pytest.mark.parametrize("args", SHOWN, ids=" ".join)
def test_80_columns_are_enough(world, args):
    text, _ = on_terminal(world, *args, NO_COLOR="1")
    assert text.strip() and "\033" not in text
    wide = [line for line in text.split("\n") if len(line) > 80]
    assert not wide, "\n".join(wide)


def test_colour_and_pager_only_on_a_terminal(world):
    coloured, _ = on_terminal(world, "status")
    assert "\033[1m" in coloured
    plain, _ = on_terminal(world, "status", NO_COLOR="1")
    ages = re.compile(r"\d+ (s|min|h|[kMG]?B|%)")
    assert [ages.sub("", line).split() for line in re.sub(r"\033\[[\d;]*m", "", coloured)
            .split("\n")[:2]] == [ages.sub("", line).split() for line in plain.split("\n")[:2]]
    paged, _ = on_terminal(world, "peers", PAGER="sed s/^/PAGED/")
    assert all(line.startswith("PAGED") for line in paged.strip().split("\n"))
    for args, pager in ((["peers"], ""), (["peers", "--no-pager"], "sed s/^/PAGED/")):
        off, _ = on_terminal(world, *args, PAGER=pager)
        assert "client1" in off and "PAGED" not in off
    piped = subprocess.run(list(map(str, world.gateway.cli_command("peers"))), text=True,
                           capture_output=True, check=True, timeout=30,
                           env={**world.lab.env(), "TERM": "xterm", "PAGER": "sed s/^/PAGED/"})
    assert "client1" in piped.stdout and "PAGED" not in piped.stdout
    assert "\033" not in piped.stdout and piped.stderr == ""


def test_watch_draws_over_its_own_screen(world):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", PAGER="false")
        command = list(map(str, world.gateway.cli_command("counters", "--all", "--watch=0.2")))
        os.execvpe(command[0], command, {**os.environ, **world.lab.env()})
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    patience = threading.Timer(60, os.kill, (pid, signal.SIGKILL))  # or it is waited for in vain
    patience.start()
    try:
        seen = b""
        while seen.count(b"\033[H") < 3:
            seen += os.read(fd, 65536)
        os.kill(pid, signal.SIGINT)
        seen += read_to_end(fd)
    finally:
        status = os.waitpid(pid, 0)[1]
        patience.cancel()
    assert os.waitstatus_to_exitcode(status) == 0
    screen = seen.decode().replace("\r\n", "\n").split("\033[H")[2]
    assert "every 0.2 s: sallyport counters" in screen and "more lines than" in screen
    assert screen.count("\n") < 24, screen
    assert seen.count(b"\033[2J") == 1


def test_watch_outlives_the_daemon(world):
    watch = subprocess.Popen(
        list(map(str, world.gateway.cli_command("peers", "--jsonl", "--watch=0.2"))), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=world.lab.env())
    patience = threading.Timer(60, watch.kill)  # or a line that never comes is waited for
    patience.start()
    try:
        before = json.loads(watch.stdout.readline())
        assert before["name"] == "client1" and before["schema"] == 1
        world.gateway.control.stop()
        assert "waiting for sallyportd" in watch.stderr.readline()
        back = time.time()
        world.gateway.control.start_again()
        assert watch.stderr.readline() == "sallyport: sallyportd is back\n"
        while json.loads(line := watch.stdout.readline())["at_ms"] < back * 1000:
            pass
        assert json.loads(line)["at_ms"] > before["at_ms"]
        watch.stdout.close()
        assert watch.wait(30) == 0
    finally:
        patience.cancel()
        watch.kill()
        watch.wait()
        watch.stderr.close()
    wait_until(lambda: world.gateway.cli("status", check=False).returncode in (0, 4), 30, "a status")


def test_routes_that_nobody_answers_by(world):
    """The network behind has no route back to the overlay: what is needed, and who waits."""
    needed = {"route": OFFICE, "to": "100.64.0.0/24", "via": "10.20.0.1"}
    wait_until(lambda: "SP1109" in {p["code"] for p in world.gateway.json("status")["problems"]},
               30, "the status to say so")
    route = world.gateway.json("routes")["routes"][0]
    assert route["unanswered"] and route["return_routes"] == [needed]
    assert world.gateway.json("check", world.gateway.config)["return_routes"] == [needed]
    for args in (["routes"], ["status", "-d"], ["check", world.gateway.config]):
        text = world.gateway.cli(*args, check=False).stdout
        assert f"  {OFFICE}: 100.64.0.0/24 via 10.20.0.1\n" in text, args
    text = world.gateway.cli("flows").stdout
    assert f"route {OFFICE}: no answer; does the network of 10.21.0.9 have a route back" in text
    # What a change adds is said when it is made.
    good = world.gateway.config.read_text()
    config = json.loads(good)
    config["routes"]["second"] = {**config["routes"][OFFICE], "prefixes": ["10.22.0.0/16"]}
    added = {**needed, "route": "second"}
    try:
        configs.write(config, world.gateway.config)
        assert world.gateway.cli("plan", "-j", check=False).returncode == 3
        assert json.loads(world.gateway.cli("plan", "-j", check=False).stdout)[
            "return_routes"] == [added]
        assert world.gateway.json("apply")["return_routes"] == [added]
    finally:
        world.gateway.config.write_text(good)
        assert world.gateway.json("apply")["return_routes"] == []


# Each command with arguments that change nothing; what it exits with.
ANSWERS = {
    "status": ([], 0), "peers": ([], 0), "routes": ([], 0), "exit-nodes": ([], 0),
    "exit-nodes select": (["internet", "--as", "client1"], 0),
    "exit-nodes deselect": (["--as", "client1"], 0),
    "egress": ([], 0), "egress list": ([], 0), "forwards": ([], 0), "flows": ([], 0),
    "egress who": (["192.0.2.77:1"], 3), "drops": ([], 0), "counters": ([], 0), "policy": ([], 0),
    "why": (["client1", f"{INTERNET}:443"], 0), "ports": ([], 0), "traffic": ([], 0),
    "bind": (["--list"], 0), "bind confirm": ([], 3), "top": (["-n", "1"], 0),
    "plan": ([], 0), "apply": ([], 3), "confirm": ([], 2), "history": ([], 0),
    "config diff": (["1", "disk"], 0), "config show": ([], 0), "explain": (["SP0201"], 0),
    "peer export": (["client1"], 0), "peer remove": (["nobody"], 2), "version": ([], 0),
    "schema": ([], 0), "rollback": (["4711"], 2), "dataplane-args": (["@CONFIG"], 0),
    "check": (["@CONFIG"], 0), "doctor": ([], None), "debug bundle": (["@BUNDLE"], 0),
    "import wg-quick": (["@WGQUICK"], 0), "peer add": (["client1"], 1),
}
# These print packets, pages, or words for a shell.
OTHERS = {"capture", "trace", "completion", "complete", "help", "man"}


def test_every_command_is_in_the_list(world):
    text = world.gateway.cli("help").stdout.split("commands:\n")[1].split("\noptions")[0]
    words = {" ".join(re.findall(r"^[a-z-]+(?: [a-z-]+)*", line[2:].split("  ")[0])[:1])
             for line in text.split("\n") if re.match(r"  [a-z]", line)}
    words = {re.sub(r" (bash)?$", "", word) for word in words}
    assert words == set(ANSWERS) | OTHERS


def shape(value):
    """Keys and kinds: figures change from one call to the next."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__.replace("float", "int")


@pytest.mark.parametrize("command", ANSWERS)
def test_json_and_yaml(world, command, tmp_path):
    wg_quick = tmp_path / "wg0.conf"
    wg_quick.write_text("[Interface]\nAddress = 10.8.0.1/24\n")
    files = {"@CONFIG": world.gateway.config, "@WGQUICK": wg_quick}
    args, status = ANSWERS[command]
    shapes = []
    for form in ("json", "yaml"):
        files["@BUNDLE"] = tmp_path / f"{form}.tar.gz"
        if command == "exit-nodes deselect":
            world.gateway.cli("exit-nodes", "select", "internet", "--as", "client1", check=False)
        if command == "exit-nodes select":
            world.gateway.cli("exit-nodes", "deselect", "--as", "client1", check=False)
        answer = world.gateway.cli(*command.split(), *(files.get(a, a) for a in args), "-o", form,
                                   check=False, timeout=60)
        assert status in (None, answer.returncode), answer.stdout + answer.stderr
        shapes.append(shape(json.loads(answer.stdout) if form == "json"
                            else yaml.safe_load(answer.stdout)))
    assert shapes[0] == shapes[1] and shapes[0]
    if isinstance(shapes[0], dict):
        assert "schema" in shapes[0] or "$schema" in shapes[0]
    if status == 0 and not command.startswith(("exit-nodes ", "debug", "import")):
        answer = world.gateway.cli(*command.split(), *(files.get(a, a) for a in args), "--jsonl",
                                   timeout=60)
        lines = [json.loads(line) for line in answer.stdout.splitlines()]
        assert all("schema" in line or "$schema" in line for line in lines
                   if isinstance(line, dict)) and (lines or command == "counters")


def test_origins_and_masks(world):
    origins = {v["path"]: v for v in world.gateway.json("config", "show", "--origin")["values"]}
    place = origins["gateway.name"]["origin"]
    assert re.fullmatch(r".*gateway\.yaml:\d+", place), place
    assert origins["timeouts.udp"] == {"path": "timeouts.udp", "value": 300, "origin": "default"}
    # A key in the file is refused, and shown nowhere.
    good = world.gateway.config.read_text()
    key = base64.b64encode(bytes(range(32))).decode()
    config = json.loads(good)
    config["peers"]["client1"]["preshared_key"] = key
    try:
        configs.write(config, world.gateway.config)
        for args in (["config", "show"], ["config", "show", "disk", "-j"], ["plan"], ["apply"],
                     ["check", world.gateway.config], ["config", "show", "--origin"]):
            answer = world.gateway.cli(*args, check=False)
            assert key not in answer.stdout + answer.stderr, args
    finally:
        world.gateway.config.write_text(good)


# In front of the gateway nothing passes but what `ports` lists.
FRONT = """table inet sallyport_ports {
	chain forward {
		type filter hook forward priority filter; policy drop;
		jump to_gateway
		jump from_gateway
		counter comment "refused"
	}
}
"""


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_what_ports_lists_is_enough(world, family):
    """As rules of a firewall between a client, whose tunnel is new to it, and the gateway."""
    address = topology.WAN[family]
    endpoint = f"[{address}]:51820" if family == "v6" else f"{address}:51820"
    client = world.clients["client2"]
    text = world.gateway.cli("peer", "export", "client2", "--private-key-file", client.key_file,
                             "--endpoint", endpoint).stdout
    client.down()
    world.lab.run("router", "nft", "-f", "-",
                  input=world.gateway.cli("ports", "--nft").stdout + FRONT)
    try:
        client.up(text)
        wait_until(lambda: client.pings(INTERNET, 1, 1), 30, "the tunnel")
        assert client.pings(topology.INTERNET["v6"], 2)
        # What is not listed stays out: ssh to the gateway, beside the tunnel.
        # Nobody answers it, not even with a reset.
        assert world.lab.run("client2", "timeout", "3", "bash", "-c",
                             f"exec 3<>/dev/tcp/{address}/22", check=False).returncode == 124
        rules = world.lab.run("router", "nft", "list", "chain", "inet", "sallyport_ports",
                              "forward").stdout
        assert int(re.search(r"counter packets (\d+)", rules)[1]) > 0, rules
    finally:
        world.lab.run("router", "nft", "delete", "table", "inet", "sallyport_ports")


def test_the_supervisor_hears_how_far_it_is(world):
    supervisor = Supervisor(world.lab.state / "notify")
    old = world.gateway.control.pid()
    config = json.loads(world.gateway.config.read_text())
    good = world.gateway.config.read_text()
    config["peers"] |= configs.crowd(1200)
    config["wireguard"]["addresses"][0] = "100.64.0.1/16"
    try:
        world.gateway.control.set_before(supervisor.environment())
        world.gateway.control.kill()
        world.gateway.control.restarted(old)
        supervisor.hear_until("READY=1")
        configs.write(config, world.gateway.config)
        world.gateway.cli("apply", timeout=60)
        message = supervisor.hear_until("STATUS=programming the data plane")
        assert re.fullmatch(r"STATUS=programming the data plane: \d+ of \d+ objects", message)
        supervisor.hear_until("STATUS=the configuration is in force")
    finally:
        world.gateway.config.write_text(good)
        world.gateway.cli("apply", timeout=60)
