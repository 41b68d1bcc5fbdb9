"""Find where the source breaks the house's own rules: sizes, rooms, names, and facts that have one place."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zoneinfo
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXCEPTIONS = Path(__file__).with_name("house_exceptions.toml")
MODULE_LINES = 500
SCREEN_LINES = 250
ENTRIES = {"dispatch": 15, "dashboard": 20}
CITY = ("dispatch", "models", "jobs", "dashboard")
SOURCE = (*CITY, "benchmarks")
EVERYTHING = (*SOURCE, "tests")
# A migration tells one change of the schema whole, is called by Alembic alone, and is never edited again.
MIGRATIONS = "models/migrations/versions/"
SCREENS = "dashboard/screens/"
CLOCKS = "dispatch/rules/time/"
# Says nothing of what a module knows, so everything ends up in it.
VAGUE = frozenset({"utils", "util", "helpers", "helper", "base_service"})
# The one place that writes HTML, and what others might escape it with.
MARKUP = "dashboard/markup.py"
ESCAPERS = frozenset({"html", "markupsafe", "xml"})
# No group of a regular expression: `(?P<name>`.
TAG = re.compile(r"(?<!\?P)</?(?:[A-Za-z][\w-]*(?=[\s/>])|[a-z][\w-]*$)|<!")
ENTITIES = frozenset({"&amp;", "&lt;", "&gt;", "&quot;"})
ZONE = re.compile(r"[A-Za-z_]+(?:/[A-Za-z0-9_+-]+)+")
WORD = re.compile(r"[A-Za-z_]\w*")
DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*\.?")
COMPLEXITY = re.compile(r"\((\d+) > \d+\)")

Found = dict[str, int]
Place = tuple[str, int]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Rule:
    """Say what a rule finds under a root, how to tell of one find, and what to do about it.

    `finds` returns a figure for every path (or `path::name`) that breaks the rule; where there is nothing to
    measure, the figure is 1. `states` is filled with `key` and `figure`.
    """

    finds: Callable[[Path], Found]
    states: str
    cure: str

    def problems(self, found: Mapping[str, int], listed: Mapping[str, int | str]) -> list[str]:
        """Return a sentence for each find that is not listed or has grown, and for each line that can shrink.

        What is listed by a reason has the figure 1.
        """
        told = []
        for key in sorted(found.keys() | listed.keys()):
            now, line = found.get(key, 0), listed.get(key, 0)
            then = line if isinstance(line, int) else 1
            text = self.states.format(key=key, figure=now)
            if not then:
                told.append(f"{text}: {self.cure}.")
            elif now > then:
                told.append(f"{text}, more than the {then} that are pardoned: {self.cure}.")
            elif not now:
                told.append(f"{key} keeps the rule now or is gone: drop its line from {EXCEPTIONS.name}.")
            elif now < then:
                told.append(f"{text}, fewer than the {then} pardoned: lower its line in {EXCEPTIONS.name}.")
        return told


def exceptions() -> dict[str, dict[str, int | str]]:
    """Read what is pardoned today: by rule, then by path or `path::name`, a figure or a reason."""
    return tomllib.loads(EXCEPTIONS.read_text())


def long_modules(root: Path) -> Found:
    """Return the lines of each module that has too many."""
    found = {}
    for path, text in _files(root, EVERYTHING):
        lines = len(text.splitlines())
        if not path.startswith(MIGRATIONS):
            if lines > (SCREEN_LINES if path.startswith(SCREENS) else MODULE_LINES):
                found[path] = lines
    return found


def complex_functions(root: Path) -> Found:
    """Return the complexity of each function that ruff finds too complex, whatever a comment in it asks for."""
    # What is too complex stands in pyproject.toml; it is not among ruff's own rules there, since ruff can pardon
    # a whole file or a line, and neither could only shrink.
    done = subprocess.run(
        [
            sys.executable, "-m", "ruff", "check", "--no-cache", "--quiet", "--ignore-noqa", "--select", "C901",
            "--config", str(ROOT / "pyproject.toml"), "--output-format", "json", ".",
        ],
        cwd=root, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if done.returncode > 1:
        raise RuntimeError(f"ruff did not answer: {done.stderr}")
    found: Found = {}
    for each in json.loads(done.stdout):
        file = Path(each["filename"])
        # Any other number is a fault in the file itself, which `ruff check` tells of.
        if (measured := COMPLEXITY.search(each["message"])) is not None:
            names = {node.lineno: name for name, node in _functions(ast.parse(file.read_text()))}
            key = f"{file.relative_to(root.resolve()).as_posix()}::{names[each['location']['row']]}"
            found[key] = max(found.get(key, 0), int(measured[1]))
    return found


def composed_html(root: Path) -> Found:
    """Count in each module what could let a text reach a browser unescaped, outside the one place that writes HTML.

    A text with a tag that is put together in any way, a template that is no plain text, another way to escape, and
    HTML handed to Streamlit or to a browser by anybody else.
    """
    found = {}
    for path, text in _files(root, SOURCE):
        if path != MARKUP and (count := sum(_writes_html(node) for node in _nodes(text))):
            found[path] = count
    return found


def zone_names(root: Path) -> Found:
    """Count in each module and each script the names of time zones, outside the room that knows time."""
    zones = _zones()
    found = {}
    for path, text in (*_files(root, SOURCE), *_files(root, SOURCE, ".js")):
        if path.startswith(CLOCKS) or zones.isdisjoint(ZONE.findall(text)):
            continue
        said = [(text, 1)] if path.endswith(".js") else _said(_nodes(text))
        if named := sum(word in zones for each, _ in said for word in ZONE.findall(each)):
            found[path] = named
    return found


def crowded_rooms(root: Path) -> Found:
    """Return how many entries each room has that has too many."""
    return {
        room: len(entries)
        for room, most in ENTRIES.items()
        if len(entries := list(_entries(root / room))) > most
    }


def hiding_names(root: Path) -> Found:
    """Return each entry of the dashboard that would hide a module of another when the folder is first on the path."""
    # What a file deeper down is called hides nothing: no folder but the dashboard itself ever comes first.
    taken = sys.stdlib_module_names | _installed() | set(EVERYTHING)
    room = root / "dashboard"
    return {
        f"dashboard/{entry.name}": 1
        for entry in _entries(room)
        if entry.stem in taken and (entry.suffix == ".py" or (entry / "__init__.py").is_file())
    }


def vague_names(root: Path) -> Found:
    """Return each module, script and folder whose name says nothing of what it knows."""
    return {
        path: 1
        for path, _ in (*_files(root, EVERYTHING), *_files(root, EVERYTHING, ".js"))
        if VAGUE & {Path(part).stem for part in path.split("/")}
    }


def uncalled(root: Path) -> Found:
    """Return each public function, class and method of the city's own code that nothing but tests can name.

    A function or class counts as called where its own module names it outside itself, or where another module
    names it that imports its module; a method where its name stands anywhere outside itself. Where a module
    looks things up by a name in a string, its strings count too. A table is called by its name in SQL.
    """
    modules = {
        path: _Module(path, text) for path, text in _files(root, SOURCE) if not path.startswith(MIGRATIONS)
    }
    named: dict[str, set[Place]] = defaultdict(set)
    spoken: dict[str, set[Place]] = defaultdict(set)
    for path, module in modules.items():
        for word, line in module.names:
            named[word].add((path, line))
        for text, line in module.said:
            for word in WORD.findall(text):
                spoken[word].add((path, line))
    found = {}
    for path, module in modules.items():
        for each in module.public if path.split("/")[0] in CITY else ():
            anywhere = bool(each.table) or "." in each.name
            if not any(
                line not in each.lines if where == path else anywhere or modules[where].knows(module.dotted)
                for where, line in (spoken[each.table] if each.table else named[each.name.split(".")[-1]])
            ):
                found[f"{path}::{each.name}"] = 1
    return found


RULES = {
    "lines": Rule(
        long_modules,
        "{key} has {figure} lines",
        f"part it by what it knows, at most {MODULE_LINES} lines a module and {SCREEN_LINES} a screen",
    ),
    "complexity": Rule(
        complex_functions,
        "{key} has a complexity of {figure}",
        "give its parts functions or a table of their own",
    ),
    "html": Rule(
        composed_html,
        "{key} writes HTML by itself in {figure} place(s)",
        f"let `markup` of {MARKUP} put it together, and `show` or `html_response` hand it out",
    ),
    "zones": Rule(
        zone_names,
        "{key} names a time zone {figure} time(s)",
        f"take the city's own zone from the policy in force; only {CLOCKS} may name one",
    ),
    "entries": Rule(
        crowded_rooms,
        "{key}/ has {figure} entries",
        "put what belongs together into a room of its own, "
        + " and ".join(f"at most {most} entries in {room}/" for room, most in ENTRIES.items()),
    ),
    "hiding": Rule(
        hiding_names,
        "{key} is named like a module of Python's, of a dependency's or of ours",
        "name it otherwise, since it would hide that one",
    ),
    "vague": Rule(vague_names, "{key} has a name that says nothing", "name it after what it knows"),
    "uncalled": Rule(
        uncalled,
        "{key} is public and nothing outside the tests calls it",
        f"remove it, begin its name with an underscore, or list it in {EXCEPTIONS.name} with the reason",
    ),
}


@dataclass(frozen=True)
class _Public:
    """What is defined for others: its qualified name, the lines it stands in, and the table that it may stand for."""

    name: str
    lines: range
    table: str


class _Module:
    """What one module defines, names, says and imports."""

    def __init__(self, path: str, text: str) -> None:
        self.dotted = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        nodes = _nodes(text)
        self.names: list[tuple[str, int]] = []
        self.public = list(_public(nodes[0]))
        self._imports: set[str] = set()
        for node in nodes:
            if isinstance(node, ast.Name):
                if isinstance(node.ctx, ast.Load):
                    self.names.append((node.id, node.lineno))
            elif isinstance(node, ast.Attribute):
                self.names.append((node.attr, node.lineno))
            elif isinstance(node, ast.Import | ast.ImportFrom):
                origin = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                self._imports |= {origin.removesuffix("."), *(origin + name.name for name in node.names)}
                # What is imported under its own name is read elsewhere in the module, or ruff would complain.
                self.names += [(name.name.split(".")[-1], node.lineno) for name in node.names if name.asname]
        self.said = _said(nodes)
        called = {word for word, _ in self.names}
        if called & {"import_module", "getattr"}:
            self.names += [(text, line) for text, line in self.said if WORD.fullmatch(text)]
        if "import_module" in called:
            # The text may be the beginning of a name, as in `import_module(f"dashboard.screens.{page}")`.
            self._imports |= {text.removesuffix(".") for text, _ in self.said if DOTTED.fullmatch(text)}

    def knows(self, dotted: str) -> bool:
        """Tell whether a module, a name of it, or a package that it lies in is imported here."""
        return any(
            each == dotted or each.startswith(f"{dotted}.") or ("." in each and dotted.startswith(f"{each}."))
            for each in self._imports
        )


@cache
def _zones() -> frozenset[str]:
    return frozenset(name for name in zoneinfo.available_timezones() if "/" in name)


@cache
def _installed() -> frozenset[str]:
    return frozenset(packages_distributions())


def _files(root: Path, rooms: tuple[str, ...], suffix: str = ".py") -> Iterator[tuple[str, str]]:
    """Yield the path below the root, and the text, of each file of ours, in order."""
    for room in rooms:
        for folder, within, files in os.walk(root / room):
            within[:] = sorted(name for name in within if not name.startswith((".", "__pycache__")))
            for name in sorted(files):
                if name.endswith(suffix) and not name.startswith("."):
                    path = Path(folder, name)
                    yield path.relative_to(root).as_posix(), path.read_text()


def _entries(room: Path) -> Iterator[Path]:
    """Yield the files and folders of a room, without the file that makes it a package and what Python leaves behind."""
    for entry in sorted(room.iterdir()) if room.is_dir() else ():
        if entry.name.startswith((".", "__pycache__")) or entry.name == "__init__.py":
            continue
        if entry.is_file() or any(
            path.is_file() and "__pycache__" not in path.parts for path in entry.rglob("*")
        ):
            yield entry


def _nodes(text: str) -> tuple[ast.AST, ...]:
    """Return every node of a module, itself first."""
    return tuple(ast.walk(ast.parse(text)))


def _public(tree: ast.AST, within: str = "") -> Iterator[_Public]:
    """Yield what a module defines for others: functions, classes and the methods of any class."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function | ast.ClassDef):
            if not node.name.startswith("_"):
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                yield _Public(within + node.name, lines, _table(node))
            if isinstance(node, ast.ClassDef):
                yield from _public(node, f"{within}{node.name}.")


