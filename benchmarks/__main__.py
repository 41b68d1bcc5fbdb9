"""Answer `python -m benchmarks NAME [--json]`: measure one thing with servers of its own and leave nothing behind."""

from __future__ import annotations

import argparse
import importlib
import sys

BENCHMARKS = {
    "pipeline": "40,000 incidents from the stream to rows, against reading and copying alone",
    "steps": "single steps through the pages' door by 1 and by 8 callers, against bare SQL of the same rows",
    "clocks": "find and act on what is due among 50,000 open incidents, against raw SQL that finds it",
    "growth": "pipeline, pages, sweep and roll-up with 2,000,000 incidents of history against eight days",
    "pages": "each page's server time over 1,000,000 incidents of history, beside its SQL",
    "start": "cold start to the first live wall of the demo city",
    "screens": "live command screens at 50 incidents a second",
    "latency": "from the stream to a subscribed screen at 50 incidents a second",
    "soak": "browser and server memory over simulated hours of open walls",
    "assignment": "500 waiting incidents and 300 teams, decided together",
}


def main(arguments: list[str]) -> int:
    """Run the benchmark that `arguments` name; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure how fast the house is, as ratios in one run."
    )
    names = parser.add_subparsers(dest="name", metavar="NAME", required=True)
    modules = {}
    for name, help_text in BENCHMARKS.items():
        one = names.add_parser(name, help=help_text, description=help_text)
        one.add_argument("--json", action="store_true", help="print one JSON object on the last line")
        if name in arguments[:1]:
            modules[name] = importlib.import_module(f"benchmarks.{name}")
            modules[name].add_arguments(one)
    args = parser.parse_args(arguments)
    return int(modules[args.name].run(args))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
