"""Measure the whole pipeline, stream to rows, against one that only reads, parses, copies and acknowledges.

Both handle the same messages on the demo city, with durable commits, in batches of 500 by one process. The null
pipeline copies the very rows that the real one wrote, ready made; the ratio says what the thinking costs.
"""

from __future__ import annotations

import argparse
import gc
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from statistics import median
from typing import Any, cast

import msgspec
import psycopg
import redis
from sqlalchemy import make_url

from benchmarks.measure import percentile, show
from dispatch.demo.history import spots
from dispatch.demo.world import World
from dispatch.intake.consumer import COLLECT_AFTER, Dispatcher
from dispatch.intake.dead_letters import FIELD, STREAM
from dispatch.intake.message_stream import GROUP
from dispatch.intake.prepare import Batch
from dispatch.rules.policy import policy as policies
from models.cities import demo
from models.migrations import migrate
from models.servers.database import Servers, psycopg_dsn
from models.servers.servers import temporary

MESSAGES = 40_000
WARM_UP = 2_000
BATCH = 500
PAIRS = 3
SEED = 7
PATIENCE_S = 600.0
TEMPLATE = "bench_template"
TABLES = {
    "incident": "id",
    "event": "incident_id",
    "assignment": "incident_id",
    "segment": "incident_id",
}


