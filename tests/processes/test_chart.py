"""The drawn chain is the table's: whole, in both languages, and never stale."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dispatch.__main__ import main
from dispatch.ops.chart import ROLES, markdown
from dispatch.rules.law import STATES, STEPS

DRAWN = Path(__file__).parents[2] / "docs" / "chain.md"


def test_the_drawn_chain_is_not_stale() -> None:
    """Run `python -m dispatch chain --write docs/chain.md` after changing the law."""
    assert DRAWN.read_text("utf-8") == markdown()


def test_every_step_stands_under_every_state_it_begins_from() -> None:
    """And under no other."""
    for section in re.split(r"\n## ", markdown())[1:]:
        found = re.search(r"\(`(\w+)`\)\n", section)
        if found and found[1] in STATES:
            shown = set(re.findall(r"\(`(\w+)`\) \|", section))
            assert shown == {verb for verb, step in STEPS.items() if found[1] in step.sources}


def test_every_role_of_the_law_has_a_name_in_both_languages() -> None:
    """A role without a name would vanish from the tables."""
    assert {role for step in STEPS.values() for role in step.roles} == ROLES.keys()


def test_the_diagram_names_only_states_there_are() -> None:
    """Each arrow joins two of them, or the begin or end."""
    arrows = re.findall(r"^    (\S+) --> (\S+?)(?::|$)", markdown(), re.MULTILINE)
    assert len(arrows) > 20
    assert {name for arrow in arrows for name in arrow} == STATES.keys() | {"[*]"}
    assert len(set(re.findall(r"^    \S+ --> .*$", markdown(), re.MULTILINE))) == len(arrows)


def test_the_command_writes_a_file_or_the_screen_and_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that is not there is a sentence, not a traceback."""
    assert main(["chain", "--write", str(tmp_path / "chain.md")]) == 0
    assert (tmp_path / "chain.md").read_text("utf-8") == markdown()
    assert main(["chain"]) == 0
    assert capsys.readouterr().out == markdown()
    assert main(["chain", "--write", str(tmp_path / "no" / "chain.md")]) == 1
    assert "No such file" in capsys.readouterr().err
