# SPDX-License-Identifier: BSD-3-Clause
"""The checks of `make run`: each runs a command, keeps what it printed, and judges it."""
import json
import os
import platform
import re
import shlex
import sys
import time

from . import topology
from .client import ended_early
from .internet import was_busy
from .netns import LabError, wait_until

MIB = 1 << 20


class Check:
    def __init__(self, name, command, ok, output, figures=None, note=""):
        self.name, self.command, self.ok = name, command, ok
        self.output, self.figures, self.note = output, figures or {}, note

    def as_dict(self):
        return {"name": self.name, "ok": self.ok, "command": self.command, "note": self.note,
                "output": self.output, "figures": self.figures}


class Report:
    """Collects the checks, prints each as it comes, writes report.json."""

    def __init__(self, path, kind, colour=None):
        self.path, self.kind, self.checks = path, kind, []
        self.started = time.time()
        self.error = None
        utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        self.marks = ("✓", "✗") if utf8 else ("ok", "FAILED")
        if colour is None:
            colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self.colours = ("\033[32m", "\033[31m", "\033[2m", "\033[0m") if colour else ("",) * 4

    def add(self, check):
        self.checks.append(check)
        green, red, dim, plain = self.colours
        mark = (green + self.marks[0] if check.ok else red + self.marks[1]) + plain
        print(f"{mark} {check.name}" + (f": {check.note}" if check.note else ""))
        print(f"    {dim}{check.command}{plain}")
        if not check.ok:
            for line in check.output.strip().splitlines()[-12:]:
                print(f"    | {line}")
        sys.stdout.flush()

    def ok(self):
        return self.error is None and bool(self.checks) and all(c.ok for c in self.checks)

    def write(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        report = {
            "ok": self.ok(), "error": self.error, "gateway": self.kind,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started)),
            "seconds": round(time.time() - self.started, 1),
            "machine": {"kernel": platform.release(), "cpus": os.cpu_count(), "cpu": cpu_name()},
            "checks": [c.as_dict() for c in self.checks],
        }
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        new.replace(self.path)


def cpu_name():
    try:
        with open("/proc/cpuinfo") as info:
            return re.search(r"^model name\s*: (.*)$", info.read(), re.MULTILINE)[1]
    except (OSError, TypeError):
        return platform.machine()


