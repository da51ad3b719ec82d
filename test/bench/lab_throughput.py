#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sallyport beside a gateway of wireguard-go and nftables masquerade, in two labs of the same shape
(root): test/bench/lab_throughput.py [--rounds N] [--seconds N] [--rate MBIT].

Both gateways stand at the same time, and the measurements alternate, so that whatever else the
machine does meets both. Prints medians and their ratio, and writes build/bench/lab.json.

  tcp-up, tcp-down   iperf3, one stream, client to internet host and back: Mbit/s received
  cpu                UDP at --rate, equal for both: CPU seconds of the gateway's processes per
                     gigabyte delivered. The kernel's masquerading in the reference runs in
                     interrupts and is not in it

Veth offloads stay at their defaults. The client, wireguard-go, and the hosts share the cores
with the gateway, so this compares gateways; it does not say how fast either one can be.
"""
import argparse
import json
import os
import statistics
import sys
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "test" / "e2e"))
from lablib import topology  # noqa: E402
from lablib.checks import cpu_name  # noqa: E402
from lablib.gateway import have_programs  # noqa: E402
from lablib.netns import LabError, run  # noqa: E402
from world import World  # noqa: E402


def gateway_seconds(world):
    """CPU time of every process in the gateway's namespace, in the scheduler's nanoseconds: the
    ticks of /proc/stat miss or multiply work that comes in bursts shorter than a tick."""
    total = 0
    for pid in run(["ip", "netns", "pids", world.lab.ns("gateway")]).stdout.split():
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def iperf(world, seconds, *options):
    output = world.clients["client1"].run(
        "iperf3", "-J", "-c", topology.INTERNET["v4"], "-t", seconds, *options,
        timeout=seconds + 30).stdout
    return json.loads(output)["end"]


def tcp(world, seconds, *options):
    return iperf(world, seconds, *options)["sum_received"]["bits_per_second"] / 1e6


def cpu_per_gigabyte(world, seconds, rate):
    before = gateway_seconds(world)
    end = iperf(world, seconds, "-u", "-b", f"{rate}M", "-l", "1200")["sum"]
    spent = gateway_seconds(world) - before
    delivered = end["bytes"] * (1 - end["lost_packets"] / max(1, end["packets"]))
    return spent / (delivered / 1e9), 100 * end["lost_packets"] / max(1, end["packets"])


def measure(worlds, args):
    results = {name: {"tcp-up": [], "tcp-down": [], "cpu": [], "cpu-lost-percent": []}
               for name in worlds}
    for number in range(args.rounds):
        order = list(worlds) if number % 2 == 0 else list(reversed(worlds))
        for name in order:
            results[name]["tcp-up"].append(tcp(worlds[name], args.seconds))
            results[name]["tcp-down"].append(tcp(worlds[name], args.seconds, "-R"))
        for name in order:
            cost, lost = cpu_per_gigabyte(worlds[name], args.seconds, args.rate)
            results[name]["cpu"].append(cost)
            results[name]["cpu-lost-percent"].append(lost)
        print(f"round {number + 1} of {args.rounds} done", file=sys.stderr, flush=True)
    return results


def show(results, args):
    names = list(results)
    print(f"{cpu_name()}, {os.cpu_count()} CPUs, kernel {os.uname().release}; veth offloads on; "
          f"{args.rounds} rounds of {args.seconds} s, medians")
    print(f"{'':34}" + "".join(f"{n:>12}" for n in names) + f"{'ratio':>9}")
    rows = (("tcp-up", "TCP up, Mbit/s"), ("tcp-down", "TCP down, Mbit/s"),
            ("cpu", f"gateway CPU s per GB, {args.rate} Mbit/s UDP"),
            ("cpu-lost-percent", "  of which lost, percent"))
    for key, text in rows:
        medians = [statistics.median(results[n][key]) for n in names]
        ratio = f"{medians[0] / medians[1]:9.2f}" if len(medians) > 1 and medians[1] else ""
        print(f"{text:34}" + "".join(f"{m:12.2f}" for m in medians) + ratio)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rate", type=int, default=200, help="of the CPU measurement, Mbit/s")
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    folder = ROOT / "build" / "bench"
    worlds = {"reference": World(folder / "reference", clients=1, reference=True)}
    if have_programs():
        worlds = {"sallyport": World(folder / "sallyport", clients=1, workers=args.workers),
                  **worlds}
    try:
        for world in worlds.values():
            world.up().connect()
            world.clients["client1"].wait_handshake()
        results = measure(worlds, args)
    except LabError as error:
        sys.exit(f"lab_throughput: {error}")
    finally:
        for world in worlds.values():
            world.down()
    show(results, args)
    (folder / "lab.json").write_text(json.dumps(
        {"rounds": args.rounds, "seconds": args.seconds, "rate_mbit": args.rate,
         "cpu": cpu_name(), "cpus": os.cpu_count(), "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