def _functions(tree: ast.AST, within: str = "") -> Iterator[tuple[str, Function]]:
    """Yield each function and method, however deep, by its qualified name."""
    for node in ast.iter_child_nodes(tree):
        name = within
        if isinstance(node, Function | ast.ClassDef):
            name = f"{within}.{node.name}".removeprefix(".")
            if isinstance(node, Function):
                yield name, node
        yield from _functions(node, name)


def _said(nodes: tuple[ast.AST, ...]) -> list[tuple[str, int]]:
    """Return each text that stands in a module and its line, without docstrings."""
    docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return [
        (node.value, node.lineno)
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    ]


def _table(node: ast.AST) -> str:
    """Return the name of the table that a class stands for, or nothing where it is no table."""
    for part in node.body if isinstance(node, ast.ClassDef) else ():
        if isinstance(part, ast.Assign) and isinstance(part.value, ast.Constant):
            if any(isinstance(name, ast.Name) and name.id == "__tablename__" for name in part.targets):
                return str(part.value.value)
    return ""


def _writes_html(node: ast.AST) -> bool:
    """Tell whether a node composes HTML, escapes it or hands it out by itself."""
    match node:
        case ast.Import(names=names):
            return any(name.name.split(".")[0] in ESCAPERS for name in names)
        case ast.ImportFrom(module=module):
            return str(module).split(".")[0] in ESCAPERS
        case ast.Constant(value=str(text)):
            return text in ENTITIES
        case ast.JoinedStr(values=values):
            return any(_has_tag(value) for value in values)
        case ast.BinOp(op=ast.Add() | ast.Mod()):
            return _has_tag(node.left) or _has_tag(node.right)
        case ast.Call():
            return _calls_for_html(node)
    return False


