"""Timestamps as whole numbers of steps since 1970."""

from __future__ import annotations

import datetime as dt
from typing import Any

SECOND, DAY = 1_000_000, 86_400_000_000  # in microseconds
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 (timestamps here have no zone, or are in UTC)


def steps_since_epoch(timestamp: dt.datetime, step: int) -> int:
    """Return the whole steps, of `step` microseconds each, from 1970 to a timestamp without a zone."""
    return (timestamp - EPOCH) // dt.timedelta(microseconds=step)


def midnight(bound: Any) -> dt.datetime:
    """Return the beginning of the day of a date or datetime, without a zone."""
    day = bound.date() if isinstance(bound, dt.datetime) else bound
    return dt.datetime.combine(day, dt.time.min)


def naive(bound: Any, time: dt.time) -> dt.datetime:
    """Return a datetime without a zone, in UTC if it had one; a date gets `time` as its time of day."""
    timestamp = bound if isinstance(bound, dt.datetime) else dt.datetime.combine(bound, time)
    return timestamp if timestamp.tzinfo is None else timestamp.astimezone(dt.UTC).replace(tzinfo=None)


def zone_of(bound: Any) -> dt.tzinfo | None:
    """Return the time zone of a datetime; None for a date."""
    return bound.tzinfo if isinstance(bound, dt.datetime) else None
