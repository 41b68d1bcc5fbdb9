"""Proves that the source keeps the house's rules but for a list that can only shrink, and that each can fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import house
from tests.house import MODULE_LINES, ROOT, RULES, SCREEN_LINES, Found, Rule

Plant = Callable[[dict[str, str]], Path]

LIST = house.EXCEPTIONS.name

IFS = "".join(f"    if n == {at}:\n        return {at}\n" for at in range(12))
THIRTEEN = f"def many(n: int) -> int:\n{IFS}    return 0\n"
TWELVE = THIRTEEN.replace("    if n == 0:\n        return 0\n", "", 1)


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Return a way to write a small tree of source: `plant({"dashboard/a.py": text})` returns its root."""

    def grown(files: dict[str, str]) -> Path:
        for path, text in files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return grown


@pytest.mark.parametrize("name", RULES)
def test_the_source_keeps_each_rule_but_for_what_is_listed(name: str) -> None:
    """Whatever breaks a rule is listed with its figure, and nothing is listed that could shrink."""
    problems = RULES[name].problems(RULES[name].finds(ROOT), house.exceptions().get(name, {}))
    assert not problems, "\n".join(["", *problems])


def test_what_is_listed_is_listed_under_a_rule() -> None:
    """A section that no rule reads would pardon nothing and look as if it did."""
    assert house.exceptions().keys() <= RULES.keys()


def test_a_pardon_without_a_figure_gives_its_reason() -> None:
    """Where nothing is measured, the line says why it stands there."""
    reasons = house.exceptions()["uncalled"].values()
    assert all(isinstance(reason, str) and len(reason.split()) > 2 for reason in reasons)


def test_no_html_is_pardoned() -> None:
    """What reaches a browser is written in one place, so nothing of the kind is ever listed again."""
    assert "html" not in house.exceptions()


@pytest.mark.parametrize(
    ("found", "listed", "said"),
    [
        ({"a.py": 7}, {}, "a.py has 7 lines: part it."),
        ({"a.py": 7}, {"a.py": 6}, "a.py has 7 lines, more than the 6 that are pardoned: part it."),
        ({"a.py": 6}, {"a.py": 7}, f"a.py has 6 lines, fewer than the 7 pardoned: lower its line in {LIST}."),
        ({}, {"a.py": 7}, f"a.py keeps the rule now or is gone: drop its line from {LIST}."),
    ],
)  # fmt: skip
def test_the_list_can_only_shrink(found: Found, listed: Found, said: str) -> None:
    """A new find, a grown one, a smaller one and one that is gone each say in a sentence what to do."""
    rule = Rule(lambda root: {}, "{key} has {figure} lines", "part it")
    assert rule.problems(found, listed) == [said]
    assert rule.problems(found, found) == []


def test_a_long_module_and_a_long_screen_are_found(plant: Plant) -> None:
    """Modules, tests and benchmarks have one limit and screens a smaller one; a migration has none."""
    root = plant(
        {
            "dispatch/long.py": "x = 1\n" * 600,
            "dispatch/full.py": "x = 1\n" * MODULE_LINES,
            "tests/rules/test_long.py": "x = 1\n" * (MODULE_LINES + 1),
            "benchmarks/long.py": "x = 1\n" * 501,
            "dashboard/screens/admin/long.py": "x = 1\n" * (SCREEN_LINES + 1),
            "dashboard/screens/full.py": "x = 1\n" * SCREEN_LINES,
            "models/migrations/versions/0001_long.py": "x = 1\n" * 600,
            "dispatch/__pycache__/long.py": "x = 1\n" * 600,
        }
    )
    assert RULES["lines"].finds(root) == {
        "dispatch/long.py": 600,
        "tests/rules/test_long.py": 501,
        "benchmarks/long.py": 501,
        "dashboard/screens/admin/long.py": 251,
    }


def test_a_complexity_of_thirteen_is_found_under_the_name_of_its_function(plant: Plant) -> None:
    """Twelve is kept; thirteen is found in a method too, and in spite of a comment that asks ruff to look away."""
    method = "class Desk:\n" + "".join(f"    {line}\n" for line in THIRTEEN.splitlines())
    root = plant(
        {
            "jobs/twelve.py": TWELVE,
            "jobs/thirteen.py": THIRTEEN.replace("int:\n", "int:  # noqa: C901\n", 1),
            "dispatch/desk/desk.py": method.replace("    def", "    @staticmethod\n    def"),
        }
    )
    assert RULES["complexity"].finds(root) == {
        "jobs/thirteen.py::many": 13,
        "dispatch/desk/desk.py::Desk.many": 13,
    }


