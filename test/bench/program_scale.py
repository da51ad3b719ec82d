#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""How long it takes to program many peers and routes (root):
test/bench/program_scale.py [--peers N] [--routes N] [--rounds N].

The real sallyportd and sallyport-dataplane, in a namespace of their own, on a generated file. Each
round starts both anew, without any peer, and applies the file; then kills sallyportd, which
reads the same file, finds nothing to send and resumes; then restarts the data plane, which gets
everything again. Prints medians, and writes build/bench/program_scale.json.
"""
import argparse
import base64
import hashlib
import ipaddress
import json
import os
import re
import statistics
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "test" / "e2e"))
from bare import Bare  # noqa: E402
from lablib.checks import cpu_name  # noqa: E402
from lablib.gateway import have_programs  # noqa: E402
from lablib.netns import LabError, wait_until  # noqa: E402

NOTHING_CHANGED = 3  # exit status of sallyport apply
PER_ROUTE = 100  # prefixes of one network route


def public_key(number):
    return base64.b64encode(hashlib.sha256(b"peer %d" % number).digest()).decode()


def small(port):
    return f"""version: 1
gateway: {{name: scale}}
ports: {{wan: {{device: "{port}", addresses: [198.51.100.2/24]}}}}
wireguard: {{private_key_file: gateway.key, addresses: [100.64.0.1/10]}}
groups: {{everyone: {{}}, routers: {{}}}}
"""


def large(port, peers, routes):
    """Peers one address each; routes by as many routing peers as it takes."""
    overlay = int(ipaddress.ip_address("100.64.1.0"))
    network = int(ipaddress.ip_address("10.0.0.0"))
    parts = [small(port), "peers:\n"]
    for n in range(peers):
        group = "routers" if n < routes // PER_ROUTE else "everyone"
        parts.append(f"  peer{n}:\n    public_key: {public_key(n)}\n    groups: [{group}]\n"
                     f"    addresses: [{ipaddress.ip_address(overlay + n)}]\n")
    parts.append("routes:\n")
    for n in range(routes // PER_ROUTE):
        prefixes = ", ".join(f"{ipaddress.ip_address(network + 64 * (n * PER_ROUTE + k))}/26"
                             for k in range(PER_ROUTE))
        parts.append(f"  net{n}:\n    network: net{n}\n    prefixes: [{prefixes}]\n"
                     f"    via: {{peers: [peer{n}]}}\n    distribute_to: [everyone]\n"
                     "    acl_groups: [routers]\n    masquerade: false\n")
    parts.append("policies:\n  - {name: all, from: {groups: [everyone]}, "
                 "to: {groups: [routers]}, action: allow}\n")
    return "".join(parts)


class Round:
    def __init__(self, args, number):
        self.args = args
        self.bare = Bare(ROOT / "build" / "bench" / "program_scale" / str(number)).up()
        self.port = "net_null0,no-rx=1"
        self.times = {}

    def log(self):
        return (self.bare.logs / "sallyportd.log").read_text(errors="replace")

    def split(self, name):
        """What the logs say of the last transaction: how long the data plane took to receive and
        to apply it; the rest of the time went by before."""
        text = (self.bare.logs / "sallyport-dataplane.log").read_text(errors="replace")
        received, applied = re.findall(r"received in (\d+) ms, applied in (\d+) ms", text)[-1]
        self.times[f"{name}.transfer"] = int(received) / 1000
        self.times[f"{name}.apply"] = int(applied) / 1000

    def generation_lines(self):
        return re.findall(r"generation \d+: (\d+) set, (\d+) deleted", self.log())

    def wait_for(self, text, count, seconds):
        wait_until(lambda: self.log().count(text) >= count, seconds, f"'{text}'", 0.01)

    def start(self):
        args = self.args
        self.gateway = self.bare.make_gateway({}, options=[
            "--max-peers", args.max_peers, "--max-routes", args.max_routes,
            "--max-rules", args.max_rules,
            *(["--memory", args.memory] if args.memory else [])])
        self.gateway.config.write_text(small(self.port))
        self.gateway.start()

    def timed(self, name, act):
        start = time.monotonic()
        act()
        self.times[name] = time.monotonic() - start

    def apply(self):
        answer = self.gateway.cli("apply", timeout=300, check=False)
        if answer.returncode not in (0, NOTHING_CHANGED):
            raise LabError(f"apply: {answer.stdout[-2000:]}{answer.stderr[-2000:]}")

    def restart_control(self):
        count = self.log().count("resumed")
        old = self.gateway.control.kill()
        self.gateway.control.restarted(old)
        self.wait_for("resumed", count + 1, 120)

    def restart_dataplane(self):
        count = self.log().count("(full)")
        old = self.gateway.dataplane.kill()
        self.gateway.dataplane.restarted(old)
        self.wait_for("(full)", count + 1, 120)

    def run(self):
        self.start()
        self.gateway.config.write_text(large(self.port, self.args.peers, self.args.routes))
        self.timed("check", lambda: self.gateway.cli("check", self.gateway.config, timeout=120))
        self.timed("apply", self.apply)
        self.split("apply")
        self.timed("again", self.apply)
        self.timed("control", self.restart_control)
        self.timed("dataplane", self.restart_dataplane)
        self.split("dataplane")
        status = (self.gateway.dataplane.pid() and
                  open(f"/proc/{self.gateway.dataplane.pid()}/status").read())
        self.times["resident_mib"] = int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024
        self.sets = max(int(sets) for sets, _ in self.generation_lines())
        return self.times


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=int, default=100_000)
    parser.add_argument("--routes", type=int, default=100_000)
    parser.add_argument("--max-peers", type=int, default=131_072)
    parser.add_argument("--max-routes", type=int, default=524_288)
    parser.add_argument("--max-rules", type=int, default=262_144)
    parser.add_argument("--memory", type=int, help="MB for the data plane (default: its own "
                        "estimate by the limits above)")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if os.geteuid() != 0 or not have_programs():
        sys.exit(77)  # meson: skipped
    results = []
    for number in range(args.rounds):
        scale = Round(args, number)
        try:
            results.append(scale.run())
        finally:
            scale.bare.down()
        print(f"round {number + 1}: {results[-1]}", file=sys.stderr, flush=True)
    medians = {k: statistics.median(r[k] for r in results) for k in results[0]}
    print(f"{cpu_name()}, {os.cpu_count()} CPUs; {args.peers} peers, {args.routes} routes, "
          f"{scale.sets} objects; medians of {args.rounds}")
    for name, seconds in medians.items():
        print(f"{name:20} {seconds:8.2f}{'' if name == 'resident_mib' else ' s'}")
    out = ROOT / "build" / "bench" / "program_scale.json"
    out.write_text(json.dumps({"peers": args.peers, "routes": args.routes, "objects": scale.sets,
                               "cpu": cpu_name(), "rounds": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
