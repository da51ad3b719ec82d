# SPDX-License-Identifier: BSD-3-Clause
"""Completion in the shells themselves: bash and zsh on a terminal of their own, where a tab is
typed, and fish, which tells what it would offer. Names are those of a gateway that runs."""
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import termios
import time

import pytest
from bare import Bare, start_control
from conftest import log_folder
from lablib.netns import LabError, end_processes, run

PEERS = ("anna", "anton", "berta")
MARK = "READY> "
SECONDS = 30  # for what a shell does at a keystroke


@pytest.fixture(scope="module")
def gateway(request):
    """sallyportd alone: what it is asked for are names."""
    bare = Bare(log_folder(request))
    request.node.worlds = [bare]
    try:
        gateway = start_control(bare.up(), PEERS)
        # The command as it is typed: with the lab's socket instead of the usual one.
        program = bare.path("bin") / "sallyport"
        program.parent.mkdir()
        program.symlink_to(gateway.bin / "sallyport")
        gateway.path = f"{program.parent}:{os.environ['PATH']}"
        gateway.folder = bare.path("shells")
        gateway.folder.mkdir()
        yield gateway
    finally:
        bare.down()


class Terminal:
    """A shell on a terminal. A tab is answered by what it writes until it writes no more."""

    def __init__(self, gateway, command, setup):
        self.socket = gateway.run_dir / "sallyport.sock"
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(gateway.folder)
            os.execvpe(command[0], command, {
                **gateway.lab.env(), "PATH": gateway.path, "TERM": "dumb", "HOME":
                str(gateway.folder), "INPUTRC": "/dev/null"})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 120, 0, 0))
        for line in setup:
            self.type(line + "\n")
        self.until(MARK)

    def type(self, text):
        os.write(self.fd, text.encode())

    def until(self, pattern):
        """What is written up to and with this."""
        text, end = "", time.monotonic() + SECONDS
        while not re.search(pattern, text):
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                raise LabError(f"no {pattern!r} in what the shell wrote: {text!r}")
            text += os.read(self.fd, 65536).decode(errors="replace").replace("\r", "")
        return text

    def complete(self, typed, pattern, tabs=1):
        """Types and waits for the pattern; then a new line is begun, without running this one."""
        self.type(typed + "\t" * tabs)
        text = self.until(pattern)
        self.type("\x15echo DO''NE\n")  # Ctrl-U
        self.until("DONE\n")
        return text

    def close(self):
        os.close(self.fd)
        end_processes([self.pid])
        os.waitpid(self.pid, 0)


@pytest.fixture(scope="module", params=["bash", "zsh"])
def shell(request, gateway):
    name = request.param
    if shutil.which(name) is None:
        pytest.skip(f"no {name}: scripts/setup.sh")
    script = gateway.folder / f"_sallyport.{name}"
    script.write_text(gateway.cli("completion", name).stdout)
    if name == "bash":
        command = ["bash", "--noprofile", "--norc", "-i"]
        setup = ["bind 'set enable-bracketed-paste off'", f". {script}", "PS1='REA''DY> '"]
    else:
        folder = gateway.folder / "functions"
        folder.mkdir()
        script.rename(folder / "_sallyport")
        command = ["zsh", "-f", "-i"]
        setup = ["unsetopt zle_bracketed_paste prompt_cr prompt_sp; unset zle_bracketed_paste",
                 f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -D -u",
                 "setopt no_beep no_always_last_prompt; LISTMAX=9999",
                 "PS1='REA''DY> '"]
    terminal = Terminal(gateway, command, setup)
    yield terminal
    terminal.close()


def test_commands_and_options(shell):
    shell.complete("sallyport expl", r"ain ")
    shell.complete("sallyport peer exp", r"ort ")
    shell.complete("sallyport peers --no-p", r"ager ")
    shell.complete("sallyport peer export --priv", r"ate-key-file ")
    text = shell.complete("sallyport ", r"why", tabs=2)
    assert "status" in text and len(re.findall(r"\begress {2,}\S", text)) == 1


def test_live_names(shell):
    """Of the daemon that is asked: the one of the socket that is typed."""
    call = f"sallyport --socket {shell.socket}"
    shell.complete(f"{call} peer export b", r"erta ")
    shell.complete(f"{call} flows --peer=b", r"erta ")
    text = shell.complete(f"{call} peer export an", r"anna[\s\S]*anton", tabs=2)
    assert "berta" not in text.split("export an", 1)[1]


def test_files(shell, gateway):
    (gateway.folder / "office.yaml").touch()
    shell.complete("sallyport check off", r"ice\.yaml")


def fish(gateway, line):
    """Word and description of all that is offered."""
    answer = run(["fish", "--no-config", "-c", f". {gateway.folder}/sallyport.fish; "
                  f"complete -C '{line}'"], env={**gateway.lab.env(), "PATH": gateway.path,
                                                "HOME": str(gateway.folder)}, timeout=60,
                 cwd=gateway.folder)
    return dict((row + "\t").split("\t")[:2] for row in answer.stdout.splitlines())


def test_fish(gateway):
    if shutil.which("fish") is None:
        pytest.skip("no fish: scripts/setup.sh")
    script = gateway.folder / "sallyport.fish"
    script.write_text(gateway.cli("completion", "fish").stdout)
    call = f"sallyport --socket {gateway.run_dir / 'sallyport.sock'}"
    offered = fish(gateway, "sallyport pe")
    assert set(offered) == {"peer", "peers"} and "peers" in offered["peers"]
    assert fish(gateway, "sallyport peer exp") == {"export": "the wg-quick file of a peer"}
    assert set(fish(gateway, "sallyport peer export --private")) == {"--private-key-file"}
    assert set(fish(gateway, f"{call} peer export an")) == {"anna", "anton"}
    assert set(fish(gateway, f"{call} capture --port ")) == {"uplink"}
    assert set(fish(gateway, f"{call} flows --peer=b")) == {"--peer=berta"}
    (gateway.folder / "office.yaml").touch()
    assert set(fish(gateway, "sallyport check off")) == {"office.yaml"}
