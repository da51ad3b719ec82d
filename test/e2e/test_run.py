# SPDX-License-Identifier: BSD-3-Clause
"""`make run` with Sallyport: every check passes, and an interruption leaves nothing behind."""
import json
import os
import signal

import pytest
from conftest import needs_programs
from lablib.netns import Lab, wait_until
from test_lab import expect_state, machine_state, start_run
from world import fresh_prefix


@pytest.fixture(autouse=True)
def programs_are_there():
    needs_programs()


def test_run_passes(tmp_path):
    before = machine_state()
    child = start_run(fresh_prefix(), tmp_path)
    output, _ = child.communicate(timeout=180)
    assert child.returncode == 0, output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["ok"] and report["gateway"] == "sallyport"
    expect_state(before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda n: n.name)
@pytest.mark.parametrize("moment", ["starting the gateway", "starting wireguard-go", "download"])
def test_an_interrupted_run_leaves_nothing(tmp_path, number, moment):
    before = machine_state()
    prefix = fresh_prefix()
    child = start_run(prefix, tmp_path)
    try:
        for line in child.stdout:
            if moment in line:
                break
        else:
            pytest.fail(f"the run ended before '{moment}'")
        os.kill(child.pid, number)
        child.communicate(timeout=60)
        assert child.returncode != 0
        wait_until(lambda: not Lab(prefix).leftovers(), 30, "everything to be gone", 0.1)
        expect_state(before)
    finally:
        child.kill()
        Lab(prefix).down()
