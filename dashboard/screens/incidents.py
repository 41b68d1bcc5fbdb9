"""The incident list and detail."""

from __future__ import annotations


def page() -> None:
    """Show the incidents."""
