"""Run a program of its own up to the point where it says that it is half done, and kill it there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 180.0
# What a program calls at its half: it says so and holds still until it is killed, however fast or slow the machine is.
HALT = "import time\ndef halt():\n    print('half', flush=True)\n    time.sleep(3_600)\n"


def killed_halfway(program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
    """Run Python's `program`, in which `halt()` holds it still, and kill it in that moment."""
    child = subprocess.Popen(
        [sys.executable, "-c", HALT + program, *arguments],
        cwd=ROOT,
        env=os.environ | dict(environment or {}),
        stdout=subprocess.PIPE,
    )
    overdue = threading.Timer(PATIENCE_S, child.kill)
    overdue.start()
    try:
        assert child.stdout is not None
        with child.stdout as said:
            assert "half\n" in (line.decode() for line in said), (
                "the program ended before it came to its half"
            )
    finally:
        overdue.cancel()
        child.kill()
        child.wait()
