# SPDX-License-Identifier: BSD-3-Clause
"""A small machine in a node of the lab (QEMU, no KVM): Debian's kernel and what scripts/vm-image
puts into its RAM disk. It is told what to do by a shell on its second serial port, line by line.
Not for figures: all of it is interpreted."""
import base64
import re
import shlex
import socket
import subprocess
import time

import pytest
from lablib.gateway import ROOT, programs
from lablib.netns import LabError, wait_until

BOOT_S = 240  # seconds; it takes three on a machine with nothing else to do


def image(*options):
    """The folder with the kernel and its RAM disk; skips the test where they cannot be had."""
    folder = programs().parent / "vm"
    made = subprocess.run([ROOT / "scripts" / "vm-image", folder, *options], capture_output=True,
                          text=True, timeout=300)
    if made.returncode == 77:
        pytest.skip("a guest in QEMU: " + made.stdout.strip().splitlines()[-1])
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


class Guest:
    def __init__(self, world, name):
        """`name`: of its log files and sockets."""
        self.world, self.lab, self.name = world, world.lab, name
        self.console = world.logs / f"{name}.console.log"
        self.qemu = self.shell = None
        self.calls = 0

    def boot(self, node, kernel, disk, load, *options, cpu="qemu64", memory=256, append=""):
        """`load`: the modules that it begins with; `options`: QEMU's, for its devices."""
        path, log = self.lab.state / f"{self.name}.sock", self.world.logs / f"{self.name}.qemu.log"
        self.console.unlink(missing_ok=True)
        qemu = self.qemu = self.lab.start(
            node, "qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=single", "-cpu", cpu,
            "-m", memory, "-smp", "1", "-nodefaults", "-no-reboot", "-display", "none",
            "-kernel", kernel, "-initrd", disk, "-serial", f"file:{self.console}",
            "-chardev", f"socket,id=shell,path={path},server=on,wait=off", "-serial",
            "chardev:shell", *options,
            "-append", "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on "
            f"tsc=reliable vm.load={','.join(load)} {append}", log=log)
        wait_until(lambda: self.says("VM ready") or qemu.poll() is not None, BOOT_S,
                   "the guest's kernel and its init", 0.2)
        if qemu.poll() is not None:
            raise LabError("qemu: " + log.read_text())
        self.shell = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.shell.connect(str(path))
        wait_until(lambda: self.try_run("true", 2) is not None, 60, "the guest's shell")
        return self

    def end(self):
        self.shell.close()
        self.qemu.terminate()
        self.qemu.wait(30)

    def says(self, text):
        return self.console.exists() and text in self.console.read_text(errors="replace")

    def try_run(self, line, timeout):
        """(exit status, output), or None if there was no answer in time."""
        self.calls += 1
        end = re.compile(rf"END {self.calls} (\d+)\n")
        command = base64.b64encode(line.encode()).decode()
        self.shell.sendall(f"{self.calls} {command}\n".encode())
        text, until = "", time.monotonic() + timeout
        while not (found := end.search(text)):
            self.shell.settimeout(max(0.01, until - time.monotonic()))
            try:
                text += self.shell.recv(65536).decode(errors="replace").replace("\r", "")
            except TimeoutError:
                return None
        return int(found[1]), text[:found.start()]

    def run(self, *command, check=True, timeout=60):
        """Words, or one string of shell; its output."""
        line = command[0] if len(command) == 1 else shlex.join(map(str, command))
        answer = self.try_run(line, timeout)
        if answer is None:
            raise LabError(f"in the guest: {line}: no answer in {timeout} s")
        if check and answer[0] != 0:
            raise LabError(f"in the guest: {line}: exit status {answer[0]}\n{answer[1]}")
        return answer[1]

    def ip(self, *lines):
        self.run(" && ".join(f"/bin/ip {line}" for line in lines))
