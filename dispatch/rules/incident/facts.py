"""Name every fact that an incident or an assignment may hold beside its columns, with its type and its meaning.

They stand as JSON in the column `facts` of each; instants are ISO text with a zone, and a fact that was never stated
is absent. `tests/rules/test_facts.py` holds every SQL text that asks for a fact against these names.
"""

from __future__ import annotations

from typing import TypedDict


class FieldCheck(TypedDict):
    """What a field check found."""

    real: bool  # whether the matter is there
    by: str  # the actor who looked


class ExtensionRequest(TypedDict):
    """An extension that was asked for and not decided on."""

    assignment: int  # its id
    limit: str  # how much more, as `Limit` writes it
    by: str  # the actor who asked


class Exemption(TypedDict, total=False):
    """What an appeal that was granted leaves with the life of the incident that it was of."""

    exempt: str | None  # why it counts against nobody
    never_theirs: bool | None  # whether both reviewers found that it was never the subject's matter
    exempt_spans: (
        list[list[str]] | None
    )  # stretches [since, until] that do not count; the whole time where absent


class FormerLife(Exemption):
    """What an incident was when it was opened again."""

    disposed_at: str | None
    disposed_on_time: bool | None
    closed_at: str | None
    closed_on_time: bool | None
    rating: int | None
    parts: list[int]  # ids of the assignments so far


class _Reviewed(TypedDict):
    by: str  # the actor who judged
    granted: bool
    reason: str


class Review(_Reviewed, total=False):
    """What one reviewer of an appeal said."""

    spans: list[list[str]]  # the stretches that this reviewer would exempt
    never_theirs: bool  # stated where this reviewer found so


class _Appealed(TypedDict):
    by: str  # the actor who appealed
    reason: str
    reviews: list[Review]  # in the order they came
    granted: bool | None  # None until it is judged


class Appeal(_Appealed, total=False):
    """An appeal, and how it was judged."""

    life: int  # which life of the incident it is of, from 0; older appeals do not say
    answer_by: str  # until when it is to be judged


class Facts(Exemption, total=False):
    """What is known of an incident that no list needs as a column, and of three columns what a change sets them to."""

    # How it came in
    reporter: str  # the keyed token of the contact that was left
    imported: bool  # another system runs it: our clocks do not judge it
    wartime: bool  # opened where wartime was declared: its limits are halved
    checked: FieldCheck  # the last field check
    recoded_from: str  # the type that it was reported as
    merged_into: int  # number of the incident that it was merged into
    absorbed: list[int]  # numbers of the incidents merged into it
    # Who holds it
    level: int  # whose matter it is now: 1 city .. 4 village; also a column
    taken_over_by: str | None  # the centre above that took it in hand
    handed_down_at: str  # since when silence counts anew
    supervised_by: str  # area code of whoever has an eye on it
    commander: str  # who commands a major matter
    # On its way
    returns: int  # how often its lead gave it back
    reworks: int  # how often it failed the check
    extensions: int  # granted, in this life
    extension_asked: ExtensionRequest | None
    suspended_until: str | None
    solve_from: str  # from when the limit of solving in the grid counts, where that is not the report
    # Its end
    disposed_at: str | None  # also a column
    disposed_on_time: bool | None  # also a column
    disposer: str  # the actor who disposed of it
    disposer_team: int | None  # the team that did
    solved_in_grid: bool  # whether the people of its grid did
    settled: bool  # whether a dispute was settled, as the disposer says
    sampled: bool  # whether a small matter is verified by another hand
    verifier: str  # the actor who passed it
    rating: int | None  # from 1 to 5; also a column
    rated_by_reporter: bool  # whether the rating is the reporter's own
    former: list[FormerLife]  # its lives before the present one, oldest first
    appeal: Appeal  # the last one


class PartFacts(TypedDict, total=False):
    """What is known of one assignment, nearly all of it of a whistle."""

    asked_by: str  # the actor who blew the whistle
    whistle_kind: str  # hard, joint or emergency
    rating: int  # what whoever blew it thinks of the answer, from 1 to 5
