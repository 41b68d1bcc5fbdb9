"""Begin processes that are forked from one which has read the house's code once for all of them."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCREENS = ROOT / "dashboard" / "screens"
# All that any test forks: the one that they are forked from begins with the first of them, whichever that is.
CODE = (
    "jobs.__main__",
    "tests.halfway",
    "dashboard.__main__",
    *sorted(f"dashboard.screens.{path.stem}" for path in SCREENS.glob("[!_]*")),
)
READY = multiprocessing.get_context("forkserver")
READY.set_forkserver_preload(list(CODE))


def dashboard_begun(environment: Mapping[str, str]) -> BaseProcess:
    """Begin what `python -m dashboard` does in an environment, in a process that ends with this one; return it."""
    process = READY.Process(target=_dashboard, args=(dict(environment),), daemon=True)
    process.start()
    return process


def _dashboard(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    sys.argv = ["dashboard"]
    sys.exit(importlib.import_module("dashboard.__main__").main())