@dataclass(slots=True)
class Run:
    """What one run of a pipeline took: messages a second, and milliseconds of each batch."""

    per_s: float
    batch_ms: list[float] = field(default_factory=list)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's options."""
    parser.add_argument(
        "--messages", type=int, default=MESSAGES, help="messages a run (default: %(default)s)"
    )
    parser.add_argument("--pairs", type=int, default=PAIRS, help="alternating pairs (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measure alternating pairs and print the medians; return the exit code."""
    real: list[Run] = []
    null: list[Run] = []
    with temporary() as servers:
        template = prepare(servers)
        messages = mixed_messages(address(servers, template), args.messages + WARM_UP)
        for pair in range(args.pairs):
            one = database(servers, template, f"real_{pair}")
            two = database(servers, template, f"null_{pair}")
            real.append(measure_real(Servers(one, servers.redis_url), messages))
            rows = written_rows(one)
            null.append(measure_null(Servers(two, servers.redis_url), messages, rows))
            print(f"pair {pair + 1}: {real[-1].per_s:,.0f}/s against {null[-1].per_s:,.0f}/s", flush=True)
            for name in ("real", "null"):
                administer(servers, f"drop database {name}_{pair}")
    ratios = [a.per_s / b.per_s for a, b in zip(real, null, strict=True)]
    show(
        "pipeline: stream to rows",
        {
            "incidents_per_s": median(r.per_s for r in real),
            "limit_per_s": median(n.per_s for n in null),
            "ratio": median(ratios),
            "p95_batch_ms": percentile([ms for r in real for ms in r.batch_ms], 0.95),
        },
        args.json,
    )
    return 0


def prepare(servers: Servers) -> str:
    """Make a database with the demo city in which every kind of incident is routed; return its name."""
    administer(servers, f"create database {TEMPLATE}")
    where = address(servers, TEMPLATE)
    migrate.upgrade(where)
    demo.load_demo(where)
    with psycopg.connect(psycopg_dsn(where)) as connection:
        row = connection.execute("select files ->> 'limits.toml' from policy_version").fetchone()
        assert row is not None
        everything = f"straight = {list(policies.MODES)}".replace("'", '"')
        text = "\n".join(everything if line.startswith("straight") else line for line in row[0].splitlines())
        connection.execute(
            "update policy_version set files = jsonb_set(files, '{limits.toml}', to_jsonb(%s::text))", (text,)
        )
        connection.execute("analyze")
    return TEMPLATE


def mixed_messages(database_url: str, count: int) -> list[bytes]:
    """Draw valid reports as a city sends them: all types, most with a point, some with a code, some without a type."""
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        row = connection.execute("select version, files from policy_version").fetchone()
        assert row is not None
        policy = policies.parse(row[0], row[1])
        world = World(spots(connection.cursor()), policy, SEED)
    rnd = Random(SEED)
    now = datetime.now(UTC)
    messages = []
    for number in range(count):
        happening = world.happening(now, rnd)
        message: dict[str, Any] = {
            "v": 1,
            "source": rnd.choice(("field_app", "hotline", "resident_app", "sensor")),
            "source_id": f"b{number:08d}",
            "text": happening.text,
            "reported_at": now.isoformat(),
        }
        if rnd.random() < 0.95:
            message["category"] = happening.kind.code
        if rnd.random() < 0.9:
            message |= {"lon": happening.lon, "lat": happening.lat}
        else:
            message["area"] = happening.spot.code
        if rnd.random() < 0.2:
            message["reporter"] = f"000{rnd.randrange(10**8):08d}"
        if rnd.random() < 0.3:
            message["photos"] = [f"https://photos.example/{number}.jpg"]
        messages.append(msgspec.json.encode(message))
    return messages


def measure_real(servers: Servers, messages: list[bytes]) -> Run:
    """Let one dispatcher work through the messages; the warm-up is not counted."""
    fill(servers, messages)
    dispatcher = _Timed(servers)
    worker = threading.Thread(target=dispatcher.run)
    freeze()
    worker.start()
    deadline = time.monotonic() + PATIENCE_S
    while dispatcher.settled < len(messages):
        if time.monotonic() > deadline or not worker.is_alive():
            raise RuntimeError(f"the dispatcher settled {dispatcher.settled} of {len(messages)} messages")
        time.sleep(0.05)
    dispatcher.stop()
    worker.join()
    gc.unfreeze()
    if dispatcher.tally.done != len(messages):
        raise RuntimeError(f"expected {len(messages)} incidents, got {dispatcher.tally}")
    counted = dispatcher.marks[WARM_UP // BATCH :]
    began = dispatcher.marks[WARM_UP // BATCH - 1][0]
    done = sum(size for _, size, _ in counted)
    return Run(done / (counted[-1][0] - began), [ms for _, _, ms in counted])


def measure_null(servers: Servers, messages: list[bytes], rows: dict[str, dict[str, str]]) -> Run:
    """Read, parse, copy ready-made rows, commit and acknowledge; the warm-up is not counted."""
    fill(servers, messages)
    stream = redis.Redis.from_url(servers.redis_url, protocol=2)
    decode = msgspec.json.Decoder().decode
    field_name = FIELD.encode()
    freeze()
    with psycopg.connect(psycopg_dsn(servers.database_url)) as connection:
        columns = {table: columns_of(connection, table) for table in TABLES}
        done, began = 0, 0.0
        while done < len(messages):
            if done == WARM_UP:
                began = time.perf_counter()
            answer = cast(Any, stream.xreadgroup(GROUP, "null", {STREAM: ">"}, count=BATCH))
            entries = answer[0][1]
            parsed = [decode(fields[field_name]) for _, fields in entries]
            with connection.cursor() as cursor:
                for table, ready in rows.items():
                    with cursor.copy(f"copy {table} ({columns[table]}) from stdin") as copy:
                        copy.write("".join([ready[one["source_id"]] for one in parsed]))
            connection.commit()
            stream.xack(STREAM, GROUP, *[key for key, _ in entries])
            done += len(entries)
        took = time.perf_counter() - began
    gc.unfreeze()
    stream.close()
    return Run((len(messages) - WARM_UP) / took)


def written_rows(database_url: str) -> dict[str, dict[str, str]]:
    """Return table -> source id -> the rows, as COPY text, that the real pipeline wrote for that message."""
    found: dict[str, dict[str, str]] = {}
    with psycopg.connect(psycopg_dsn(database_url)) as connection:
        ids: dict[int, str] = dict(connection.execute("select id, source_id from incident").fetchall())
        for table, key in TABLES.items():
            columns = columns_of(connection, table)
            place = columns.split(", ").index(key)
            lines: dict[str, list[str]] = defaultdict(list)
            with connection.cursor().copy(f"copy {table} ({columns}) to stdout") as copy:
                text = b"".join(copy).decode()
            for line in text.splitlines(keepends=True):
                lines[ids[int(line.split("\t")[place])]].append(line)
            found[table] = {source_id: "".join(of_one) for source_id, of_one in lines.items()}
            for source_id in ids.values():
                found[table].setdefault(source_id, "")
    return found


def columns_of(connection: psycopg.Connection[Any], table: str) -> str:
    """Return the columns of a table that are not filled in by the database."""
    rows = connection.execute(
        "select attname from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and attname <> 'tx' order by attnum",
        (table,),
    )
    return ", ".join(row[0] for row in rows)


def fill(servers: Servers, messages: list[bytes]) -> None:
    """Put the messages on an empty stream with its group at the beginning."""
    stream = redis.Redis.from_url(servers.redis_url, protocol=2)
    stream.flushdb()
    stream.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    for first in range(0, len(messages), 1_000):
        with stream.pipeline(transaction=False) as steps:
            for message in messages[first : first + 1_000]:
                steps.xadd(STREAM, {FIELD: message})
            steps.execute()
    stream.close()


def freeze() -> None:
    """Take what is only there to measure out of the collector's way, and collect as the dispatcher does; for both."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def database(servers: Servers, template: str, name: str) -> str:
    """Copy a database and return the copy's address."""
    administer(servers, f"create database {name} template {template} strategy file_copy")
    administer(servers, "checkpoint")
    return address(servers, name)


def address(servers: Servers, name: str) -> str:
    """Return the address of another database of the same server."""
    return make_url(servers.database_url).set(database=name).render_as_string(hide_password=False)


def administer(servers: Servers, statement: str) -> None:
    """Run one statement outside any transaction."""
    with psycopg.connect(psycopg_dsn(servers.database_url), autocommit=True) as connection:
        connection.execute(statement.encode())


class _Timed(Dispatcher):
    """A dispatcher that notes when each batch was settled, how many it held and how long that took."""

    def __init__(self, servers: Servers) -> None:
        super().__init__(servers, "bench", BATCH)
        self.marks: list[tuple[float, int, float]] = []
        self.settled = 0

    def _settle(self, batch: Batch) -> None:
        began = time.perf_counter()
        super()._settle(batch)
        now = time.perf_counter()
        self.marks.append((now, len(batch.ids), (now - began) * 1000))
        self.settled += len(batch.ids)
