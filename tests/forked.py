"""Begin processes that are forked from one which has read the house's code once for all of them."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCREENS = ROOT / "dashboard" / "screens"
# All that any test forks: the one that they are forked from begins with the first of them, whichever that is.
CODE = (
    "jobs.__main__",
    "tests.halfway",
    "dispatch.commands.run",
    "dashboard.__main__",
    *sorted(f"dashboard.screens.{path.stem}" for path in SCREENS.glob("[!_]*")),
)
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(list(CODE))


def dashboard_begun(environment: Mapping[str, str]) -> BaseProcess:
    """Begin what `python -m dashboard` does in an environment, in a process that ends with this one; return it."""
    return _begun(_dashboard, environment)


def dispatcher_begun(environment: Mapping[str, str]) -> BaseProcess:
    """Begin what `python -m dispatch run` does in an environment, in a process that ends with this one; return it."""
    return _begun(_dispatcher, environment)


def _begun(program: Callable[[dict[str, str]], None], environment: Mapping[str, str]) -> BaseProcess:
    process = PROCESSES.Process(target=program, args=(dict(environment),), daemon=True)
    process.start()
    return process


def _dashboard(environment: dict[str, str]) -> None:
    _stand(environment)
    sys.exit(importlib.import_module("dashboard.__main__").main())


def _dispatcher(environment: dict[str, str]) -> None:
    _stand(environment)
    sys.exit(importlib.import_module("dispatch.__main__").main(["run"]))


def _stand(environment: dict[str, str]) -> None:
    """Take the place of a program that was started by itself."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    del sys.argv[1:]
