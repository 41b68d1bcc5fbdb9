"""The table of pages: which stands at which address, what it is for, and which roles may open it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

EVERYBODY: frozenset[str] = frozenset()  # a page without roles opens for visitors too
_CENTRES = frozenset({"dispatcher", "duty_leader", "county", "city"})
_GRID = frozenset({"grid_worker", "grid_head", "village"})


@dataclass(frozen=True, slots=True)
class Place:
    """A page at `/path`, its title and what it is for (both translated where shown), and its roles.

    `screen` is the module of `dashboard.screens` whose `page()` it is.
    """

    path: str
    title: str
    tells: str
    roles: frozenset[str]
    screen: str

    def opens(self, role: str | None) -> bool:
        """Tell whether a role may open the page; None is a visitor who has not signed in."""
        return not self.roles or role in self.roles

    @property
    def page(self) -> Callable[[], None]:
        """Return the callable that shows the page."""
        show: Callable[[], None] = import_module(f"dashboard.screens.{self.screen}").page
        return show


_TABLE = (
    Place("home", "Start", "Where to go from here.", EVERYBODY, "home"),
    Place(
        "workbench",
        "Workbench",
        "What waits for the desk, most urgent first; who can go; dispatch in one click.",
        _CENTRES | {"village", "leader", "auditor"},
        "workbench",
    ),
    Place(
        "field",
        "On the phone",
        "My tasks, report in three taps, check in on site, hand in the result.",
        _GRID | {"team"},
        "field",
    ),
    Place(
        "whistles",
        "Whistle board",
        "Each whistle as a row of clocks: sent, answered, on site, done, rated.",
        _CENTRES | {"village", "leader"},
        "whistles",
    ),
    Place(
        "incidents",
        "Incidents",
        "Find an incident, see its whole way, and take the next lawful step.",
        _CENTRES | _GRID | {"team", "leader", "auditor"},
        "incidents",
    ),
    Place(
        "leaders",
        "Leaders' figures",
        "What is red now, whether the period got better, and where and whom it concerns.",
        frozenset({"leader", "city", "county", "duty_leader", "village", "auditor"}),
        "leaders",
    ),
    Place(
        "assessment",
        "Assessment",
        "The score, how sure it is, where the points went, and how to object.",
        _CENTRES | _GRID | {"team", "leader", "auditor"},
        "assessment",
    ),
    Place(
        "replay",
        "Another city's past",
        "Requests of another city, sent through this chain and compared verdict by verdict.",
        frozenset({"leader", "city", "county", "duty_leader", "auditor", "admin"}),
        "replayed",
    ),
    Place(
        "public",
        "For residents",
        "Report something, follow it by its number, rate how it was settled.",
        EVERYBODY,
        "public",
    ),
    Place(
        "wall",
        "Wall",
        "The city live: what is red now, who holds it, where it is. For city, county, town and village.",
        EVERYBODY,
        "wall",
    ),
    Place(
        "wartime",
        "Wartime",
        "Declare and end wartime for an area: two people, shorter limits, all on record.",
        frozenset({"county", "city", "leader", "auditor"}),
        "wartime",
    ),
    Place(
        "admin",
        "Administration",
        "Accounts, keys, refused messages, jobs, the policy, and proof that the record is whole.",
        frozenset({"admin", "auditor"}),
        "admin",
    ),
)
PLACES = {each.path: each for each in _TABLE}
