"""Proves that every SQL text asks for facts that exist: the names of `dispatch.rules.incident.facts` and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from dispatch.rules.incident.facts import Facts, PartFacts
from tests.house import ROOT

ROOMS = ("dispatch", "models", "jobs", "dashboard", "benchmarks", "tests")
# `i.facts -> 'appeal' ->> 'granted'`, `data->'facts'->>'level'`, `facts ? 'rating'`, `facts || '{"imported": true}'`.
ASKED = re.compile(r"""(?:\b(\w+)\.)?\bfacts'?\s*((?:(?:->>?|\?)\s*'\w+'\s*)+)""")
NAMES = re.compile(r"'(\w+)'")
PUT = re.compile(r"""(?:\b(\w+)\.)?\bfacts\s*(?:\|\||@>)\s*'\{([^}]*)""")
KEYS = re.compile(r'"(\w+)"\s*:')
OF_A_PART = frozenset({"a", "p"})  # what SQL texts call the table of assignments


def paths(text: str) -> Iterator[tuple[type, tuple[str, ...]]]:
    """Return what a SQL text asks of facts: of an incident's or of an assignment's, and the names from outside in."""
    for alias, names in ASKED.findall(text):
        yield PartFacts if alias in OF_A_PART else Facts, tuple(NAMES.findall(names))
    for alias, given in PUT.findall(text):
        for name in KEYS.findall(given):
            yield PartFacts if alias in OF_A_PART else Facts, (name,)


def unknown(kind: Any, names: tuple[str, ...]) -> str | None:
    """Return the first name that a type has not, or None where it has them all; lists and texts have no names."""
    for name in names:
        hints: Mapping[str, Any] = get_type_hints(kind) if is_typeddict(kind) else {}
        if name not in hints:
            return name
        kind = hints[name]
        if get_origin(kind) is not list:
            kind = next((each for each in get_args(kind) if is_typeddict(each)), kind)
    return None


def texts(source: str) -> Iterator[str]:
    """Return the texts of a module, what is put together from pieces with a blank for each value put in."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            # Only what is said across two pieces is new here.
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "i" for p in node.values)


def test_every_sql_text_asks_for_facts_that_exist() -> None:
    """A fact that nothing states is never found, and PostgreSQL says nothing about it."""
    asked = 0
    wrong = []
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            source = file.read_text()
            if "facts" not in source or file.samefile(__file__):
                continue
            for text in texts(source):
                for kind, names in paths(text):
                    asked += 1
                    if (name := unknown(kind, names)) is not None:
                        wrong.append(f"{file.relative_to(ROOT)}: {kind.__name__} has no {name!r} in {names}")
    assert not wrong, "\n".join(["", *sorted(set(wrong))])
    assert asked > 40


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("select facts ->> 'reporter' from incident", None),
        ("select facts->>'repoter' from incident", "repoter"),
        ("select 1 from incident i where i.facts ? 'supervised'", "supervised"),
        ("select (e.data->'facts'->>'levle')::int from event e", "levle"),
        ("select i.facts -> 'appeal' ->> 'granted' from incident i", None),
        ("select i.facts -> 'appeal' ->> 'grantd' from incident i", "grantd"),
        ("select a.facts ->> 'whistle_kind' from assignment a", None),
        ("select i.facts ->> 'whistle_kind' from incident i", "whistle_kind"),
        ("update incident set facts = facts || '{\"importd\": true}'", "importd"),
    ],
)
def test_a_name_that_no_fact_has_is_found(text: str, name: str | None) -> None:
    """Misspelt, of the other table, one floor down, or put in."""
    found = [unknown(kind, names) for kind, names in paths(text)]
    assert found == [name]


def test_a_text_in_pieces_is_read_as_one() -> None:
    """The alias of a table may be put into a text."""
    asked = [path for text in texts("f\"{row}.facts ->> 'reporter' = %s\"") for path in paths(text)]
    assert (Facts, ("reporter",)) in asked
