"""Runs migrations for Alembic: one process at a time, with short waits for locks, over the project's tables."""

from __future__ import annotations

import time
import zlib

from alembic import context
from alembic.runtime.migration import MigrationInfo
from alembic.script import Script
from sqlalchemy import create_engine, pool, text

from models import tables
from models.servers.database import addresses

LOCK_TIMEOUT_MS = 3_000
# Everybody who migrates this database takes this advisory lock first.
ADVISORY_KEY = zlib.crc32(b"gridwhistle migrations")
ADVISORY_TIMEOUT_MS = 60_000

_told = context.config.attributes.get("told")
_steps = False  # whether a database with a schema takes them
_at = [time.perf_counter()]  # when the step before was done


def _applied(ctx: object, step: MigrationInfo, heads: object, run_args: object) -> None:
    """Tell of a step that was taken, unless the database is only being made."""
    began, _at[0] = _at[0], time.perf_counter()
    if _told is not None and _steps and isinstance(step.up_revision, Script):
        words = " ".join(step.up_revision.doc.split())
        _told(f"the database goes to schema {step.up_revision_id} ({_at[0] - began:.1f} s): {words}")


_url = context.config.attributes.get("database_url") or addresses().database_url

if context.is_offline_mode():
    context.configure(
        url=_url,
        target_metadata=tables.load_all(),
        literal_binds=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    _engine = create_engine(_url, poolclass=pool.NullPool)
    with _engine.connect() as _guard, _engine.connect() as _connection:
        # The guard's session holds the advisory lock across every migration's own transaction.
        _guard.execute(text(f"SET lock_timeout = {ADVISORY_TIMEOUT_MS}"))
        _guard.execute(text(f"SELECT pg_advisory_lock({ADVISORY_KEY})"))
        # The guard must not sit in a transaction: it would hold back vacuum and be ended as idle.
        _guard.commit()
        _connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
        _connection.commit()
        context.configure(
            connection=_connection,
            target_metadata=tables.load_all(),
            compare_type=True,
            compare_server_default=True,
            transaction_per_migration=True,
            on_version_apply=_applied,
        )
        _steps = bool(context.get_context().get_current_heads())
        _connection.commit()
        _at[0] = time.perf_counter()
        with context.begin_transaction():
            context.run_migrations()
    _engine.dispose()
