"""Run a program or a job in a process of its own, which a test kills when it is half done."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.forked import PROCESSES

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


def job_begun(words: list[str], environment: Mapping[str, str]) -> BaseProcess:
    """Begin what `python -m jobs` does with these words in a process of its own; return it."""
    process = PROCESSES.Process(target=_jobs, args=(words, dict(environment)))
    process.start()
    return process


def _jobs(words: list[str], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    sys.exit(importlib.import_module("jobs.__main__").main(words))
