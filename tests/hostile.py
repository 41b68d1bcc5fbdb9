"""A text that would take a page over if it were read as HTML, and what proves that it was not."""

from __future__ import annotations

from html.parser import HTMLParser

# An element, both quotes, and what is an entity already: it comes back as it was written, or somebody read it.
TEXT = "<script>alert('x')</script>\" onclick='x' &amp; <!--"
# What the house's own pages are made of, and nothing else.
_TAGS = frozenset(
    {
        "a", "b", "body", "br", "button", "circle", "code", "dd", "div", "dl", "dt", "em", "figcaption", "figure",
        "form", "h1", "h2", "head", "html", "i", "img", "input", "kbd", "label", "li", "main", "meta", "ol", "p",
        "path", "rect", "s", "script", "section", "small", "span", "style", "svg", "table", "tbody", "td", "text", "th",
        "thead", "time", "title", "tr", "u", "ul",
    }
)  # fmt: skip


class _Read(HTMLParser):
    """Reads HTML as a browser does, and keeps its texts, its values and what should not be there."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts = 0
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.faults += [] if tag in _TAGS else [f"<{tag}>"]
        self.faults += [f"{tag} {name}" for name, _ in attrs if name.startswith("on") or "'" in name]
        self.found += [value for _, value in attrs if value]

    def handle_data(self, data: str) -> None:
        # A script and a style sheet are no text of the page.
        if self.cdata_elem is None:
            self.found.append(data)

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"<!--{data}")


def faults(html: str, scripts: int = 0) -> list[str]:
    """Return what is wrong with a page in which `TEXT` stands: what was read as HTML, or that it is not there."""
    read = _Read()
    read.feed(html)
    read.close()
    found = read.faults + ([] if read.scripts == scripts else [f"{read.scripts} scripts"])
    whole = "".join(read.found)
    # Escaped twice, it would be shown with the entities of its first escaping.
    if "&lt;" in whole or "&quot;" in whole or "&amp;amp;" in whole:
        found.append("escaped twice")
    return found if TEXT in whole else [*found, "the text is not there"]
