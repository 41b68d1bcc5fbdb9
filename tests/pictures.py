"""Take the guide's pictures of every page from a running demo city: `python -m tests.pictures`."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from dispatch.accounts.sessions import DEMO_PASSWORD

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
)  # fmt: skip
DESK, PHONE, WALL = (1440, 900), (390, 844), (1920, 1080)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its name, who is signed in (empty for nobody), the page, the screen, and how long it settles."""

    name: str
    login: str
    path: str
    size: tuple[int, int] = DESK
    wait_ms: int = 6_000
    keys: tuple[str, ...] = ()  # pressed once the page stands


PICTURES = (
    Picture("login", "", "/login", PHONE, 500),
    Picture("start", "dispatcher", "/"),
    Picture("wall", "", "/wall?area=445300&embed=true", WALL, 9_000),
    Picture("wall-town", "", "/wall?area=445302001&embed=true", WALL, 9_000),
    Picture("workbench", "dispatcher", "/workbench", (1920, 1080), 6_000, ("ArrowDown",) * 3),
    Picture("field", "team", "/field", PHONE),
    Picture("field-worker", "worker", "/field", PHONE),
    Picture("public", "resident", "/public", PHONE),
    Picture("whistles", "duty", "/whistles"),
    Picture("leaders", "leader", "/leaders", DESK, 9_000),
    Picture("assessment", "team", "/assessment", DESK, 9_000),
    Picture("incidents", "dispatcher", "/incidents"),
    Picture("replay", "leader", "/replay"),
    Picture("wartime", "city", "/wartime"),
    Picture("admin", "admin", "/admin"),
)


def main(arguments: list[str]) -> int:
    """Take the pictures and write them to `docs/images`; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.pictures", description=__doc__)
    parser.add_argument(
        "--address", default="http://localhost:8501", help="of the house (default: %(default)s)"
    )
    parser.add_argument("--only", nargs="*", default=[], help="names of the pictures to take (default: all)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder (default: docs/images)")
    args = parser.parse_args(arguments)
    unknown = sorted(set(args.only) - {each.name for each in PICTURES})
    if unknown:
        print(f"--only: there is no picture {', '.join(unknown)}", file=sys.stderr)
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        for each in PICTURES:
            if not args.only or each.name in args.only:
                for lang in ("zh", "en"):
                    _take(browser, args.address, each, lang, args.out)
        browser.close()
    return 0


def _take(browser: Browser, address: str, picture: Picture, lang: str, out: Path) -> None:
    """Take one picture; the Chinese one has the plain name, the English one `-en`."""
    width, height = picture.size
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    if picture.login:
        page.goto(f"{address}/login?lang={lang}")
        page.fill("#login", picture.login)
        page.fill("#password", DEMO_PASSWORD)
        page.click("button.go")
    query = "&" if "?" in picture.path else "?"
    page.goto(f"{address}{picture.path}{query}lang={lang}")
    page.wait_for_timeout(picture.wait_ms)
    for key in picture.keys:
        page.keyboard.press(key)
        page.wait_for_timeout(picture.wait_ms)
    name = picture.name if lang == "zh" else f"{picture.name}-en"
    page.screenshot(path=out / f"{name}.png")
    context.close()
    print(name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
