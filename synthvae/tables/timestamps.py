"""Timestamps as whole numbers of steps since 1970."""

from __future__ import annotations

import datetime as dt
from typing import Any

SECOND, DAY = 1_000_000, 86_400_000_000  # in microseconds
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 (moments are reckoned without a zone, or in UTC)


def since(moment: dt.datetime, step: int) -> int:
    """Whole steps, of so many microseconds, since 1970."""
    return (moment - EPOCH) // dt.timedelta(microseconds=step)


def _day(bound: Any) -> dt.datetime:
    day = bound.date() if isinstance(bound, dt.datetime) else bound
    return dt.datetime.combine(day, dt.time.min)


def naive(bound: Any, time: dt.time) -> dt.datetime:
    """A bound as a datetime without a zone, in UTC if it had one; `time` completes a date."""
    moment = bound if isinstance(bound, dt.datetime) else dt.datetime.combine(bound, time)
    return moment if moment.tzinfo is None else moment.astimezone(dt.UTC).replace(tzinfo=None)


def _zone(bound: Any) -> dt.tzinfo | None:
    return bound.tzinfo if isinstance(bound, dt.datetime) else None
