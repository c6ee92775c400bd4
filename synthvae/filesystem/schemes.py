"""Schemes of URLs: which are refused, before a library starts a process or asks a network for them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from synthvae.errors import ConfigurationError, DatasetError

DATASET_SCHEMES = ("file", "s3", "gs", "gcs")
# A scheme, or the first of several that are chained with "::". One letter is a drive of Windows. The slashes of a URL
# that was made a Path are one.
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?=:|/)")


def scheme_of(place: str | os.PathLike[str]) -> str | None:
    """Return the scheme of a URL in lower case; None for a path.

    >>> scheme_of("S3://bucket/rows"), scheme_of("zip::s3://bucket/rows"), scheme_of("rows/a:b"), scheme_of("C:/rows")
    ('s3', 'zip', None, None)
    """
    match = SCHEME.match(os.fspath(place))
    return match[1].lower() if match else None


def local_path(place: str | os.PathLike[str], what: str = "A file") -> Path:
    """Return the path of what is read or written on this machine alone. No library sees a URL.

    Args:
        place: The path.
        what: What it is of, for the message.

    Raises:
        ConfigurationError: It is a URL.
    """
    scheme = scheme_of(place)
    if scheme is not None:
        raise ConfigurationError(
            f"{what} must be at a path on this machine, got a URL with the scheme {scheme!r}. Pass a path; only "
            f"generated datasets may be at URLs ({', '.join(DATASET_SCHEMES)})."
        )
    return Path(place)


def check_dataset_scheme(place: str | os.PathLike[str]) -> None:
    """Refuse a URL of a dataset before a library interprets it, starts a process or asks a network for it.

    Raises:
        DatasetError: Its scheme is not one of `DATASET_SCHEMES`, or several are chained.
    """
    text, scheme = os.fspath(place), scheme_of(place)
    if scheme is not None and (scheme not in DATASET_SCHEMES or not text[len(scheme) :].startswith("://")):
        raise DatasetError(
            f"A dataset must be at a path, or at a URL with one of the schemes {', '.join(DATASET_SCHEMES)}, got the "
            f"scheme {scheme!r}. Write it there, and copy it with the tool of the other place."
        )
