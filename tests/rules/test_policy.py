"""The shipped policy is read whole, and a wrong one is refused with its file, its key and the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dispatch.rules.policy import policy as policies
from dispatch.rules.policy.policy import MODES, PolicyError, parse
from dispatch.rules.time.calendar import Limit
from tests.small_law import FILES, policy_files, small_policy

SHIPPED = Path(__file__).parents[2] / "config" / "policy"


def test_the_shipped_policy_is_read() -> None:
    """Seventy-five types in ten themes, every type with its people and its limits."""
    files = {path.name: path.read_text("utf-8") for path in SHIPPED.iterdir()}
    assert files.keys() >= {*policies.FILES, *policies.LATER_FILES}
    policy = parse(1, files)
    assert (len(policy.types), len(policy.themes)) == (75, 10)
    for kind in policy.types.values():
        assert kind.theme in policy.themes
        assert {kind.lead, *kind.assist} <= policy.trades.keys()
        assert kind.mode in MODES
        assert policy.trade_for(kind) in policy.trades
    assert policy.types[policy.fallback]


def test_small_matters_are_led_by_the_people_of_the_grid() -> None:
    """Whatever unit the type names, where the policy says so."""
    policy = small_policy()
    assert policy.trade_for(policy.types["0301"]) == "grid"
    assert policy.trade_for(policy.types["0101"]) == "police"
    files = policy_files()
    files["limits.toml"] = files["limits.toml"].replace('grid_trade = "grid"\n', "")
    other = parse(1, files)
    assert other.trade_for(other.types["0301"]) == "police"


# File, what is replaced in it, by what, the key that is named, and a word of the reason.
WRONG = [
    ("event_types.csv", "code,name,", "number,name,", "header", "missing column code"),
    ("event_types.csv", "0101,盗窃", "01a1,盗窃", "line 2, code", "1 to 8 digits"),
    ("event_types.csv", "0101,盗窃", ",盗窃", "line 2, code", "is empty"),
    ("event_types.csv", "0102,诈骗", "0101,诈骗", "line 3, code", "stands twice"),
    ("event_types.csv", "theft,01,", "theft,77,", "line 2, theme", "no theme '77'"),
    ("event_types.csv", "theft,01,police", "theft,01,army", "line 2, lead, assist", "no trade 'army'"),
    ("event_types.csv", "police,grid,1", "police,grid army,1", "line 3, lead, assist", "no trade 'army'"),
    ("event_types.csv", "police,,3,joint", "police,,5,joint", "line 2, severity", "expected 1 to 4"),
    ("event_types.csv", "police,,3,joint", "police,,3,alone", "line 2, mode", "expected one of one_grid"),
    ("event_types.csv", "joint,10m,60m", "joint,,60m", "line 2, accept", "expected a number"),
    ("event_types.csv", "joint,10m,60m", "joint,10m,soon", "line 2, arrive", "not 'soon'"),
    ("event_types.csv", ",3wd,1wd", ",0wd,1wd", "line 2, dispose", "above 0"),
    ("event_types.csv", ",3wd,1wd", ",9999wd,1wd", "line 2, dispose", "longer than 1000 days"),
    ("event_types.csv", "3wd,1wd,P,盗窃|小偷", "3wd,1wd,P", "line 2", "fewer fields"),
    ("event_types.csv", "盗窃|小偷", "盗窃,小偷", "line 2", "more fields"),
    ("event_types.csv", "theft", "th\reft", "line 2", "fewer fields"),
    ("event_types.csv", "theft", "t" * 140_000, "line 1", "field limit"),
    ("themes.csv", "code,name", "code,title", "header", "missing column name"),
    ("themes.csv", "03,环境", "01,环境", "line 3, code", "stands twice"),
    ("trades.csv", "gas,city", "gas,planet", "line 5, level", "expected one of village"),
    ("trades.csv", "water,", ",", "line 4, trade", "is empty"),
    ("calendar.csv", "2026-01-01,holiday", "2026-13-01,holiday", "date", "month must be in"),
    ("calendar.csv", "2026-01-01,holiday", "2026-01-01,feast", "kind", "expected holiday or workday"),
    ("limits.toml", "zone =", "zone", "text", "Expected"),
    ("limits.toml", '"Asia/Shanghai"', '"Asia/Nowhere"', "zone, sessions", "Nowhere"),
    ("limits.toml", '"Asia/Shanghai"', '"Asia"', "zone, sessions", "Asia"),
    ("limits.toml", '"Asia/Shanghai"', '"../Shanghai"', "zone, sessions", "Shanghai"),
    ("limits.toml", '"Asia/Shanghai"', "8", "zone", "expected str, not 8"),
    ("limits.toml", '"12:00"', '"25:00"', "zone, sessions", "hour must be in"),
    ("limits.toml", '"14:00"', '"11:00"', "zone, sessions", "in order and apart"),
    ("limits.toml", '["14:00", "18:00"]', '["14:00"]', "zone, sessions", "not enough values"),
    ("limits.toml", '["14:00", "18:00"]', "14", "zone, sessions", "unpack"),
    ("limits.toml", 'fallback = "0901"', 'fallback = "0902"', "fallback", "no event type '0902'"),
    ("limits.toml", 'fallback = "0901"', "", "fallback", "expected str, not None"),
    ("limits.toml", "[intake]", "[outtake]", "intake", "expected dict, not None"),
    ("limits.toml", '["one_grid", "all_net"]', '["one_grid", "any"]', "intake.straight", "expected some of"),
    ("limits.toml", '["one_grid", "all_net"]', '"one_grid"', "intake.straight", "expected some of"),
    ("limits.toml", '["one_grid", "all_net"]', "5", "intake.straight", "expected some of"),
    ("limits.toml", 'grid_trade = "grid"', 'grid_trade = "army"', "intake.grid_trade", "no trade 'army'"),
    ("limits.toml", '4 = "60m"\n[pick_up]', "[pick_up]", "dispatch.4", "expected a number"),
    ("limits.toml", '1 = "5wd"', "1 = 5", "close.1", "not '5'"),
    ("limits.toml", 'answer = "10m"', 'answer = "10"', "whistle.answer", "not '10'"),
    ("limits.toml", 'review = "5m"', "", "whistle.review", "expected a number"),
    ("limits.toml", "[whistle]", "[flute]", "whistle", "expected dict"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "good", "bad", "key", "why"), WRONG)
def test_what_is_wrong_is_named_by_file_key_and_reason(
    file: str, good: str, bad: str, key: str, why: str
) -> None:
    """Nothing else escapes, and nothing wrong is read as something else."""
    files = policy_files()
    assert good in files[file], "the test itself is stale"
    files[file] = files[file].replace(good, bad, 1)
    with pytest.raises(PolicyError) as fault:
        parse(1, files)
    assert (fault.value.file, key in fault.value.key) == (file, True), str(fault.value)
    assert why in fault.value.reason
    assert str(fault.value) == f"{file}: {fault.value.key}: {fault.value.reason}"


@pytest.mark.parametrize("name", policies.FILES)
def test_a_missing_or_empty_file_is_named(name: str) -> None:
    """An empty one has no header, or lacks its first key."""
    with pytest.raises(PolicyError) as fault:
        parse(1, {key: text for key, text in policy_files().items() if key != name})
    assert (fault.value.file, fault.value.key, fault.value.reason) == (name, "file", "is missing")
    with pytest.raises(PolicyError) as fault:
        parse(1, policy_files() | {name: ""})
    assert fault.value.file == name


def test_a_policy_without_a_single_type_is_none() -> None:
    """Nothing could be reported under it."""
    header = FILES["event_types.csv"].splitlines()[0]
    with pytest.raises(PolicyError, match="at least one event type"):
        parse(1, policy_files() | {"event_types.csv": header + "\n"})


@pytest.mark.parametrize(
    ("own", "promised"), [("", "30m"), ("10m", "10m"), ("120m", "30m"), ("1uh", "30m"), ("2wh", "30m")]
)
def test_a_whistle_is_reported_in_for_within_its_thirty_minutes_or_less(own: str, promised: str) -> None:
    policy = small_policy()
    kind = replace(next(iter(policy.types.values())), arrive=Limit.parse(own) if own else None)
    found = policy.arrival(kind, True)
    assert found is not None
    assert str(found) == promised
    assert policy.arrival(kind, False) == kind.arrive