@pytest.mark.parametrize(
    "line",
    [
        'st.html(f"<b>{name}</b>")',
        'st.html("<hr>")',
        "column.html(body=shown)",
        'st.markdown(shown, unsafe_allow_html=True)',
        'return f"<b>{name}</b>"',
        """return f'<a href="{address}">'""",
        'return f"<b{more}>"',
        'return "<b>" + name',
        'return name + "</b>"',
        'return "<b>%s</b>" % name',
        'return "<b>{}</b>".format(name)',
        'return "<br>".join(names)',
        'return form.replace("@", "<b>")',
        'return name.replace("<", "&lt;")',
        "import html",
        "from html import escape",
        "from markupsafe import Markup",
        "from xml.sax.saxutils import escape",
        "return Markup(name)",
        'return markup(f"{name}", name=name)',
        'return markup(template, name=name)',
        'return markup.markup("<b>" * n)',
        "return HTMLResponse(page)",
        'return Response(page, media_type="text/html")',
    ],
)  # fmt: skip
def test_html_that_another_writes_is_found(line: str, plant: Plant) -> None:
    """However a text with a tag is put together, escaped, taken for escaped or handed out, it is counted."""
    written = f"def shown(name):\n    {line}\n    {line}\n"
    root = plant({"dashboard/screens/home.py": written, "dashboard/markup.py": written})
    assert RULES["html"].finds(root).keys() == {"dashboard/screens/home.py"}


@pytest.mark.parametrize(
    "line",
    [
        'show(markup("<b>{name}</b>", name=name))',
        'show(Markup("<hr>"))',
        'show(joined([markup("<b>{name}</b>", name=name) for name in names], Markup("<br>")))',
        'st.text(f"{name} < 3 and {n}<{m}")',
        'NAME = re.compile(f"(?P<name>{name})")',
        'FORM = struct.Struct(f"<BIII{2 * count}d")',
        'SQL = f"select where a < {n} or a <> {m} or a<={n}"',
    ],
)
def test_html_that_the_one_place_writes_is_not_counted(line: str, plant: Plant) -> None:
    """A template that is plain text and what only looks like a tag are let be."""
    assert RULES["html"].finds(plant({"dashboard/screens/home.py": f"{line}\n"})) == {}


def test_a_named_time_zone_is_found(plant: Plant) -> None:
    """In a page, a job, SQL or a script it is counted; in the room of time, a test or a docstring it is let be."""
    root = plant(
        {
            "dashboard/screens/wall.py": 'ZONE = ZoneInfo("Asia/Shanghai")\n',
            "jobs/clocks.py": "SQL = f\"select {a} at time zone 'Europe/Berlin', now() at time zone 'Etc/UTC'\"\n",
            "dashboard/components/wall/wall.js": 'const ZONE = "America/New_York";\n',
            "dispatch/rules/time/calendar.py": 'zone: str = "Asia/Shanghai"\n',
            "tests/test_clocks.py": 'ZONE = ZoneInfo("Asia/Shanghai")\n',
            "models/cities/rota.py": '"""As Asia/Shanghai has it."""\nFORM = "day/month, UTC"\n',
        }
    )
    assert RULES["zones"].finds(root) == {
        "dashboard/screens/wall.py": 1,
        "jobs/clocks.py": 2,
        "dashboard/components/wall/wall.js": 1,
    }


def test_a_crowded_room_is_found(plant: Plant) -> None:
    """Files and folders count alike; what Python left of a room that was moved away does not."""
    full = {f"dispatch/part{at}.py": "" for at in range(14)} | {"dispatch/rules/law.py": ""}
    left = {"dispatch/gone/__pycache__/law.pyc": "", "dispatch/__pycache__/part0.pyc": ""}
    assert RULES["entries"].finds(plant(full | left)) == {}
    assert RULES["entries"].finds(plant({"dispatch/desk/store.py": ""})) == {"dispatch": 16}
    assert RULES["entries"].finds(plant({f"dashboard/{at}.py": "" for at in range(21)})) == {
        "dispatch": 16,
        "dashboard": 21,
    }


