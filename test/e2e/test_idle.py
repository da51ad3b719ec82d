# SPDX-License-Identifier: BSD-3-Clause
"""`idle: adaptive`: next to no CPU while nothing happens, and awake at once when something does."""
import statistics
import time
from pathlib import Path

from lablib import topology
from scapy.layers.inet import ICMP, UDP

QUIET_SECONDS = 3
PACKETS = 60


def cpu_ns(pid):
    """CPU time of all threads of a process."""
    return sum(int((task / "schedstat").read_text().split()[0])
               for task in Path(f"/proc/{pid}/task").iterdir())


def best_of(rounds, measure, good):
    """The machine may be busy with other things: the best of a few rounds counts."""
    results = []
    for _ in range(rounds):
        results.append(measure())
        if good(results[-1]):
            break
    return min(results)


def test_an_idle_data_plane_sleeps(exit_world):
    pid = exit_world.gateway.dataplane.pid()

    def share():
        before, start = cpu_ns(pid), time.monotonic()
        time.sleep(QUIET_SECONDS)  # the very thing that is measured: nothing happens
        return (cpu_ns(pid) - before) / 1e9 / (time.monotonic() - start)

    assert best_of(3, share, lambda s: s < 0.02) < 0.02


def test_the_first_packet_is_not_kept_waiting(exit_world):
    """From the sealed packet on the router's wire to the open one on the internet host's: both
    stamped by the kernel, one packet at a time with the workers asleep in between."""
    client = exit_world.clients["client1"]
    assert client.pings(topology.INTERNET["v4"], 2)

    def delays():
        with exit_world.capture("router", "uplink", f"udp dst port {topology.LISTEN_PORT} "
                                                    "and greater 150") as sealed, \
                exit_world.capture("internet", "eth0", "icmp[icmptype] == icmp-echo") as opened:
            client.run("ping", "-n", "-c", PACKETS, "-i", "0.05", "-W", "2",
                       topology.INTERNET["v4"], timeout=60)
        sent = [float(p.time) for p in sealed.packets() if UDP in p]
        seen = [float(p.time) for p in opened.packets() if ICMP in p]
        assert len(seen) == PACKETS and len(sent) >= PACKETS
        # A handshake or keepalive may stand among the sealed ones: take the last before each.
        return sorted(t - max(s for s in sent if s <= t) for t in seen)

    def figures():
        found = delays()
        return statistics.median(found), found[int(len(found) * 0.99)]

    median, worst = best_of(5, figures, lambda f: f[0] < 100e-6 and f[1] < 1e-3)
    assert median < 100e-6, f"median {median * 1e6:.0f} us"
    assert worst < 1e-3, f"99th percentile {worst * 1e6:.0f} us"
