"""Proves the workbench's keys: no two steps that may stand together share one, and the legend names every one."""

from __future__ import annotations

import pytest

from dashboard import frame
from dashboard.casework import bulk, legend, offers
from dashboard.data import CityReads
from dashboard.wording.catalogue import translator
from dispatch.accounts import sessions
from dispatch.rules.incident.chain import STATES, STEPS
from tests.beside_the_desk import DISPATCHER


def test_no_two_steps_that_may_stand_beside_each_other_share_a_key() -> None:
    for state in STATES:
        beside = [verb for verb, step in STEPS.items() if state in step.sources and verb in offers.KEYS]
        assert len({offers.KEYS[verb] for verb in beside}) == len(beside), (state, beside)
    # Streamlit's own, those of the queue, of the filled button and of the tick of closing.
    assert not set("CRDEFGHN") & set(offers.KEYS.values())
    assert {"reject", "rework", "recode", "add_assist", "recall_assist"} <= offers.KEYS.keys()
    assert len(set(bulk.KEYS.values())) == len(bulk.KEYS)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_legend_names_every_key(reads: CityReads, lang: str) -> None:
    who = sessions.Viewer(1, "dispatcher", "x", DISPATCHER)
    columns = legend.legend(frame.Frame(lang, translator(lang), who, reads))
    told_keys = {key for column in columns for key, _ in column}
    assert {*offers.KEYS.values(), offers.MET_KEY, "D", "E", "F", "N", "0", "8", "9", "Enter"} <= told_keys
    assert {key.replace("Shift+", "⇧") for key in bulk.KEYS.values()} <= told_keys
