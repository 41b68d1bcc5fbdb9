"""Send statements together and read their answers together: the driver's own pipeline looks and waits after each."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from functools import lru_cache
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import InvalidSqlStatementName, error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

Value = str | int | Sequence[int] | None
# A text with `%s` or `%(name)s` as the driver takes it, and the values; the server infers their types.
Statement = tuple[str, Sequence[Value] | Mapping[str, Value]]
Rows = list[tuple[Any, ...]]

NAMES_KEPT = 200  # statements prepared on one connection; what comes after is planned at each use

_names: WeakKeyDictionary[psycopg.Connection[Any], dict[bytes, bytes]] = WeakKeyDictionary()
_numbers = count()
_PLACE = re.compile(r"%(?:\((\w+)\))?s|%%")


def round_trip(connection: psycopg.Connection[Any], statements: Sequence[Statement]) -> list[Rows]:
    """Run statements one after another, each seeing what those before did; return the rows of each.

    They wait for no answer: all go out at once, prepared where they were run before on this connection. They may begin
    a transaction and end one. The first error ends them all and is raised as the driver's; there is no COPY.
    """
    begins = connection.pgconn.transaction_status == TransactionStatus.IDLE
    names = _names.setdefault(connection, {})
    try:
        return _run(connection, statements, names)
    except InvalidSqlStatementName:
        # The driver lets go of all that is prepared after a rollback or a change of tables. What has begun here can
        # begin once more.
        names.clear()
        if not begins:
            raise
        connection.rollback()
        return _run(connection, statements, names)


def in_order(statement: Statement) -> Statement:
    """Return a statement with its values in the order of their places, none of them named."""
    text, values = statement
    _, order = _native(text)
    return _PLACE.sub(lambda found: "%%" if found[0] == "%%" else "%s", text), [values[key] for key in order]  # type: ignore[index]


def _run(
    connection: psycopg.Connection[Any], statements: Sequence[Statement], names: dict[bytes, bytes]
) -> list[Rows]:
    wire = connection.pgconn
    fresh: dict[bytes, bytes] = {}
    wanted: list[bool] = []
    try:
        wire.enter_pipeline_mode()
        for text, values in statements:
            native, order = _native(text)
            given = [_text(values[key]) for key in order]  # type: ignore[index]
            name = names.get(native) or fresh.get(native)
            if name is None and len(names) + len(fresh) < NAMES_KEPT:
                name = fresh[native] = b"trip_%d" % next(_numbers)
                wire.send_prepare(name, native)
                wanted.append(False)
            if name is None:
                wire.send_query_params(native, given)
            else:
                wire.send_query_prepared(name, given)
            wanted.append(True)
        wire.pipeline_sync()
        results = connection.wait(_exchange(wire))
        wire.exit_pipeline_mode()
    except BaseException:
        connection.close()  # somewhere between question and answer it is of no more use
        raise
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
    names |= fresh
    return _read(connection, [result for result, is_wanted in zip(results, wanted, strict=True) if is_wanted])


def _exchange(wire: PGconn) -> Generator[Wait, Ready | int, list[PGresult]]:
    """Write what is to be sent while reading what comes; return all results up to the mark that ends them."""
    results: list[PGresult] = []
    unsent = wire.flush()
    while True:
        while unsent or wire.is_busy():
            ready = yield Wait.RW if unsent else Wait.R
            if ready & Ready.R:
                _take_in(wire, results)
            if unsent:
                unsent = wire.flush()
        result = wire.get_result()
        if result is not None and result.status == ExecStatus.PIPELINE_SYNC:
            return results
        if result is not None:
            results.append(result)
        elif wire.status == ConnStatus.BAD:
            raise psycopg.OperationalError("the connection was lost")


def _take_in(wire: PGconn, results: Sequence[PGresult]) -> None:
    try:
        wire.consume_input()
    except psycopg.OperationalError:
        # What the server said last, before it hung up, says more.
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise error_from_result(result) from None
        raise


def _read(connection: psycopg.Connection[Any], results: Sequence[PGresult]) -> list[Rows]:
    reader = Transformer.from_context(connection)
    answers: list[Rows] = []
    for result in results:
        if result.ntuples:
            reader.set_pgresult(result)
            answers.append(reader.load_rows(0, result.ntuples, tuple))
        else:
            answers.append([])
    return answers


@lru_cache(NAMES_KEPT)
def _native(text: str) -> tuple[bytes, tuple[int | str, ...]]:
    """Return a statement with the server's own `$1`, and for each of them the place or name of its value."""
    order: list[int | str] = []

    def place(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        order.append(found[1] or len(order))
        return f"${len(order)}"

    return _PLACE.sub(place, text).encode(), tuple(order)


def _text(value: Value) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str | int):
        return str(value).encode()
    return "{{{}}}".format(",".join(map(str, value))).encode()
