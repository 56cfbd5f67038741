"""Moments as the tables hold them: UTC seconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime


def seconds(moment: datetime) -> float:
    return moment.timestamp()


def moment(value: float) -> datetime:
    return datetime.fromtimestamp(value, UTC)
