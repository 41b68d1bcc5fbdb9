"""Gather every table under one metadata, with the column types that all of them share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import BigInteger, DateTime, MetaData, Text
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

# Codes and numbers compare byte by byte, so that a subtree is one index range: `code LIKE '445302%'`.
Code = Annotated[str, mapped_column(Text(collation="C"))]
Instant = Annotated[datetime, mapped_column(DateTime(timezone=True))]
BigId = Annotated[int, mapped_column(BigInteger)]
Json = Annotated[dict[str, Any], mapped_column(JSONB)]
# `json`, unlike `jsonb`, keeps the text to the byte: what a hash was taken over must not be rewritten.
ExactJson = Annotated[dict[str, Any], mapped_column(JSON)]


class Base(DeclarativeBase):
    """Carry the one metadata that migrations and checks compare with."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def load_all() -> MetaData:
    """Import every module that declares tables and return their metadata."""
    from models.tables import accounts, city, field, incidents, notices, people, roster, scores

    return Base.metadata
