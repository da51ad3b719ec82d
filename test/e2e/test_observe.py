# SPDX-License-Identifier: BSD-3-Clause
"""What the gateway tells about itself: metrics, probes, captures, traces, figures."""
import base64
import fcntl
import http.client
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import tarfile
import termios
import time

import config as configs
import pytest
from conftest import ROOT, log_folder, needs_programs
from lablib import topology
from lablib.netns import wait_until
from scapy.layers.l2 import Ether
from world import World

METRICS_PORT = 9586
LAN_HOST = "10.20.0.10"
INTERNET = topology.INTERNET["v4"]


class UnixConnection(http.client.HTTPConnection):
    """HTTP on a Unix socket: the same answers as on the TCP address, without its namespace."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


def fetch(world, path, **headers):
    connection = UnixConnection(world.gateway.run_dir / "sallyport.sock")
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.getheader("Content-Type"), text


def monitored(clients, workers=1):
    config = configs.exit_node(clients, workers)
    config["routes"] = {"office": {"prefixes": ["10.21.0.0/16"], "distribute_to": ["everyone"],
                                   "via": {"port": "lan", "gateway": "10.20.0.10"}}}
    config["management"] = {"metrics": f"127.0.0.1:{METRICS_PORT}"}
    return config


@pytest.fixture(scope="module")
def world(request):
    """Two connected clients, two workers; one gateway for all tests of this module."""
    needs_programs()
    world = World(log_folder(request) / "world", monitored, workers=2, options=["--aead", "sodium"])
    request.node.worlds = [world]
    try:
        world.up().connect()
        for client in world.clients.values():
            client.wait_handshake()
        wait_until(lambda: fetch(world, "/readyz")[0] == 200, 30, "/readyz")
        yield world
    finally:
        world.down()


def promtool(*args, **options):
    answer = subprocess.run([ROOT / "scripts" / "promtool", *args], capture_output=True, text=True,
                            timeout=120, **options)
    if answer.returncode == 69:
        pytest.skip(answer.stderr)
    return answer


def families(text):
    """Name of each family to its type, unit and samples; asserts what OpenMetrics asks of order."""
    found, current = {}, None
    assert text.endswith("# EOF\n")
    for line in text.splitlines()[:-1]:
        if line.startswith("# HELP "):
            current = line.split()[2]
            assert current not in found, f"{current} comes twice"
            found[current] = {"type": None, "unit": "", "samples": {}}
        elif line.startswith("# "):
            word, name, value = line[2:].split(" ", 2)
            assert name == current
            found[name][word.lower()] = value
        else:
            series, value = line.rsplit(" ", 1)
            name = series.split("{")[0]
            counter = found[current]["type"] == "counter"
            assert name == current + ("_total" if counter else ""), line
            assert series not in found[current]["samples"], f"{series} comes twice"
            found[current]["samples"][series] = float(value)
    return found


OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def test_metrics(world):
    status, kind, text = fetch(world, "/metrics", **OPENMETRICS)
    assert status == 200 and kind.startswith("application/openmetrics-text; version=1.0.0")
    found = families(text)
    for name, family in found.items():
        assert family["type"] in ("counter", "gauge")
        if family["unit"]:
            assert name.endswith("_" + family["unit"]), name
        elif family["type"] == "counter":
            assert re.search(r"_(calls|sleeps|flows)$", name), f"{name} has no unit"
    assert found["sallyport_ready"]["samples"]["sallyport_ready"] == 1
    versions = world.gateway.json("history")["versions"]
    assert found["sallyport_config_version"]["samples"]["sallyport_config_version"] == next(
        v["version"] for v in versions if v["in_force"])
    assert found["sallyport_config_files_differ"]["samples"][
        "sallyport_config_files_differ"] == 0
    reasons = found["sallyport_dropped_packets"]["samples"]
    assert 'sallyport_dropped_packets_total{reason="flow.no_route"}' in reasons
    assert sum(found["sallyport_peers"]["samples"].values()) == 2
    wait_until(lambda: 'sallyport_peers{state="live"} 2\n' in fetch(world, "/metrics")[2], 30,
               "two live peers")
    # The older format, as linted by Prometheus itself.
    status, kind, text = fetch(world, "/metrics")
    assert status == 200 and kind.startswith("text/plain; version=0.0.4")
    lint = promtool("check", "metrics", input=text)
    assert lint.returncode == 0 and not lint.stderr, lint.stderr
    # As configured: the same on TCP, and nothing but these paths.
    curl = ["curl", "-sS", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}"]
    for path, code in (("metrics", "200"), ("readyz", "200"), ("api/status", "404")):
        url = f"http://127.0.0.1:{METRICS_PORT}/{path}"
        assert world.lab.run("gateway", *curl, url).stdout == code, path


def test_rules_and_dashboard_name_metrics_that_exist(world):
    rules, dashboard = ROOT / "config" / "alerts.yaml", ROOT / "config" / "grafana-dashboard.json"
    assert promtool("check", "rules", rules).returncode == 0
    tests = promtool("test", "rules", ROOT / "test" / "monitoring" / "alerts.test.yaml")
    assert tests.returncode == 0, tests.stdout + tests.stderr
    there = set(re.findall(r"^(sallyport_\w+)", fetch(world, "/metrics")[2], re.M))
    panels = [p for p in json.loads(dashboard.read_text())["panels"] if p["type"] != "row"]
    queries = [t["expr"] for p in panels for t in p["targets"]]
    assert len(panels) > 10 and all(p["title"] and p["targets"] for p in panels)
    for text in [*queries, "\n".join(re.findall(r"expr: (.*)", rules.read_text()))]:
        for name in re.findall(r"sallyport_\w+", text):
            assert name in there, f"{name} in: {text}"


def test_probes_follow_the_data_plane(world):
    assert all(fetch(world, path)[::2] == (200, "ok\n") for path in ("/livez", "/readyz",
                                                                     "/startupz"))
    world.gateway.dataplane.kill(signal.SIGSTOP)
    try:
        wait_until(lambda: fetch(world, "/readyz")[0] == 503, 30, "the stopped data plane to show")
        assert "stands still" in fetch(world, "/readyz")[2]
        assert fetch(world, "/livez")[0] == fetch(world, "/startupz")[0] == 200
        ready = re.search(r"^sallyport_ready (\d)", fetch(world, "/metrics")[2], re.M)
        assert ready.group(1) == "0"
    finally:
        world.gateway.dataplane.kill(signal.SIGCONT)
    wait_until(lambda: fetch(world, "/readyz")[0] == 200, 30, "the data plane to be ready again")


def test_what_a_ring_has_no_room_for_is_counted(world):
    """Frames that come while nobody takes them: af_packet's ring holds 2,048 for each queue."""
    def missed():
        return sum(port["rx_missed"] for port in world.gateway.json("status")["ports"])

    before, sent = missed(), 3 * 2048 * world.workers
    frame = Ether(dst="ff:ff:ff:ff:ff:ff", type=0x88B5)  # for experiments (IEEE 802)
    file = world.lab.state / "ring.flood"
    file.write_text(f"{bytes(frame).hex()}\n" * sent)
    world.gateway.dataplane.kill(signal.SIGSTOP)
    try:
        world.agent("internet", "flood", "eth0", file, 1e6)
    finally:
        world.gateway.dataplane.kill(signal.SIGCONT)
    wait_until(lambda: missed() - before >= sent // 3, 30, f"what was missed (now {missed()})")
    assert missed() - before <= sent


# -- captures and traces ------------------------------------------------------------------------


def start_cli(world, *args, **options):
    return subprocess.Popen(world.gateway.cli_command(*args), stdin=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, **options)


def dataplane_log(world):
    return world.gateway.dataplane.log.read_text()


def start_capture(world, *args, **options):
    """A capture that the data plane has begun."""
    begun = dataplane_log(world).count("capture: started")
    child = start_cli(world, "capture", *args, **options)
    wait_until(lambda: dataplane_log(world).count("capture: started") > begun or
               child.poll() is not None, 30, "the capture to start")
    assert child.poll() is None, child.stderr.read()
    return child


def tshark(path, *args):
    answer = subprocess.run(["tshark", "-n", "-r", path, "-T", "fields", "-E", "separator=|",
                             *args], capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0 and "cut short" not in answer.stderr, answer.stderr
    return [line.split("|") for line in answer.stdout.splitlines()]


def fields(*names):
    return [word for name in names for word in ("-e", name)]


def test_capture_of_drops_has_reason_and_peer(world, tmp_path):
    path = tmp_path / "drops.pcapng"
    child = start_capture(world, "--drops", "--peer", "client1", "-w", path, "icmp")
    world.clients["client2"].pings(LAN_HOST, 2, 1)  # another peer's: not in the file
    world.clients["client1"].pings(LAN_HOST, 3, 1)
    world.expect_drops("flow.exit_closed", lambda: world.clients["client1"].pings(LAN_HOST, 1, 1))
    child.send_signal(signal.SIGINT)
    assert child.wait(20) == 0, child.stderr.read()
    rows = tshark(path, *fields("ip.src", "ip.dst", "frame.comment", "frame.interface_name"))
    assert len(rows) >= 3
    for source, destination, comment, interface in rows:
        assert (source, destination, interface) == (configs.overlay(1), LAN_HOST, "ip")
        assert "drop flow.exit_closed" in comment and "from peer client1" in comment


def test_capture_of_a_peer_and_of_a_port(world, tmp_path):
    inside, outside = tmp_path / "inside.pcapng", tmp_path / "outside.pcapng"
    child = start_capture(world, "--peer", "client1", "--count", "6", "-w", inside, "icmp")
    wait_until(lambda: world.clients["client1"].pings(INTERNET, 3, 1) and
               child.poll() is not None, 30, "six packets")
    assert child.returncode == 0
    rows = tshark(inside, *fields("ip.src", "ip.dst", "icmp.type"))
    assert len(rows) == 6 and {tuple(row) for row in rows} == {
        (configs.overlay(1), INTERNET, "8"), (INTERNET, configs.overlay(1), "0")}

    with open(outside, "wb") as file:  # as a pipe to `tshark -r -` would have it
        child = start_capture(world, "--port", "inet", "--count", "4", "-w", "-",
                              f"icmp and host {INTERNET}", stdout=file)
    wait_until(lambda: world.clients["client1"].pings(INTERNET, 3, 1) and
               child.poll() is not None, 30, "four frames")
    rows = tshark(outside, *fields("eth.type", "ip.src", "ip.dst", "frame.interface_name"))
    egress = topology.EGRESS["client1"]["v4"]
    assert len(rows) == 4 and {tuple(row) for row in rows} == {
        ("0x0800", egress, INTERNET, "inet"), ("0x0800", INTERNET, egress, "inet")}


def test_capture_refuses_and_gives_way(world, tmp_path):
    for args, code, text in ((["no", "such", "filter"], 2, "syntax error"),
                             (["--peer", "nobody"], 2, "no such peer"),
                             (["--port", "nowhere"], 2, "no such port"),
                             (["--count", "0"], 2, "a number from 1")):
        answer = world.gateway.cli("capture", "-w", tmp_path / "none", *args, check=False)
        assert answer.returncode == code and text in answer.stderr, answer
    child = start_capture(world, "-w", tmp_path / "all")
    busy = world.gateway.cli("capture", "-w", tmp_path / "none", check=False)
    assert busy.returncode == 1 and "somebody else" in busy.stderr
    child.kill()  # the reader vanishes: room for the next at once
    child.wait(10)
    wait_until(lambda: "stopped: asked to" in dataplane_log(world), 30, "the capture to stop")
    child = start_capture(world, "-w", tmp_path / "all")
    old = world.gateway.control.kill()  # the daemon vanishes: the data plane stops by itself
    wait_until(lambda: "stopped: nobody reads" in dataplane_log(world), 30, "it to stop by itself")
    assert child.wait(20) in (0, 5)
    tshark(tmp_path / "all", "-e", "frame.len")  # whole blocks only
    world.gateway.control.restarted(old)
    world.gateway.wait_ready()
    wait_until(lambda: fetch(world, "/readyz")[0] == 200, 30, "/readyz")


def trace(world, count, act, *args):
    child = start_cli(world, "trace", "--peer", "client1", "-n", str(count), "-j", *args,
                      stdout=subprocess.PIPE)
    wait_until(lambda: (act(), child.poll() is not None)[1], 30, f"{count} packets to be followed")
    output, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    return [json.loads(line) for line in output.splitlines()]


def test_trace(world):
    assert world.clients["client1"].pings(INTERNET, 3)  # neighbours are known from here on
    ways = trace(world, 4, lambda: world.clients["client1"].pings(INTERNET, 2, 1))
    nodes = [[stage["node"] for stage in way["stages"]] for way in ways]
    out = [n for way, n in zip(ways, nodes) if way["from"] == "client1"]
    back = [n for way, n in zip(ways, nodes) if way["to"] == "client1"]
    assert len(ways) == 4 and out and back, ways
    # One that was underway between two workers when it began is seen from the second one on.
    assert {n[0] for n in nodes} <= {"port_rx", "handoff_rx"}, nodes
    assert any("wg_open" in n for n in out) and all(n[-1] == "port_tx" for n in out), nodes
    assert all(n[-2:] == ["wg_seal", "port_tx"] for n in back), nodes
    for way in ways:
        assert way["drop"] is None and way["cycles_per_us"] > 100
        assert way["end"] == "sent"
        assert way["port"] == ("inet" if way["from"] == "client1" else "wan"), way
        assert all(stage["cycles"] > 0 for stage in way["stages"])
        assert [s["at_ns"] for s in way["stages"]] == sorted(s["at_ns"] for s in way["stages"])
    ways = trace(world, 1, lambda: world.clients["client1"].pings(LAN_HOST, 1, 1))
    assert ways[0]["drop"] == "flow.exit_closed" and ways[0]["dst"] == LAN_HOST
    assert ways[0]["stages"][-1]["node"] == "drop" and ways[0]["end"] == "dropped"
    # Afterwards nodes run as before.
    assert world.clients["client1"].pings(INTERNET, 3)


def test_a_number_in_a_question_is_one(world):
    """Not the part of it that can be read, nor what is left of it in 32 bits."""
    for path, key, most in (("/api/flows", "max", 100000), ("/api/trace", "count", 1000)):
        for number, shown in (("0", "0"), ("5x", "5x"), ("", ""), ("%2B5", "+5"),
                              *((str(n), str(n)) for n in (most + 1, (1 << 32) + 5, 1 << 70)),
                              ("5%0A%C3%BC%FF", "5????"), ("1" * 40, "1" * 32 + "...")):
            status, _, text = fetch(world, f"{path}?{key}={number}")
            assert (status, json.loads(text)["detail"]) == (
                400, f"{key} is a number from 1 to {most}, not '{shown}'"), number


def test_status_names_the_cipher(world):
    assert world.gateway.json("status")["dataplane"]["aead"] == "sodium"  # not what it would choose
    assert "cipher sodium" in world.gateway.cli("status").stdout


# -- top ----------------------------------------------------------------------------------------


PAGES = ("Overview", "Cores", "Peers", "Egress", "Drops", "Flows")


def test_top_in_batch_mode(world):
    assert world.clients["client1"].pings(INTERNET)  # or there may be no flow
    text = world.gateway.cli("top", "-b", "-n", "1").stdout
    assert max(map(len, text.splitlines())) <= 80 and text.isascii()
    assert re.findall(r"^-- (\w+) --$", text, re.M) == list(PAGES)
    for word in ("WORKER", "PORT", "wan", "DROPS", "EGRESS", "PEER", "client1", "CYCLES/PACKET",
                 topology.EGRESS["client1"]["v4"]):
        assert word in text, text
    assert f" {INTERNET}" in text.split("-- Flows --")[1]
    figures = world.gateway.json("top", "-n", "1")
    assert len(figures["status"]["workers"]) == 2 and len(figures["peers"]) == 2
    assert figures["flows"] and {"name", "calls", "packets", "cycles"} == set(
        figures["status"]["nodes"][0])


class Screen:
    """A program on a terminal of 80 x 24, without colours."""

    def __init__(self, command, folder):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ.update(TERM="vt100", LINES="24", COLUMNS="80")
            os.execv(str(command[0]), list(map(str, command)))
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def type(self, keys, *shows):
        """Types, has all of it drawn again (Ctrl-L), and waits until each of these stands there."""
        self.seen, end = b"", time.monotonic() + 30
        os.write(self.fd, keys + b"\x0c")
        while not all(text in self.seen for text in shows):
            assert time.monotonic() < end, (keys, shows, self.seen)
            if select.select([self.fd], [], [], 1)[0]:
                self.seen += os.read(self.fd, 65536)

    def end(self, keys):
        os.write(self.fd, keys)
        try:
            while os.read(self.fd, 65536):
                pass
        except OSError:
            pass  # the other end has closed
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_top_on_a_terminal(world, tmp_path):
    screen = Screen(world.gateway.cli_command("top"), tmp_path)
    try:
        screen.type(b"", b"[1 Overview]", b"client1", b"client2", b"q quit")
        screen.type(b"2", b"[2 Cores]", b"CYCLES/PACKET")
        screen.type(b"\t", b"[3 Peers]", b"*FROM")
        screen.type(b"s", b"sorted by TO", b"*TO")
        screen.type(b"/nobody\r", b"filter: ", b"nobody")
        screen.type(b"/" + b"\x7f" * 6 + b"own\r1", b"[1 Overview]", b"filter: own")
        screen.type(b"\x1b", b"client1")
        screen.type(b"4", b"[4 Egress]", topology.EGRESS["client1"]["v4"].encode())
        screen.type(b"5", b"[5 Drops]", b"MEANING")
        screen.type(b"6", b"[6 Flows]", b"DESTINATION")
        screen.type(b"p", b"FROZEN")
        screen.type(b"w", b"FROZEN", b"written: sallyport-top-")
    except BaseException:
        os.kill(screen.pid, signal.SIGKILL)
        raise
    finally:
        code = screen.end(b"q")
    assert code == 0
    snapshot, = tmp_path.iterdir()
    assert re.fullmatch(r"sallyport-top-\d{8}-\d{6}\.txt", snapshot.name)
    assert snapshot.stat().st_mode & 0o777 == 0o600
    text = snapshot.read_text()
    assert re.findall(r"^-- (\w+) --$", text, re.M) == list(PAGES)


# -- statistics ---------------------------------------------------------------------------------


def figures(world):
    """Packets and bytes there and back, and flows where they are counted, by object."""
    def named(path, key):
        return next(o for o in world.gateway.json(path)[path.replace("-", "_")]
                    if o["name"] == key)

    def pair(o, *names):
        return tuple(o[name] for name in names)

    ways = ("packets", "bytes", "reply_packets", "reply_bytes")
    policies = world.gateway.json("policy")["policies"]
    address = topology.EGRESS["client1"]["v4"]
    pools = world.gateway.json("egress")["pools"]
    egress = next(a for p in pools for a in p["addresses"] if a["address"] == address)
    return {
        "peer": pair(named("peers", "client1"), "rx_packets", "rx_bytes", "tx_packets",
                     "tx_bytes"),
        "exit node": pair(named("exit-nodes", "internet"), *ways),
        "policy": pair(next(p for p in policies if p["name"] == "internet"), *ways),
        "egress": pair(egress, "tx_packets", "tx_bytes", "rx_packets", "rx_bytes"),
    }


def test_statistics_are_right_to_the_packet(world):
    assert world.clients["client1"].pings(INTERNET, 3)
    rate, seconds = 200, 2  # fewer than a queue on the way holds, whoever gets no CPU meanwhile
    sent = rate * seconds
    size = 20 + 8 + 8 + 120  # IP, UDP, and the agent's payload
    world.wait_published()
    before = figures(world)
    result = world.result(world.start_stream("client1", INTERNET, rate, seconds))
    assert result["received"] == result["sent"] == sent and not result["refused"], result

    def risen():
        now = figures(world)
        return {name: tuple(b - a for a, b in zip(before[name], now[name])) for name in now}

    exact = {name: (sent, sent * size, sent, sent * size) for name in before}
    try:
        wait_until(lambda: risen() == exact, 30, "the figures")
    except Exception:
        assert risen() == exact
        raise


def test_workers_are_read_once_a_second(world):
    """However often somebody asks: between two readings all their figures stand still."""
    def cycles():
        return tuple(line for line in fetch(world, "/metrics")[2].splitlines()
                     if line.startswith("sallyport_worker_cycles_total{"))

    began, asked, readings = time.monotonic(), 0, set()
    while (passed := time.monotonic() - began) < 3 or asked < 20 or len(readings) < 2:
        assert passed < 30, (len(readings), asked)
        readings.add(cycles())
        asked += 1
    assert all(len(reading) == 2 for reading in readings)
    assert len(readings) <= passed + 2, (len(readings), asked, passed)


# -- time series --------------------------------------------------------------------------------


KINDS = {"peer": "client1", "exit-node": "internet", "egress": topology.EGRESS["client1"]["v4"]}


def booked(world):
    """By kind: packets and bytes, sent and received, of this month."""
    return {kind: tuple(world.gateway.json("traffic", f"--{kind}", name, "--range", "month")[key]
                        for key in ("sent_packets", "sent_bytes", "received_packets",
                                    "received_bytes"))
            for kind, name in KINDS.items()}


def ready_again(world):
    world.gateway.wait_ready()
    wait_until(lambda: fetch(world, "/readyz")[0] == 200, 30, "/readyz")


def test_traffic_is_kept_over_restarts(world):
    """Known packets before, between and after restarts of either process: each counts once."""
    assert world.clients["client1"].pings(INTERNET, 3)
    size, sent, gateway = 20 + 8 + 8 + 120, 0, world.gateway

    def stream(count):
        nonlocal sent
        result = world.result(world.start_stream("client1", INTERNET, count, 1))
        assert result["received"] == result["sent"] == count, result
        sent += count

    world.wait_published()
    before = booked(world)

    def risen():
        now = booked(world)
        return {kind: tuple(b - a for a, b in zip(before[kind], now[kind])) for kind in now}

    def expect():
        exact = {kind: (sent, sent * size, sent, sent * size) for kind in KINDS}
        try:
            wait_until(lambda: risen() == exact, 30, "the sums")
        except Exception:
            assert risen() == exact
            raise

    stream(200)
    old = gateway.control.kill()  # before anybody looked
    gateway.control.restarted(old)
    ready_again(world)
    expect()
    gateway.control.stop()
    stream(100)  # the data plane forwards on
    gateway.control.start_again()
    ready_again(world)
    expect()
    old = gateway.dataplane.kill(signal.SIGTERM)  # publishes once more
    gateway.dataplane.restarted(old)
    ready_again(world)
    expect()
    for client in world.clients.values():
        wait_until(lambda c=client: c.pings(INTERNET, 1, 1), 30, "traffic to flow again")
    # The client's own pings count, too: no known number, so nothing is compared from here on.
    text = gateway.cli("traffic", "--peer", "client1").stdout
    assert "#" in text and "sent " in text and max(map(len, text.splitlines())) <= 80, text
    rows = gateway.cli("traffic", "--peer", "client1", "--range", "day", "--csv").stdout.split()
    assert rows[0] == "time,sent_packets,sent_bytes,received_packets,received_bytes"
    assert len(rows) == 25 and sum(int(row.split(",")[2]) for row in rows[1:]) >= sent * size
    sums = {(o["kind"], o["name"]): o["sent_bytes"]
            for o in gateway.json("traffic", "--range", "day")["objects"]}
    assert sums["group", "everyone"] == sums["peer", "client1"] + sums["peer", "client2"]
    assert sums["exit-node", "internet"] >= sent * size
    for args, code, text in ((["--peer", "nobody"], 2, "no figures of that name"),
                             (["--range", "year"], 2, "hour, day, 30d or month"),
                             (["--egress", "none"], 2, "an address"),
                             (["--peer", "client1", "--egress", "192.0.2.1"], 2, "not several")):
        answer = gateway.cli("traffic", *args, check=False)
        assert answer.returncode == code and text in answer.stderr, answer


# -- the bundle ---------------------------------------------------------------------------------


def unpacked(path):
    with tarfile.open(path) as tar:
        return {m.name.removeprefix("sallyport-bundle/"): tar.extractfile(m).read().decode()
                for m in tar.getmembers()}


def keys_in_use(world):
    """Private and public, as text; the configuration and what the state directory has."""
    texts = [path.read_text() for path in world.gateway.state_dir.glob("*key*")]
    texts += [client.key_file.read_text() for client in world.clients.values()]
    texts += [client.public_key for client in world.clients.values()]
    return [text.split()[0] for text in texts]


def test_bundle_has_no_keys_and_no_names(world, tmp_path):
    plain, hidden, strict = (tmp_path / f"{name}.tar.gz" for name in ("a", "b", "c"))
    gateway = world.gateway
    gateway.cli("debug", "bundle", plain, "--system-info")
    gateway.cli("debug", "bundle", hidden, "--anonymize", "default")
    gateway.cli("debug", "bundle", strict, "--anonymize", "strict", "--system-info")
    assert plain.stat().st_mode & 0o777 == 0o600
    keys = keys_in_use(world)
    assert len(keys) >= 5 and all(len(base64.b64decode(key)) == 32 for key in keys)
    wanted = {"README.txt", "config/1.yaml", "status.json", "peers.json", "routes.json",
              "drops.json", "metrics.txt", "history.json", "doctor.json", "traffic.json"}
    for path in (plain, hidden, strict):
        files = unpacked(path)
        assert wanted <= set(files), set(files)
        assert ("system/cpu.txt" in files) == (path != hidden)
        text = "\n".join(files.values())
        for key in keys:
            assert key not in text and base64.b64decode(key).hex() not in text.lower(), path
        json.loads(files["peers.json"]), json.loads(files["doctor.json"])
    egress, overlay = topology.EGRESS["client1"]["v4"], configs.overlay(1)
    text = {path: "\n".join(unpacked(path).values()) for path in (plain, hidden, strict)}
    for word, there in (("client1", [plain]), (egress, [plain]), (overlay, [plain, hidden]),
                        ("everyone", [plain, hidden])):
        for path in text:
            found = re.search(rf"(?<![\w.]){re.escape(word)}(?![\w.])", text[path])
            assert bool(found) == (path in there), (word, path, found)
    # The same word for the same thing everywhere.
    peers = json.loads(unpacked(hidden)["peers.json"])["peers"]
    names = {peer["name"] for peer in peers}
    assert len(names) == 2 and all(name.startswith("peer-") for name in names)
    assert all(name in unpacked(hidden)["config/1.yaml"] for name in names)
    answer = gateway.cli("debug", "bundle", plain, check=False)
    assert answer.returncode == 1 and "File exists" in answer.stderr
