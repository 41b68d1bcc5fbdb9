"""Draw what pages are made of: cards, boards, charts, drawers, files."""
