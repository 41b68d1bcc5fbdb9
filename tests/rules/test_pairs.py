"""Proves that a pair is said in one language, whatever it is filled with, and that neither language says less."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pytest

from dispatch.intake import dead_letters, problems
from dispatch.rules import refusals
from dispatch.rules.incident import reasons as given
from dispatch.rules.refusals import Refusal
from dispatch.rules.teams import reasons
from dispatch.rules.words import both, say

FIELD = re.compile(r"\{(\w+)")


def test_what_a_pair_is_filled_with_is_said_in_its_language() -> None:
    """A value that is a pair too, one that is a number or a word, and one that came back from JSON as a list."""
    pair = ("{verb}必须填写：{field}，{n}", "To {verb}, {field} must be given, {n}")
    values: dict[str, object] = {"verb": ("受理", "accept"), "field": ("理由", "a reason"), "n": 3}
    assert say(pair, "zh", **values) == "受理必须填写：理由，3"
    assert say(pair, "en", **json.loads(json.dumps(values))) == "To accept, a reason must be given, 3"
    assert Refusal("needs", values).words("en") == "To accept, a reason must be given"
    assert say(("{", "}"), "en") == "}"
    with pytest.raises(ValueError, match="not in tuple"):
        say(pair, "fr")


def test_several_pairs_become_one() -> None:
    """Each language sets its own mark between them."""
    assert both("、", " or ", [("甲", "a"), ("乙", "b")]) == ("甲、乙", "a or b")


@pytest.mark.parametrize(
    "sentences",
    [refusals.SENTENCES, reasons.SENTENCES, given.SENTENCES, problems.REASONS, dead_letters.ERRORS],
    ids=["refusals", "teams", "reasons", "problems", "letters"],
)
def test_both_languages_say_the_same_things(sentences: Mapping[str, tuple[str, str]]) -> None:
    """A value that one sentence names stands in the other too, so that neither says less."""
    told = {code: [set(FIELD.findall(text)) for text in pair] for code, pair in sentences.items()}
    assert {code: each for code, each in told.items() if each[0] != each[1]} == {}
