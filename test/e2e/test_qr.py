# SPDX-License-Identifier: BSD-3-Clause
"""The QR code on the terminal, as a camera sees it: drawn as an image and read by zbarimg."""
import re
import shutil

import pytest
from bare import Bare, start_control
from conftest import log_folder
from lablib.netns import run

SCALE = 6  # pixels of a module
# What a cell of a terminal with light text on dark ground shows: its upper and its lower half.
BLOCKS = {"\u2588": (1, 1), "\u2580": (1, 0), "\u2584": (0, 1), " ": (0, 0)}
LEFT_OUT = re.compile(r"(?m)^(#.*|(PreUp|PreDown|PostUp|PostDown|Table|FwMark)\b.*|)\n")


@pytest.fixture(scope="module")
def gateway(request):
    bare = Bare(log_folder(request))
    request.node.worlds = [bare]
    try:
        gateway = start_control(bare.up(), ["anna"])
        gateway.key = bare.path("anna.key")
        gateway.key.touch(mode=0o600)
        gateway.key.write_text(run(["wg", "genkey"]).stdout)
        yield gateway
    finally:
        bare.down()


def modules_of(text):
    """Rows of modules, 1 = light."""
    rows = []
    for line in text.splitlines():
        if set(line) <= set(BLOCKS):
            cells = [BLOCKS[c] for c in line]
            rows += [[upper for upper, _ in cells], [lower for _, lower in cells]]
        else:
            assert set(line) <= {"#", " "}
            rows.append([int(c == "#") for c in line[::2]])
    return rows


def write_image(rows, path):
    """As a portable bitmap (1 is black there), on the terminal's dark ground."""
    width = (len(rows[0]) + 8) * SCALE
    dark = [[0] * (len(rows[0]) + 8)] * 4
    lines = [row for module in [*dark, *([0] * 4 + r + [0] * 4 for r in rows), *dark]
             for row in [[1 - m for m in module for _ in range(SCALE)]] * SCALE]
    assert {len(line) for line in lines} == {width}
    path.write_text(f"P1\n{width} {len(lines)}\n" + "\n".join(" ".join(map(str, line))
                                                              for line in lines) + "\n")


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
@pytest.mark.parametrize("options", [[], ["--full"]], ids=["halves", "full"])
def test_a_camera_reads_the_configuration(gateway, locale, options, tmp_path):
    """All of the file that WireGuard for telephones takes, and nothing else."""
    if shutil.which("zbarimg") is None:
        pytest.skip("no zbarimg: scripts/setup.sh")
    command = gateway.cli_command("peer", "export", "anna", "--private-key-file", gateway.key,
                                  "--endpoint", "[2001:db8::1]:51820", *options)
    text = run(command, env=gateway.lab.env()).stdout
    drawn = run([*command, "--qr"], env=gateway.lab.env(LC_ALL=locale)).stdout
    image = tmp_path / "code.pbm"
    write_image(modules_of(drawn), image)
    read = run(["zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", image]).stdout
    expected = LEFT_OUT.sub("", text)
    assert gateway.key.read_text().strip() in expected
    assert read.rstrip("\n") == expected.rstrip("\n")
