"""Declare what runs in the browser: a folder of `dashboard/components`, its scripts joined into one, its style sheet.

Scripts are ES modules that import one another by `import { name } from "./other.js"`, so that they can be checked and
tested as they are; a component, and the page that a phone keeps, get them as one script without imports.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.markup import markup
from dashboard.wording.catalogue import translator

COMPONENTS = Path(__file__).resolve().parent
_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.{1,2}/[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:const|let|class|function)\b)", re.MULTILINE)
_SELECTOR = re.compile(r":--(st-[a-z-]+)")
_SENTENCE = re.compile(r"""\b(?:t|empty)\(\s*"((?:[^"\\]|\\.)*)"|one\("([^"]+)\"""")


@cache
def component(folder: str, host: str = "gw-host", style: bool = True) -> Any:
    """Declare the Streamlit component of a folder: `folder/folder.js` and, unless not wanted, `folder/folder.css`.

    `host` is the class of the element that the script finds in its place.
    """
    return st.components.v2.component(
        f"gridwhistle_{folder}",
        html=markup('<div class="{host}"></div>', host=host),
        css=sheet(f"{folder}/{folder}.css") if style else None,
        js=script(f"{folder}/{folder}.js"),
        isolate_styles=False,
    )


@cache
def script(entry: str) -> str:
    """Return a script of `dashboard/components` and all that it imports as one, each module once, what is used first.

    ValueError: an import is written in another way. A name that two of the modules give is a fault of the script.
    """
    parts: dict[Path, str] = {}
    first = COMPONENTS / entry
    _gather(first, parts)
    joined = "\n".join(
        _EXPORT.sub("", text if path == first else text.replace("export default ", "void "))
        for path, text in parts.items()
    )
    if re.search(r"^import ", joined, re.MULTILINE):
        raise ValueError(f'{entry}: expected imports as in import {{ name }} from "./other.js"')
    return joined


def _gather(path: Path, parts: dict[Path, str]) -> None:
    if path in parts:
        return
    text = path.read_text(encoding="utf-8")
    parts[path] = ""  # modules that need one another: each comes once
    for other in _IMPORT.findall(text):
        _gather((path.parent / other).resolve(), parts)
    del parts[path]
    parts[path] = _IMPORT.sub("", text)


@cache
def sheet(path: str) -> str:
    """Return a style sheet of `dashboard/components`, the names of Streamlit's own markup filled in.

    KeyError: a name that `shared/streamlit.css` does not have.
    """
    known = streamlit_selectors()
    text = (COMPONENTS / path).read_text(encoding="utf-8")
    return _SELECTOR.sub(lambda found: known[found[1]], text)


@cache
def streamlit_selectors() -> dict[str, str]:
    """Return the selectors of Streamlit's own markup by the names that `shared/streamlit.css` gives them."""
    text = (COMPONENTS / "shared" / "streamlit.css").read_text(encoding="utf-8")
    return dict(re.findall(r"^@custom-selector :--([a-z-]+) (.+);$", text, re.MULTILINE))


@cache
def words(folder: str, lang: str) -> dict[str, str]:
    """Return every sentence that a component's script says, translated."""
    return {sentence: translator(lang)(sentence) for sentence in sentences(folder)}


def sentences(folder: str) -> list[str]:
    """Return the sentences of a component's script, in English: what it hands to `t`, and the gravities."""
    found = {(a or b).replace('\\"', '"') for a, b in _SENTENCE.findall(script(f"{folder}/{folder}.js"))}
    return sorted(found | set(SEVERITIES))


# By number in the data, so that no script says them by name.
SEVERITIES = ("extreme", "urgent", "pressing", "ordinary")
