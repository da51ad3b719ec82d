# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the end-to-end tests. Each makes its own lab, and removes it whatever happens."""
import contextlib
import os
import re
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(ROOT / "scripts"))
import config as configs  # noqa: E402
from lablib.gateway import have_programs, programs  # noqa: E402
from world import World  # noqa: E402

LOGS = ROOT / os.environ.get("BUILD", "build") / "e2e"
WORKERS = [pytest.param(1, id="1-worker"), pytest.param(3, id="3-workers")]
# For what is about forwarding, NAT, fragments or ICMP: World(..., **shape).
SHAPES = [pytest.param({"workers": workers, "queues": queues},
                       id=f"{workers}-workers-{queues}-queues")
          for workers in (1, 3) for queues in (1, 2)]


def pytest_configure(config):
    config.addinivalue_line("markers", "last: run after all others: it waits for something begun early")
    config.addinivalue_line("markers", "two_shapes: in an exit_world, but about something else than "
                            "forwarding: the smallest and the largest of them do")


def pytest_collection_modifyitems(items):
    """What has long to wait for is begun first, and awaited last."""
    few = [shape.values[0] for shape in SHAPES[::3]]
    items[:] = [item for item in items if item.get_closest_marker("two_shapes") is None
                or item.callspec.params.get("exit_world", few[0]) in few]
    items.sort(key=lambda item: (item.get_closest_marker("last") is not None,
                                 not {"long_run", "kernel_run"} & set(getattr(item, "fixturenames", ()))))
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="network namespaces need root"))


def needs_programs():
    if not have_programs():
        pytest.skip(f"the programs are not in {programs()}")


def log_folder(request):
    return LOGS / re.sub(r"[^A-Za-z0-9.-]+", "_", request.node.nodeid.removeprefix("test/e2e/"))


@pytest.fixture
def make_world(request):
    """A function that makes worlds for one test: make_world(make_config, workers=..., ...)."""
    needs_programs()
    made = []

    def make(make_config=configs.exit_node, start=True, **options):
        folder = log_folder(request)
        made.append(World(folder / str(len(made)), make_config, **options))
        request.node.worlds = made
        return made[-1].up(start)

    yield make
    for world in made:
        world.down()


@contextlib.contextmanager
def shared_world(request, make_config=configs.exit_node, **options):
    """For a fixture of a module's, one of whose SHAPES is the parameter: a world for all tests."""
    needs_programs()
    name = "-".join(map(str, [make_config.__name__, *request.param.values()]))
    world = World(log_folder(request) / name, make_config, **request.param, **options)
    request.node.worlds = getattr(request.node, "worlds", []) + [world]
    try:
        yield world.up()
    finally:
        world.down()


@pytest.fixture(scope="module", params=SHAPES)
def exit_world(request):
    """Two connected clients on an exit node; one for all tests of a module."""
    with shared_world(request) as world:
        yield world.connect()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """The ends of the programs' logs, their counters and those that have ended go below a failure."""
    report = (yield).get_result()
    if not report.failed:
        return
    worlds = getattr(item, "worlds", []) or getattr(item.getparent(pytest.Module), "worlds", [])
    for world in worlds[-1:]:
        if failed := world.lab.failed():
            report.sections.append(("ended by themselves", "\n".join(failed)))
        if world.gateway:
            report.sections.append(("logs", world.gateway.log_tails()))
            answer = world.gateway.cli("drops", check=False)
            report.sections.append(("drops", answer.stdout + answer.stderr))
