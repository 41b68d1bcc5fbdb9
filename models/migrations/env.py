"""Runs migrations for Alembic: one process at a time, with short waits for locks, over the project's tables."""

from __future__ import annotations

import zlib

from alembic import context
from sqlalchemy import create_engine, pool, text

from models import tables
from models.servers.database import addresses

LOCK_TIMEOUT_MS = 3_000
# Everybody who migrates this database takes this advisory lock first.
ADVISORY_KEY = zlib.crc32(b"gridwhistle migrations")
ADVISORY_TIMEOUT_MS = 60_000

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
        )
        with context.begin_transaction():
            context.run_migrations()
    _engine.dispose()
