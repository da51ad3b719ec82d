# SPDX-License-Identifier: BSD-3-Clause
"""What the gateway tells about itself: metrics and probes."""
import http.client
import json
import re
import signal
import socket
import subprocess

import config as configs
import pytest
from conftest import ROOT, log_folder, needs_programs
from lablib.netns import wait_until
from world import World

METRICS_PORT = 9586


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
    world = World(log_folder(request) / "world", monitored, workers=2)
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
    reasons = found["sallyport_dropped_packets"]["samples"]
    assert 'sallyport_dropped_packets_total{reason="flow.no_route"}' in reasons
    assert sum(found["sallyport_peers"]["samples"].values()) == 2
    wait_until(lambda: 'sallyport_peers{state="live"} 2\n' in fetch(world, "/metrics")[2], 10,
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
