"""The demo's pictures are drawn from a seed, differ from each other, and are kept like any photo."""

from __future__ import annotations

from dispatch.demo import scenes
from dispatch.intake import photos
from models.cities.loading import parsed_policy, policy_files


def test_the_same_seed_draws_the_same_picture_and_no_two_moments_are_alike() -> None:
    """What is kept is named by what it shows: one picture twice would look like a photo used again."""
    moments: tuple[scenes.Moment, ...] = ("report", "before", "after")
    seen = [
        photos.developed(raw).name
        for seed in ("1", "2")
        for moment in moments
        if (raw := scenes.drawn("0602", seed, moment)) is not None
    ]
    assert len(seen) == len(set(seen)) == 6
    again = scenes.drawn("0602", "1")
    assert again is not None
    assert photos.developed(again).name == seen[0]


def test_people_in_need_or_in_dispute_are_not_photographed() -> None:
    """No picture for quarrels, illness, help or benefits; every type that has one is a type of the policy."""
    policy = parsed_policy(policy_files())
    pictured = {code for code in policy.types if scenes.drawn(code, "x") is not None}
    assert pictured
    assert not {code for code in pictured if policy.types[code].theme == "02"}
    assert not pictured & {"0301", "0302", "0303", "0108", "0902", "0903"}
    assert set(scenes.PICTURED) <= set(policy.types)