class Runner:
    """Runs the checks from one client."""

    def __init__(self, client, gateway, report):
        self.client, self.gateway, self.report = client, gateway, report

    def check(self, name, command, judge, timeout=60, again=lambda output: False):
        """judge(output) returns (ok, note) or (ok, note, figures). Asked once more while again(), for
        half a minute."""
        shown = f"[{self.client.node}] " + shlex.join(map(str, command))
        deadline = time.monotonic() + 30

        def answer():
            done = self.client.run(*command, check=False, timeout=timeout)
            return None if again(done.stdout) and time.monotonic() < deadline else done

        try:
            done = wait_until(answer, 60, "an answer", 0.2)
            output = done.stdout + done.stderr
            verdict = judge(output) if done.returncode == 0 else \
                (False, f"exit status {done.returncode}")
        except LabError as error:
            output, verdict = str(error), (False, "no answer in time")
        except (KeyError, ValueError, TypeError, IndexError) as error:
            verdict = (False, f"unexpected output ({error!r})")
        self.report.add(Check(name, shown, verdict[0], output,
                              verdict[2] if len(verdict) > 2 else None, verdict[1]))
        return verdict[0]

    # -- routes -----------------------------------------------------------------------------

    def route(self, name, address, through_tunnel):
        def judge(output):
            device = re.search(r"\bdev (\S+)", output)[1]
            return (device == "wg0") == through_tunnel, f"leaves by {device}"
        family = "-6" if ":" in address else "-4"
        self.check(name, ["ip", family, "route", "get", address], judge)

    def routes(self):
        for family in ("v4", "v6"):
            self.route(f"route to the internet ({family}) leads into the tunnel",
                       topology.INTERNET[family], True)
            self.route(f"route to the far internet ({family}) leads into the tunnel",
                       topology.FAR[family], True)
        self.route("the tunnel's own packets stay outside it", topology.WAN["v4"], False)

    def handshake(self):
        def judge(output):
            latest = int(output.split()[1])
            return latest > 0, f"{max(0, int(time.time()) - latest)} s ago" if latest else "none yet"
        try:
            wait_until(self.client.handshake, 30, "a handshake")
        except LabError:
            pass  # the check itself says so
        self.check("handshake with the gateway", ["wg", "show", "wg0", "latest-handshakes"], judge)

    # -- what the internet sees ---------------------------------------------------------------

    def seen(self, family):
        expected = topology.EGRESS[self.client.node][family]
        host = topology.INTERNET[family]
        url = f"http://[{host}]/" if family == "v6" else f"http://{host}/"
        self.check(f"the internet host sees the egress address ({family})",
                   ["curl", "-sS", "-m", "20", url],
                   lambda out: (out.strip() == expected, f"{out.strip()}"))

    def ping(self, name, host):
        def judge(output):
            sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received",
                                                output).groups())
            times = [float(t) for t in re.search(r"= ([\d./]+) ms", output)[1].split("/")]
            return (sent == received, f"{received} of {sent}, {times[1]:.2f} ms",
                    {"sent": sent, "received": received, "rtt_avg_ms": times[1],
                     "rtt_max_ms": times[2]})
        self.check(name, ["ping", "-n", "-c", "5", "-i", "0.2", "-W", "10", host], judge,
                   again=lambda output: ended_early(output, 5))

    def download(self, size):
        def judge(output):
            got, seconds, speed = output.split()[-3:]
            return (int(got) == size, f"{int(got) / MIB:.0f} MiB in {float(seconds):.2f} s, "
                    f"{float(speed) * 8 / 1e6:.0f} Mbit/s",
                    {"bytes": int(got), "seconds": float(seconds),
                     "mbit_per_s": round(float(speed) * 8 / 1e6, 1)})
        self.check("HTTP download", [
            "curl", "-sS", "-m", "60", "-o", "/dev/null", "-w",
            "%{size_download} %{time_total} %{speed_download}\\n",
            f"http://{topology.INTERNET['v4']}/bytes/{size}"], judge, timeout=70)

    # -- throughput -----------------------------------------------------------------------------

    def tcp(self, name, host, seconds, *options):
        def judge(output):
            end = json.loads(output)["end"]
            rate = end["sum_received"]["bits_per_second"] / 1e6
            retransmits = end["sum_sent"].get("retransmits")
            return (rate > 1, f"{rate:.0f} Mbit/s, {retransmits} retransmitted",
                    {"mbit_per_s": round(rate, 1), "retransmits": retransmits,
                     "seconds": round(end["sum_received"]["seconds"], 2)})
        self.check(name, ["iperf3", "-J", "-c", host, "-t", seconds, *options], judge,
                   timeout=seconds + 60, again=was_busy)

    def own_losses(self):
        """Of the kernels around the gateway; where wireguard-go is the gateway, of its kernel, too."""
        lab = self.client.lab
        return lab.kernel_lost(*(lab.nodes() if self.gateway.kind == "reference" else ()))

    def udp(self, name, host, seconds, rate):
        before = self.own_losses()

        def judge(output):
            total = json.loads(output)["end"]["sum"]
            lost, packets = total["lost_packets"], total["packets"]
            percent = 100 * lost / max(1, packets)
            mbit = total["bits_per_second"] / 1e6 * (1 - percent / 100)
            # What a client without a free core lost by itself is not the gateway's to answer for.
            own = min(lost, self.own_losses() - before)
            return (packets > 0 and lost - own < packets / 20, f"{mbit:.0f} Mbit/s delivered, {lost} "
                    f"of {packets} lost" + (f" ({own} beside the gateway)" if own else "") +
                    f", jitter {total['jitter_ms']:.2f} ms",
                    {"mbit_per_s": round(mbit, 1), "lost": lost, "packets": packets,
                     "lost_percent": round(percent, 3), "jitter_ms": total["jitter_ms"]})
        # 1200 bytes: a whole packet in any tunnel, so that no fragment is measured
        self.check(name, ["iperf3", "-J", "-c", host, "-u", "-b", rate, "-l", "1200",
                          "-t", seconds], judge, timeout=seconds + 60, again=was_busy)

    def unreachable(self, name, host):
        command = ["ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", host]
        done = self.client.run(*command, check=False)
        self.report.add(Check(name, f"[{self.client.node}] " + shlex.join(command),
                              done.returncode == 1, done.stdout + done.stderr,
                              note="no answer, as it should be" if done.returncode == 1
                              else "it answered, or ping itself failed"))

    def all(self, seconds=3):
        self.routes()
        self.handshake()
        for family in ("v4", "v6"):
            self.seen(family)
        for family in ("v4", "v6"):
            self.ping(f"ping the internet host ({family})", topology.INTERNET[family])
            self.ping(f"ping beyond the internet's first router ({family})", topology.FAR[family])
        self.unreachable("the private LAN stays out of reach (v4)", topology.LAN_HOST["v4"])
        self.unreachable("the private LAN stays out of reach (v6)", topology.LAN_HOST["v6"])
        self.download(64 * MIB)
        self.tcp("TCP throughput, up (v4)", topology.INTERNET["v4"], seconds)
        self.tcp("TCP throughput, down (v4)", topology.INTERNET["v4"], seconds, "-R")
        self.tcp("TCP throughput, up (v6)", topology.INTERNET["v6"], seconds)
        self.udp("UDP, 50 Mbit/s offered (v4)", topology.INTERNET["v4"], seconds, "50M")
        self.udp("UDP, 50 Mbit/s offered (v6)", topology.INTERNET["v6"], seconds, "50M")
