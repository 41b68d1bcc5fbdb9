"""Proves that every sentence people see has its Chinese, and that none is written into a page past the catalogue."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from dashboard.wording.catalogue import FOLDER, ROLES, done, shorter, shortest, translator
from dispatch.rules.incident.chain import STEPS
from dispatch.rules.law import ROLE_NAMES

ROOM = Path(__file__).resolve().parents[2] / "dashboard"
PAGES = sorted(path for path in ROOM.rglob("*.py"))
SCRIPTS = sorted(ROOM.glob("components/**/*.js"))
HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
LETTERS = re.compile(r"[A-Za-z]{3}")
# What shows its first argument, or the named one, to a person.
SHOWS = frozenset(
    {
        "title", "header", "subheader", "write", "caption", "text", "info", "warning", "error",
        "success", "toast", "button", "link_button", "download_button", "text_input", "text_area",
        "selectbox", "multiselect", "radio", "checkbox", "toggle", "slider", "select_slider",
        "number_input", "date_input", "file_uploader", "metric", "tabs", "expander", "popover",
        "segmented_control", "pills", "form_submit_button", "markdown", "badge"
    }
)  # fmt: skip
CAUSE_LETTERS = 11  # that the column of a wall's ranking has room for, with their count
TRANSLATES = frozenset({"_", "t", "empty"})
# Stand in Chinese on purpose: the way out for who cannot read the page, and what names are taken apart by.
OWN_NAMES = frozenset({"中文", "第", "微网格", "率"})


def paired(tree: ast.AST) -> set[int]:
    """Return the constants that stand in both languages side by side, as the answers of a route do."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple) and len(node.elts) == 2:
            parts = [part for part in ast.walk(node) if isinstance(part, ast.Constant)]
            if any(isinstance(part.value, str) and LETTERS.search(part.value) for part in parts):
                found.update(id(part) for part in parts)
    return found


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                yield function.id, node
            elif isinstance(function, ast.Attribute):
                yield function.attr, node


def literals(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an argument may come to, where it says so itself."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


def docstrings(tree: ast.AST) -> set[int]:
    return {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }


def asked(path: Path) -> set[str]:
    """Return the sentences that a module asks a catalogue for."""
    found: set[str] = set()
    for name, call in calls(ast.parse(path.read_text(encoding="utf-8"))):
        if name in TRANSLATES and call.args:
            found.update(literals(call.args[0]))
    return found


@cache
def translated() -> frozenset[str]:
    """Return the sentences of all catalogues."""
    found: set[str] = set()
    for path in (FOLDER / "zh").glob("*.po"):
        with path.open("rb") as file:
            found |= {str(message.id) for message in read_po(file) if message.string}
    return frozenset(found)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOM)))
def test_every_sentence_of_a_page_has_its_chinese(path: Path) -> None:
    assert not sorted(each for each in asked(path) - translated() if LETTERS.search(each))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOM)))
def test_no_page_holds_words_of_its_own(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = docstrings(tree) | paired(tree)
    written = [
        f"line {node.lineno}: {node.value[:40]!r}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and HAN.search(node.value)
        and id(node) not in told
        and node.value not in OWN_NAMES
        and not node.value.startswith("<!doctype")
    ]
    shown = [
        f"line {call.lineno}: {text[:40]!r}"
        for name, call in calls(tree)
        if name in SHOWS
        and isinstance(call.func, ast.Attribute)
        and call.args
        and not (isinstance(call.func.value, ast.Name) and call.func.value.id == "log")
        for text in literals(call.args[0])
        if LETTERS.search(re.sub(r"<[^>]+>|:[a-z-]+\[|https?://\S+", "", text))
    ]
    assert not written + shown


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.parent.name)
def test_no_component_holds_chinese_of_its_own(path: Path) -> None:
    code = re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not HAN.findall(code)


def test_every_role_has_its_chinese() -> None:
    assert not [word for word in ROLES.values() if translator("zh")(word) == word]


def test_a_sentence_is_translated_alike_wherever_it_stands() -> None:
    said: dict[tuple[str, str | None], set[str]] = defaultdict(set)
    for path in (FOLDER / "zh").glob("*.po"):
        with path.open("rb") as file:
            for message in read_po(file):
                if message.id:
                    said[str(message.id), message.context].add(str(message.string))
    assert not {key: texts for key, texts in said.items() if len(texts) > 1}


def test_a_translation_keeps_the_places_that_are_filled_in() -> None:
    def places(text: str) -> list[str]:
        return sorted(set(re.findall(r"\{(\w*)", text)))

    for path in (FOLDER / "zh").glob("*.po"):
        with path.open("rb") as file:
            wrong = [m.id for m in read_po(file) if m.id and places(str(m.id)) != places(str(m.string))]
        assert not wrong, path.name


def test_a_wall_has_a_short_wording_for_long_names_and_the_name_itself_for_others() -> None:
    assert shorter("en", "Illegal rural building") == "Rural building"
    assert shorter("en", "Gas leak") == "Gas leak"


def test_every_step_has_an_english_wording_for_when_it_is_taken() -> None:
    assert [step.en for step in STEPS.values() if done("en", step.en) == step.en] == []


def test_a_clock_past_its_limit_has_one_word_in_chinese() -> None:
    for path in (FOLDER / "zh").glob("*.po"):
        with path.open("rb") as file:
            said = [str(message.string).replace("超期待处置", "") for message in read_po(file)]
        assert not [text for text in said if "超期" in text], path.name


def test_a_role_is_called_as_the_law_calls_it() -> None:
    for role in ("grid_worker", "grid_head", "team", "dispatcher", "duty_leader", "leader"):
        assert translator("zh")(ROLES[role]) == ROLE_NAMES[role][0]


def test_what_a_town_was_late_with_has_a_wording_of_one_word_for_the_english_wall() -> None:
    lines = (ROOM.parent / "config" / "policy" / "themes.csv").read_text(encoding="utf-8").splitlines()
    words = [shortest("en", line.split(",")[2]) for line in lines[1:]]
    assert len(set(words)) == len(words) == 10
    assert max(map(len, words)) <= CAUSE_LETTERS, words
