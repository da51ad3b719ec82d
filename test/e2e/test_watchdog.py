# SPDX-License-Identifier: BSD-3-Clause
"""The supervisor hears of a process only while every thread of it moves. The supervisor is a
socket of the test's, spoken to as sd_notify(3) says; threads are stopped one at a time."""
import socket
import time

import pytest
from bare import Bare
from conftest import log_folder, needs_programs
from freeze import frozen
from lablib.netns import wait_until

WATCHDOG_S = 1  # as WatchdogSec= would have it; pings come twice as often


class Supervisor:
    """What systemd is to a service of Type=notify."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))

    def environment(self):
        return f"export NOTIFY_SOCKET={self.path} WATCHDOG_USEC={WATCHDOG_S * 1000000}"

    def hear(self, seconds):
        """The next message, or None if none comes in that time."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(4096).decode()
        except TimeoutError:
            return None

    def hear_until(self, word, seconds=30):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            message = self.hear(left)
            if message and word in message:
                return message
        raise AssertionError(f"the supervisor never heard {word}")

    def forget(self):
        """What has been said so far."""
        while self.hear(0.001):
            pass


@pytest.fixture
def gateway(request):
    needs_programs()
    bare = Bare(log_folder(request))
    request.node.worlds = [bare]
    try:
        bare.up()
        yield bare, bare.make_gateway(configs(), workers=2, idle="adaptive")
    finally:
        bare.down()


def configs():
    return {"version": 1, "gateway": {"name": "gw"},
            "wireguard": {"private_key_file": "gateway.key", "addresses": ["100.64.0.1/16"]}}


def test_a_thread_that_hangs_is_not_covered_up(gateway):
    bare, gateway = gateway
    supervisor = Supervisor(bare.path("notify"))
    gateway.dataplane.set_before(supervisor.environment())
    gateway.start()
    supervisor.hear_until("READY=1")
    supervisor.hear_until("WATCHDOG=1")
    pid = gateway.dataplane.pid()
    with frozen(pid, "sallyport-datap"):  # the main loop, which is the one that tells
        supervisor.forget()
        assert supervisor.hear(2 * WATCHDOG_S) is None
    supervisor.hear_until("WATCHDOG=1")
    for name, called in [("rte-worker-2", "worker 1"), ("sp-handshake", "handshake thread"),
                         ("sp-punt", "punt thread")]:
        with frozen(pid, name):
            missed = f"{called} hangs: it has not moved"
            wait_until(lambda m=missed: m in gateway.dataplane.log.read_text(), 30, missed)
            supervisor.forget()
            # Several times what the supervisor allows, and not a word.
            assert supervisor.hear(2 * WATCHDOG_S) is None, name
        # Moving again, it is trusted again: the process itself decides nothing.
        supervisor.hear_until("WATCHDOG=1")
        gateway.dataplane.log.write_text("")
    assert gateway.dataplane.pid() == pid


def test_sallyportd_tells_what_it_does(gateway):
    bare, gateway = gateway
    supervisor = Supervisor(bare.path("notify"))
    gateway.control.set_before(supervisor.environment())
    gateway.start()
    supervisor.hear_until("READY=1")
    supervisor.hear_until("WATCHDOG=1")
    good = gateway.config.read_text()
    gateway.config.write_text(good.replace('"gateway"', '"gatway"'))
    gateway.control.control("h")
    assert "RELOADING=1" in supervisor.hear_until("RELOADING=1")
    assert "the one before stays in force" in supervisor.hear_until("READY=1")
    gateway.config.write_text(good)
    gateway.control.control("h")
    assert "in force" in supervisor.hear_until("READY=1")
    with frozen(gateway.control.pid(), "sallyportd"):
        supervisor.forget()
        assert supervisor.hear(2 * WATCHDOG_S) is None
    supervisor.hear_until("WATCHDOG=1")
    gateway.control.control("d")
    supervisor.hear_until("STOPPING=1")
