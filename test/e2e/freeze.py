# SPDX-License-Identifier: BSD-3-Clause
"""One thread of a process stands still while the others go on: what is shown with it does not
depend on how fast that thread is."""
import contextlib
import ctypes
import os
from pathlib import Path

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # <linux/ptrace.h>
WALL = 0x40000000  # <linux/wait.h>: threads, too


def _ptrace(request, thread):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(ctypes.c_long(request), ctypes.c_long(thread), None, None) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), f"ptrace {request:#x}")


def thread_of(pid, name):
    """The one thread of a process that is called so."""
    found = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()
             if (task / "comm").read_text().strip() == name]
    assert len(found) == 1, (name, found)
    return found[0]


@contextlib.contextmanager
def frozen(pid, name):
    """Should this process end first, the kernel lets the thread go."""
    thread = thread_of(pid, name)
    _ptrace(SEIZE, thread)
    try:
        _ptrace(INTERRUPT, thread)
        os.waitpid(thread, WALL)
        yield
    finally:
        _ptrace(DETACH, thread)