def _calls_for_html(call: ast.Call) -> bool:
    """Tell whether a call shows or answers HTML, fills a form of it, or takes for escaped what nobody wrote as HTML."""
    if any(
        word.arg == "unsafe_allow_html" or (word.arg == "media_type" and _is_text(word.value, "text/html"))
        for word in call.keywords
    ):
        return True
    match call.func:
        case ast.Attribute(attr="html"):
            return True
        case ast.Attribute(attr="format" | "format_map" | "join" | "replace", value=form):
            return _has_tag(form) or any(_has_tag(each) for each in call.args)
        case ast.Attribute(attr="HTMLResponse") | ast.Name(id="HTMLResponse"):
            return True
        case ast.Attribute(attr="Markup" | "markup") | ast.Name(id="Markup" | "markup"):
            return not (len(call.args) == 1 and isinstance(call.args[0], ast.Constant))
    return False


def _has_tag(shown: ast.expr) -> bool:
    """Tell whether a text that stands in the source has a tag of HTML in it, or the beginning of one."""
    return (
        isinstance(shown, ast.Constant)
        and isinstance(shown.value, str)
        and TAG.search(shown.value) is not None
    )


def _is_text(shown: ast.expr, text: str) -> bool:
    return isinstance(shown, ast.Constant) and shown.value == text
