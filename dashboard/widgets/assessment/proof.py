"""Offer a score card's proof as a file: every case of every part, in which set, as of when and by which rules."""

from __future__ import annotations

from typing import Any

from dashboard.data import assessment as data
from dashboard.data import judged
from dashboard.data.assessment import Card
from dashboard.frame import Frame
from dashboard.widgets import scorecard
from dashboard.widgets.assessment.names import names_of
from dashboard.widgets.export import ROWS_LIMIT, download
from dashboard.wording import amounts, names
from dashboard.wording.catalogue import pick
from dispatch.intake.messages import show_number

ROWS_EXPORTED = ROWS_LIMIT + 1  # so that a file that is cut says so


def proof(f: Frame, card: Card) -> None:
    """Offer the card's proof as a file: every case of every part, in which set, as of when and by which rules."""
    _ = f._
    columns = [
        _("part"),
        _("set"),
        _("Number"),
        _("Type"),
        _("Place"),
        _("limit"),
        _("time used"),
        _("past it"),
    ]

    def rows() -> list[list[Any]]:
        lines, found = data.bundles(f.city, card), []
        for line in card.lines:
            for label, ids in judged.sets_of(lines, line.name).items():
                listed = judged.rows(
                    f.city, f.who.actor, (card.kind, card.subject), ids, card.month.as_of, 1, ROWS_EXPORTED
                )
                for each in listed:
                    kind = f.directory.types.get(each.category)
                    late = each.over_s is not None and each.over_s > 0
                    found.append(
                        [
                            pick(f.lang, line.zh, line.en), scorecard.set_name(label, line, _),
                            show_number(each.number),
                            each.category if kind is None else pick(f.lang, kind.name, kind.name_en),
                            names.place(f.directory, each.area_code, f.lang), each.limit,
                            None if each.used_s is None else amounts.span(each.used_s, _),
                            amounts.span(each.over_s, _) if late and each.over_s is not None else None,
                        ]
                    )  # fmt: skip
        return found

    notes = (
        f"{_('Score')} {amounts.score(card.score, _)}　{_('as of')} {names.moment(card.month.as_of)}",
        f"{_('Rules')} {card.month.version}　{_('Seal')} {card.hash}",
    )
    name = f"{names_of(f, card.kind, card.month)(card.subject)} {card.month.month:%Y-%m}"
    download(_("Proof, Excel"), rows, columns, name, key="score-file", notes=notes)
