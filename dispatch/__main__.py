"""Answers `python -m dispatch COMMAND`: one line here a command, imported only when it is the one called."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import NamedTuple


class Command(NamedTuple):
    """Name a subcommand and the module that offers `add_arguments(parser)` and `run(args) -> int` for it."""

    name: str
    help: str
    module: str


COMMANDS = (
    Command(
        "up",
        "start the servers and everything else, and keep it running (what `make run` does)",
        "dispatch.commands.up",
    ),
    Command("history", "give the demo city its year of history", "dispatch.commands.history"),
    Command("life", "let the demo city live: invented people report and act", "dispatch.commands.life"),
    Command(
        "run",
        "dispatch: take messages from the stream to the Desk, until stopped",
        "dispatch.commands.run",
    ),
    Command(
        "replay",
        "send a CSV of a city's past requests through the stream and compare verdicts",
        "dispatch.commands.replay",
    ),
    Command("dead-letters", "list, show, mend and replay refused messages", "dispatch.commands.dead_letters"),
    Command("audit", "verify that every event is as it was written", "dispatch.commands.audit"),
    Command("chain", "draw the chain of an incident from its table, as Markdown", "dispatch.commands.chain"),
    Command("wartime", "declare and end wartime over an area, and list it", "dispatch.commands.wartime"),
    Command(
        "briefing",
        "write the briefing of an area for a day, a week or a month: Excel, Word or PDF",
        "dispatch.commands.briefing",
    ),
    Command("policy", "check, compare, try out and publish the city's policy", "dispatch.commands.policy"),
    Command(
        "accounts", "add, list, shut and open accounts, set passwords and roles", "dispatch.commands.accounts"
    ),
    Command("wall-key", "make, list and revoke the keys of walls", "dispatch.commands.keys"),
    Command("api-key", "make, list and revoke the keys of sources", "dispatch.commands.keys"),
    Command("migrate", "bring the database to the newest schema", "dispatch.commands.migrate"),
)


def main(arguments: list[str]) -> int:
    """Run the command that `arguments` begin with; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m dispatch", description="Run a part of Gridwhistle.")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    modules = {}
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.help, description=command.help)
        if command.name in arguments[:1]:
            modules[command.name] = importlib.import_module(command.module)
            modules[command.name].add_arguments(subparser)
    args = parser.parse_args(arguments)
    return int(modules[args.command].run(args))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
