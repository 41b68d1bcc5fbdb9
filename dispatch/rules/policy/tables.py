"""Read the tables of a policy file value by value, keeping every fault with its file, key and reason."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from typing import Any

from dispatch.rules.time.calendar import Limit


class PolicyError(ValueError):
    """The policy cannot be read: names the file, the key and the reason."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        super().__init__(f"{file}: {key}: {reason}")
        self.file, self.key, self.reason = file, key, reason


class Table:
    """One table of a TOML file. What is wrong is added to `faults`, and a harmless value stands in for it."""

    def __init__(self, file: str, held: Mapping[str, Any], faults: list[PolicyError], path: str = "") -> None:
        self._file, self._held, self._faults, self._path = file, held, faults, path

    @classmethod
    def parse(cls, file: str, text: str, faults: list[PolicyError]) -> Table:
        """Read a whole file; one that is no TOML is empty, with the fault noted."""
        try:
            return cls(file, tomllib.loads(text), faults)
        except tomllib.TOMLDecodeError as fault:
            faults.append(PolicyError(file, "text", str(fault)))
            return cls(file, {}, faults)

    def fault(self, key: str, reason: str) -> None:
        """Note that the value of a key is wrong."""
        self._faults.append(PolicyError(self._file, f"{self._path}{key}", reason))

    def known(self, keys: Collection[str]) -> None:
        """Note every key that nobody reads: a misspelt setting must not save and do nothing."""
        for key in self._held:
            if key not in keys:
                self.fault(key, f"is not known here; expected some of {', '.join(sorted(keys))}")

    def number(self, key: str, low: float, high: float) -> float:
        """Return a number between `low` and `high`."""
        value = self._held.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            self.fault(key, f"expected a number from {low:g} to {high:g}, not {value!r}")
            return low
        return float(value)

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """Return a whole number between `low` and `high`; where it is missing `default`, if there is one."""
        value = self._held.get(key, default)
        if type(value) is not int or not low <= value <= high:
            self.fault(key, f"expected a whole number from {low} to {high}, not {value!r}")
            return low
        return value

    def text(self, key: str, choices: Collection[str] = (), default: str | None = None) -> str:
        """Return a text that is not empty, one of `choices` where there are any."""
        value = self._held.get(key, default)
        if not isinstance(value, str) or (not value.strip() and default is None):
            self.fault(key, f"expected a text, not {value!r}")
            return ""
        if choices and value not in choices:
            self.fault(key, f"expected one of {', '.join(choices)}, not {value!r}")
        return value

    def texts(
        self, key: str, choices: Collection[str] = (), default: list[str] | None = None
    ) -> tuple[str, ...]:
        """Return a list of texts, each one of `choices` where there are any."""
        value = self._held.get(key, default)
        if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
            self.fault(key, f"expected a list of texts, not {value!r}")
            return ()
        for each in value:
            if choices and each not in choices:
                self.fault(key, f"expected some of {', '.join(choices)}, not {each!r}")
        return tuple(value)

    def wholes(self, key: str, low: int, high: int, default: list[int] | None = None) -> tuple[int, ...]:
        """Return a list of whole numbers between `low` and `high`."""
        value = self._held.get(key, default)
        if not isinstance(value, list) or not all(
            type(each) is int and low <= each <= high for each in value
        ):
            self.fault(key, f"expected whole numbers from {low} to {high}, not {value!r}")
            return ()
        return tuple(value)

    def minutes(self, key: str, default: str | None = None) -> int:
        """Return a length of time around the clock (``30m``, ``2uh``, ``1ud``) in minutes."""
        value = self._held.get(key, default)
        try:
            limit = Limit.parse(value if isinstance(value, str) else "")
        except ValueError:
            limit = None
        if limit is None or limit.unit not in _MINUTES or limit.half:
            self.fault(key, f"expected a time around the clock as in 30m, 2uh or 1ud, not {value!r}")
            return 1
        return limit.amount * _MINUTES[limit.unit]

    def table(self, key: str) -> Table:
        """Return the table under a key; a missing one is noted and empty."""
        value = self._held.get(key)
        if not isinstance(value, dict):
            self.fault(key, "expected a table")
            value = {}
        return Table(self._file, value, self._faults, f"{self._path}{key}.")

    def tables(self, key: str, at_most: int) -> list[Table]:
        """Return the tables of a list, each knowing its place in it, counted from 1."""
        value = self._held.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self.fault(key, "expected a list of tables")
            return []
        if len(value) > at_most:
            self.fault(key, f"expected at most {at_most}, not {len(value)}")
        return [
            Table(self._file, each, self._faults, f"{self._path}{key}[{place}].")
            for place, each in enumerate(value[:at_most], 1)
        ]

    def keys(self) -> tuple[str, ...]:
        """Return the keys that are there."""
        return tuple(self._held)


_MINUTES = {"m": 1, "uh": 60, "ud": 1_440}
