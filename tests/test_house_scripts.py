"""The scripts of the browser: their own tests, what their checks refuse, and the types of what they are sent."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dashboard.components import COMPONENTS, script
from dashboard.live import declarations

ROOT = Path(__file__).resolve().parents[1]
DENO = shutil.which("deno", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
ENTRIES = sorted(
    str(path.relative_to(COMPONENTS))
    for path in COMPONENTS.glob("*/*.js")
    if path.stem in (path.parent.name, "alone")
)
LONGEST = 500  # lines of a script
# Longer than that today; the list may only shrink.
LONGER = {"workbench/queue.js": 680, "wall/telling.js": 560}

needs_deno = pytest.mark.skipif(
    DENO is None, reason="deno is not installed: pip install -r requirements-dev.txt"
)


def deno(*words: str, where: Path = ROOT, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    assert DENO is not None
    # Beside the environment, as `make check` has it: what was checked once is not checked anew.
    kept = cache or Path(sys.prefix) / ".deno"
    environment = os.environ | {"DENO_NO_UPDATE_CHECK": "1", "DENO_DIR": str(kept), "NO_COLOR": "1"}
    return subprocess.run(
        [DENO, *words], cwd=where, env=environment, capture_output=True, text=True, timeout=300
    )


@needs_deno
def test_the_scripts_own_tests_pass() -> None:
    ran = deno("test", "--no-check", "tests/scripts")
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    assert "passed" in ran.stdout


@needs_deno
@pytest.mark.parametrize("entry", ENTRIES)
def test_a_component_is_one_script_in_which_no_name_stands_twice(entry: str, tmp_path: Path) -> None:
    joined = tmp_path / "joined.js"
    joined.write_text(script(entry), encoding="utf-8")
    read = deno(
        "eval",
        f"new Function(Deno.readTextFileSync({str(joined)!r}).replace(/^export default /m, 'return '))",
    )
    assert read.returncode == 0, read.stderr[-2000:]


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_a_component_imports_is_in_its_script_once(entry: str) -> None:
    joined = script(entry)
    assert re.findall(r"^import |^export (?!default )", joined, re.MULTILINE) == []
    assert joined.count("class Markup {") <= 1


PLANTED = {
    "el.innerHTML = text;": "house/put-markup",
    "el.innerHTML += text;": "house/put-markup",
    'el["outerHTML"] = text;': "house/put-markup",
    'el.insertAdjacentHTML("beforeend", text);': "house/put-markup",
    "document.write(text);": "house/put-markup",
    "Object.assign(el, { innerHTML: text });": "house/put-markup",
    "put(el, `<b>${text}</b>`);": "house/tagged-markup",
    'put(el, "<b>" + text);': "house/tagged-markup",
    "put(el, new Markup(text));": "house/made-markup",
    'import { fromServer } from "../shared/markup.js";\nput(el, fromServer(text));': "house/made-markup",
}


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Return a copy of the scripts, with the checks that stand over them, to plant something in."""
    shutil.copytree(COMPONENTS, tmp_path / "dashboard" / "components")
    shutil.copytree(ROOT / "tests" / "scripts", tmp_path / "tests" / "scripts")
    shutil.copy(ROOT / "deno.json", tmp_path / "deno.json")
    return tmp_path / "dashboard" / "components" / "account"


@needs_deno
def test_unescaped_text_in_a_script_is_refused(planted: Path) -> None:
    for number, code in enumerate(PLANTED):
        (planted / f"planted{number}.js").write_text(f"{code}\n", encoding="utf-8")
    told = deno("lint", where=planted.parents[2])
    assert told.returncode == 1
    parts = told.stderr.split("error[")
    for number, (code, rule) in enumerate(PLANTED.items()):
        found = [part.partition("]")[0] for part in parts if f"planted{number}.js" in part]
        assert rule in found, f"{code}: {found}"


@needs_deno
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("put(host, `a ${data.name}`);", "not assignable to parameter of type"),
        ("data.names;", "does not exist on type"),
        ("markup`${{}}`;", "not assignable to parameter of type"),
    ],
)
def test_a_fault_of_types_in_a_script_is_refused(planted: Path, line: str, reason: str) -> None:
    file = planted / "account.js"
    code = file.read_text(encoding="utf-8")
    begun = "  const { words, lang, other } = data;\n"
    assert begun in code
    file.write_text(code.replace(begun, f"{begun}  {line}\n"), encoding="utf-8")
    told = deno("check", "dashboard/components/account/account.js", where=planted.parents[2])
    assert told.returncode == 1
    assert reason in told.stderr


def test_the_scripts_know_each_message_as_the_server_sends_it() -> None:
    written = declarations.FILE.read_text(encoding="utf-8")
    assert written == declarations.declarations(), "run python -m dashboard.live.declarations --write"


@pytest.mark.parametrize(
    "path", sorted(COMPONENTS.rglob("*.js")), ids=lambda path: str(path.relative_to(COMPONENTS))
)
def test_a_script_is_short_and_names_no_zone(path: Path) -> None:
    text, name = path.read_text(encoding="utf-8"), str(path.relative_to(COMPONENTS))
    assert len(text.splitlines()) <= LONGER.get(name, LONGEST)
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("*", "//", "/*")))
    assert "Asia/" not in code
    assert max(map(len, text.splitlines())) <= 122
