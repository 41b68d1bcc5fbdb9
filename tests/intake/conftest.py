"""Lets the dispatchers of tests look up often while they wait."""

from __future__ import annotations

import pytest

from dispatch.intake import consumer


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Block for a moment only: to end a dispatcher is waited for as long as it waits for a message."""
    monkeypatch.setattr(consumer, "BLOCK_MS", 20)
