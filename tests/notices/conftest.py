"""Gives tests of what is told a Desk whose past is nobody's news, and a real address to tell it to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

import jobs.notices
from dispatch.desk.desk import Desk
from jobs.notices import tell
from tests.at_work import worked
from tests.notified import NOW, Webhook


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    one = Webhook()
    monkeypatch.setenv("GRIDWHISTLE_NOTIFY_GROUP", one.url)
    yield one
    one.close()


@pytest.fixture
def desk(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    # Whatever the machine has to do beside: what is looked at here is what was sent, not how soon.
    monkeypatch.setattr(jobs.notices, "PATIENCE_S", 60.0)
    with Desk(database) as opened:
        # What happened before the first look is nobody's news.
        worked(tell, opened, NOW - timedelta(hours=1))
        yield opened