def test_a_file_of_the_dashboard_that_hides_another_module_is_found(plant: Plant) -> None:
    """A name of Python's, of a dependency's and of ours are found where they would hide, and not deeper down."""
    root = plant(
        {
            "dashboard/models.py": "",
            "dashboard/calendar.py": "",
            "dashboard/streamlit/__init__.py": "",
            "dashboard/locale/zh.po": "",
            "dashboard/live/queue.py": "",
            "dashboard/pages.py": "",
        }
    )
    assert RULES["hiding"].finds(root) == {
        "dashboard/calendar.py": 1,
        "dashboard/models.py": 1,
        "dashboard/streamlit": 1,
    }


def test_a_name_that_says_nothing_is_found(plant: Plant) -> None:
    """A module, a folder and a script are found by it wherever they lie."""
    root = plant(
        {
            "dispatch/utils.py": "",
            "tests/helpers/clock.py": "",
            "dashboard/components/shared/helpers.js": "",
            "dispatch/base_service.py": "",
            "dispatch/helpful.py": "",
        }
    )
    assert set(RULES["vague"].finds(root)) == {
        "dispatch/utils.py",
        "tests/helpers/clock.py",
        "dashboard/components/shared/helpers.js",
        "dispatch/base_service.py",
    }


def test_what_tests_alone_call_is_found(plant: Plant) -> None:
    """A function, a class, a method and a table are found that nothing but a test or they themselves name."""
    root = plant(
        {
            "dispatch/desk/desk.py": (
                "def again(n):\n    return again(n - 1)\n\n\n"
                "class Alone:\n    pass\n\n\n"
                "class Desk:\n"
                "    def act(self):\n        return self.asked\n\n"
                "    def unasked(self):\n        return self.unasked\n\n"
                "    def _own(self):\n        return 1\n"
            ),
            # Has a function of the same name, which another module calls: no caller of the Desk's.
            "dispatch/notices/outbox.py": "def again():\n    return 1\n",
            "jobs/notices.py": "from dispatch import notices\n\nnotices.again()\n",
            "dashboard/pages.py": "from dispatch.desk.desk import Desk\n\nDesk().act()\n",
            "models/tables/people.py": (
                'class Kept:\n    __tablename__ = "kept"\n\n\n'
                'class Lost:\n    """Of lost."""\n\n    __tablename__ = "lost"\n'
            ),
            "models/cities/loading.py": 'SQL = "select from kept"\n',
            "models/migrations/versions/0001_lost.py": 'def upgrade():\n    run("create table lost ()")\n',
            "tests/test_desk.py": (
                "from dispatch.desk.desk import Alone, Desk, again\n\nagain(Alone, Desk().unasked())\n"
            ),
        }
    )
    assert set(RULES["uncalled"].finds(root)) == {
        "dispatch/desk/desk.py::again",
        "dispatch/desk/desk.py::Alone",
        "dispatch/desk/desk.py::Desk.unasked",
        "models/tables/people.py::Lost",
    }


def test_what_is_called_by_a_table_a_text_or_another_name_is_not_found(plant: Plant) -> None:
    """A handler in a table, a page looked up by its module's name, and a function under another name are called."""
    root = plant(
        {
            "dispatch/accept.py": "def accept():\n    return 1\n\n\nSTEPS = {'accept': accept}\n",
            "dispatch/checks/audit.py": "def verify():\n    return 1\n",
            "dispatch/checks/recheck.py": "from dispatch.checks.audit import verify as audited\n\naudited()\n",
            "dashboard/screens/home.py": "def page():\n    return 1\n",
            "dashboard/pages.py": (
                "from importlib import import_module\n\n"
                'shown = import_module(f"dashboard.screens.{name}").page\n'
            ),
            "dashboard/live.py": (
                "class _Tiles:\n    def duty(self):\n        return 1\n\n\n"
                'told = [getattr(_Tiles(), name)() for name in ("duty",)]\n'
            ),
        }
    )
    assert RULES["uncalled"].finds(root) == {}
