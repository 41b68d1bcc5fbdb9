"""Spares pages that are tried here two things which cost much and prove nothing about them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from argon2 import PasswordHasher
from streamlit.components.v2 import manifest_scanner

from dispatch.accounts import sessions


@pytest.fixture(scope="session", autouse=True)
def _found_once() -> Iterator[None]:
    """Look through the installed packages for components once: each AppTest looks again, for a quarter of a second."""
    with pytest.MonkeyPatch.context() as patch:
        found = cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", found)
        yield


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Hash with as little work as argon2id allows: these tests prove decisions, not slowness."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "_hasher", lambda: hasher)
        sessions._nobody.cache_clear()
        yield
    sessions._nobody.cache_clear()
