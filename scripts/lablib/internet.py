# SPDX-License-Identifier: BSD-3-Clause
"""What runs on the internet host: a web server that tells who asks, and iperf3."""
import re
import sys
from pathlib import Path

from .netns import wait_until

HERE = Path(__file__).resolve().parent


def listening(lab, node, port):
    return bool(lab.run(node, "ss", "-Hltn", f"sport = :{port}").stdout.strip())


def start_web(lab, logs, node="internet", port=80):
    server = lab.start(node, sys.executable, HERE / "web_server.py", port,
                       log=Path(logs) / f"{node}.web.log")
    wait_until(lambda: listening(lab, node, port), 30, f"the web server on {node}", 0.05)
    return server


def start_iperf(lab, logs, node="internet", port=5201):
    server = lab.start(node, "iperf3", "-s", "-p", port, log=Path(logs) / f"{node}.iperf3.log")
    wait_until(lambda: listening(lab, node, port), 30, f"iperf3 on {node}", 0.05)
    return server


def was_busy(output):
    """True if iperf3 was turned away: its server takes one client at a time and may not be done with
    the one before. The word for that may be overtaken by the reset with which it closes; and
    between two clients it opens its socket anew, which for a moment refuses."""
    return bool(re.search(r'"error":\s*".*(busy|Connection re(set|fused))', output))


def start_all(lab, logs):
    start_web(lab, logs)
    start_iperf(lab, logs)
