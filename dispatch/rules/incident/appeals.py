"""Judge appeals: until when one is heard, who may judge it, and what two reviewers together exempt.

Each effect is as `dispatch.rules.incident.effects` describes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from dispatch.rules.incident.facts import Appeal, Exemption, Facts, Review
from dispatch.rules.incident.values import Change, Incident, Transition, instant, same_person
from dispatch.rules.refusals import Refusal

REVIEWERS = 2
# What an appeal that is granted leaves.
EXEMPTS: tuple[Literal["exempt", "never_theirs", "exempt_spans"], ...] = (
    "exempt",
    "never_theirs",
    "exempt_spans",
)
SPANS_LIMIT = 20  # stretches of exempt time in one review


def _appeal(t: Transition) -> Change | Refusal:
    i, c, policy = t.incident, t.command, t.policy
    if c.actor.role == "team" and all(p.team_id != c.actor.team_id for p in i.parts.values()):
        return Refusal("not_team")
    if is_appealed(i):
        return Refusal("appealed")
    until = policy.appeal_until(i.ended_at) if i.ended_at is not None else None
    if until is not None and t.now > until:
        return Refusal("appeal_late", {"until": f"{policy.calendar.local(until):%Y-%m-%d %H:%M}"})
    appeal: Appeal = {"by": c.actor.id, "reason": c.args["reason"], "reviews": [], "granted": None}
    appeal["life"] = len(i.facts.get("former", ()))
    if policy.appeal_answer is not None:
        appeal["answer_by"] = policy.calendar.due(t.now, policy.appeal_answer).isoformat()
    return t.change.plus(facts={"appeal": appeal})


def _judge_appeal(t: Transition) -> Change | Refusal:
    appeal = t.incident.facts.get("appeal")
    if appeal is None or appeal["granted"] is not None:
        return Refusal("not_appealed")
    if _is_own(t, appeal):
        return Refusal("own_appeal")
    review = _review(t)
    if isinstance(review, Refusal):
        return review
    reviews = [*appeal["reviews"], review]
    judged: Appeal = {**appeal, "reviews": reviews}
    if not review["granted"] or len(reviews) == REVIEWERS:
        judged["granted"] = review["granted"]
    if not judged["granted"]:
        return t.change.plus(facts={"appeal": judged})
    exempt = _exemption(appeal["reason"], reviews)
    return (
        exempt if isinstance(exempt, Refusal) else t.change.plus(facts=_exempted(t.incident, judged, exempt))
    )


def _is_own(t: Transition, appeal: Appeal) -> bool:
    """Tell whether the actor appealed, has judged before, or is of a team that had a part in the incident."""
    actor = t.command.actor
    if any(same_person(actor.id, by) for by in (appeal["by"], *(each["by"] for each in appeal["reviews"]))):
        return True
    return actor.team_id is not None and any(p.team_id == actor.team_id for p in t.incident.parts.values())


def _review(t: Transition) -> Review | Refusal:
    """Return what a reviewer says, with the stretches of time that a granted appeal may name."""
    args = t.command.args
    granted = args["granted"] is True
    review: Review = {"by": t.command.actor.id, "granted": granted, "reason": args["reason"]}
    if granted and args.get("spans"):
        spans = _spans(args["spans"], t.incident.reported_at, t.now)
        if spans is None:
            return Refusal("spans", {"limit": SPANS_LIMIT})
        review["spans"] = spans
    if granted and args.get("never_theirs"):
        review["never_theirs"] = True
    return review


def _exemption(reason: str, reviews: list[Review]) -> Exemption | Refusal:
    """Return what the reviewers of a granted appeal exempt together."""
    exempt: Exemption = {"exempt": reason}
    if all(each.get("never_theirs") for each in reviews):
        exempt["never_theirs"] = True
    # What only one of them gives is not exempt; who gives none leaves it to the other.
    given = [review["spans"] for review in reviews if review.get("spans")]
    if given:
        both = given[0] if len(given) == 1 else _shared(given[0], given[1])
        if not both:
            return Refusal("spans_differ")
        exempt["exempt_spans"] = both
    return exempt


def _exempted(i: Incident, appeal: Appeal, exempt: Exemption) -> Facts:
    """Return the facts of an appeal that is granted, with which the life that it is of is exempt."""
    facts: Facts = {"appeal": appeal}
    former, life = list(i.facts.get("former", ())), appeal.get("life")
    if life is None or life >= len(former):
        return {**facts, **exempt}
    # Opened again while the reviewers looked: what they give is still of the life that was appealed.
    former[life] = {**former[life], **exempt}
    # Whatever is exempt at all is found by this fact.
    return {**facts, "former": former, "exempt": i.facts.get("exempt")}


def is_appealed(i: Incident) -> bool:
    """Tell whether an appeal waits, or one was judged in this life of an incident: each may be appealed once."""
    appeal = i.facts.get("appeal")
    if appeal is None:
        return False
    return appeal["granted"] is None or appeal.get("life", 0) == len(i.facts.get("former", ()))


def _archive(t: Transition) -> Change | Refusal:
    appeal = t.incident.facts.get("appeal")
    # Nothing is judged in the archive: who asked would wait for ever.
    return Refusal("appeal_waits") if appeal is not None and appeal["granted"] is None else t.change


def _spans(given: object, begin: datetime, end: datetime) -> list[list[str]] | None:
    """Return stretches of time between two instants as pairs of ISO texts in UTC, in order and joined where they meet.

    None for anything that is not a list of up to `SPANS_LIMIT` pairs of aware instants, each later than the last.
    """
    if not isinstance(given, list | tuple) or len(given) > SPANS_LIMIT:
        return None
    found: list[tuple[datetime, datetime]] = []
    for pair in given:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return None
        since, until = instant(pair[0]), instant(pair[1])
        if since is None or until is None or not begin <= since < until <= end:
            return None
        found.append((since.astimezone(UTC), until.astimezone(UTC)))
    joined: list[tuple[datetime, datetime]] = []
    for since, until in sorted(found):
        if joined and since <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until))
        else:
            joined.append((since, until))
    return [[since.isoformat(), until.isoformat()] for since, until in joined]


def _shared(one: list[list[str]], other: list[list[str]]) -> list[list[str]]:
    """Return what two lists of stretches, as `_spans` gives them, have in common."""
    pairs = (
        (max(map(datetime.fromisoformat, (a[0], b[0]))), min(map(datetime.fromisoformat, (a[1], b[1]))))
        for a in one
        for b in other
    )
    return [[since.isoformat(), until.isoformat()] for since, until in sorted(pairs) if since < until]


EFFECTS = {
    "appeal": _appeal,
    "judge_appeal": _judge_appeal,
    "archive": _archive,
}
