"""Read the rows of a query in a database through ADBC, Arrow's database drivers (extra `[sql]`).

The drivers of PostgreSQL and SQLite come with their packages, so nothing is downloaded. Rows arrive as Arrow batches.
Whatever a URL contains besides host and name of the database is a secret: it is in no message, no log and no `repr`.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Self
from urllib.parse import parse_qsl, quote, unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import ConfigurationError, TableError
from synthvae.tables import untrusted
from synthvae.tables.arrow import MAX_DIGITS, is_text

SCHEMES = {"postgresql": "postgresql", "postgres": "postgresql", "sqlite": "sqlite"}
HIDDEN = "***"
BATCH_ROWS = 1 << 16  # SQLite's types are those of the first batch
MAX_SCALE = 38  # digits of a decimal

_ANY_URL = re.compile(r"^([A-Za-z][A-Za-z0-9.-]+)(\+[\w.+-]+)?:[/:]")  # a letter alone is a drive of Windows
# A password with an unquoted "@", "/", "?" or "#" does not match, so that no part of it is taken for the host.
_SERVER_URL = re.compile(r"^\w+://(?:([^@/?#:]*)(?::([^@/?#:]*))?@)?([^@/?#]*)(?:/([^@/?#]*))?(?:\?([^@?#]*))?$")


@dataclass(frozen=True)
class DatabaseUrl:
    """The URL of a database, shown without user, password and options.

    Args:
        text: The URL.
        scheme: The name of its driver.

    Example:
        >>> str(DatabaseUrl.parse("postgresql://ann:s3cret@db.example:5433/clinic?sslmode=require"))
        'postgresql://db.example:5433/clinic'
    """

    text: str = field(repr=False)
    scheme: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the URL in a text.

        Raises:
            TableError: There is no driver for it.
        """
        match = _ANY_URL.match(text)
        name = match.group(1).lower() if match else ""
        if match is None or name not in SCHEMES or text[match.end() - 1 :][:2] != "//":
            raise TableError(
                f"The scheme of the URL of a table must be postgresql or sqlite, got {name or 'another text'}:. Query "
                "that database with its own client, and pass a Parquet file or a DataFrame."
            )
        return cls(text, SCHEMES[name])

    def __str__(self) -> str:
        """Return the URL without secrets."""
        if self.scheme == "sqlite":
            return f"sqlite:///{self.file}"
        match = _SERVER_URL.match(self._bare)
        return f"{self.scheme}://{HIDDEN if match is None else '/'.join(filter(None, match.group(3, 4)))}"

    @property
    def _bare(self) -> str:
        """The URL without the name of a driver of SQLAlchemy, as in postgresql+psycopg."""
        return re.sub(r"^\w+(\+\w+)?:", f"{self.scheme}:", self.text, count=1)

    @property
    def file(self) -> Path:
        """The file of an SQLite database."""
        return Path(unquote(self._bare.removeprefix("sqlite://").removeprefix("/").partition("?")[0]))

    @property
    def uri(self) -> str:
        """The URI for the driver; an SQLite database is opened for reading only."""
        return f"file:{quote(str(self.file))}?mode=ro" if self.scheme == "sqlite" else self._bare

    def without_secrets(self, message: str) -> str:
        """Return a message of the driver without any part of the URL that is not shown."""
        match = _SERVER_URL.match(self._bare)
        if self.scheme == "sqlite":
            return message
        if match is None:
            return "the URL is not valid; write special characters of a password as %40 and the like"
        user, password, _, _, options = match.groups()
        values = [value for _, value in parse_qsl(options or "", keep_blank_values=True)]
        raw = [part.partition("=")[2] for part in (options or "").split("&")]
        secrets = {
            self.text,
            self._bare,
            *(user, password),
            *map(unquote, filter(None, (user, password))),
            *values,
            *raw,
        }
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            message = message.replace(secret, HIDDEN)
        return message


def is_url(source: object) -> bool:
    """Whether a source is the URL of a database, or a text like one.

    Raises:
        TableError: It is a `Path` that was made from a URL, whose slashes are lost.
    """
    if isinstance(source, Path) and _ANY_URL.match(source.as_posix()):
        raise TableError("The URL of a table must be a text, got a Path of one. Pass the text.")
    return isinstance(source, DatabaseUrl) or (isinstance(source, str) and _ANY_URL.match(source) is not None)


def read(url: DatabaseUrl, query: str | None) -> pa.Table:
    """Return the rows of a query; the transaction is for reading only, and ends without a commit.

    Raises:
        TableError: No query is given, or the database refuses the connection or the query.
        ConfigurationError: The driver is not installed.
        FileNotFoundError: There is no such file (SQLite).
    """
    if not query:
        raise TableError(f"A database needs a query whose rows are the table, got none for {url}. Pass `--query`.")
    driver = _driver(url)
    if url.scheme == "sqlite" and not url.file.is_file():
        raise FileNotFoundError(f"No such table: {url}")
    with _redacted(url), driver.connect(url.uri) as connection, connection.cursor() as cursor:
        if url.scheme == "postgresql":
            cursor.execute("SET TRANSACTION READ ONLY")
        else:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)})
        cursor.execute(query)
        table = _collected(url, cursor.fetch_record_batch())
        table.validate(full=True)  # else text that is not UTF-8 raises an error much later
        return _plain(table)


@contextlib.contextmanager
def _redacted(url: DatabaseUrl) -> Iterator[None]:
    """Convert every error of a driver to a `TableError` without secrets, and without the error itself as its cause."""
    try:
        yield
    except TableError:
        raise
    except Exception as error:  # noqa: BLE001 (drivers raise errors of several hierarchies)
        reason = url.without_secrets(" ".join(str(error).split()))[:300]
        way = "CAST columns of several types AS TEXT" if "Type mismatch" in reason else "Check the URL and the query"
        raise TableError(f"{url} cannot be read ({reason}). {way}.") from None


def _driver(url: DatabaseUrl) -> ModuleType:
    try:
        return importlib.import_module(f"adbc_driver_{url.scheme}.dbapi")
    except ImportError as error:
        raise ConfigurationError("Databases need the drivers of ADBC. Install synthvae[sql].") from error


def _collected(url: DatabaseUrl, batches: pa.RecordBatchReader) -> pa.Table:
    """The batches as a table, as long as they fit into memory."""
    found, size = [], 0
    for batch in batches:
        found.append(batch)
        size += batch.nbytes
        untrusted.refuse_size(str(url), size)
    return pa.Table.from_batches(found, batches.schema)


def _plain(table: pa.Table) -> pa.Table:
    """The table with columns of types of a database alone as text or numbers.

    Raises:
        TableError: A column has a type without a text.
    """
    for place, column in enumerate(table.schema):
        if isinstance(column.type, pa.BaseExtensionType) or pa.types.is_fixed_size_binary(column.type):
            table = table.set_column(place, column.name, _plain_column(column, table.column(place)))
        elif not _is_simple(column.type):
            raise _unknown(column)
    return table.replace_schema_metadata(None)


def _is_simple(kind: pa.DataType) -> bool:
    simple = is_text(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind) or pa.types.is_temporal(kind)
    interval = kind == pa.month_day_nano_interval()
    return (
        (simple and not interval)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
    )


def _plain_column(column: pa.Field, values: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    name = getattr(kind, "type_name", "")
    stored = pa.chunked_array(
        [getattr(chunk, "storage", chunk) for chunk in values.chunks], getattr(kind, "storage_type", kind)
    )
    if name == "numeric":
        return _numbers(stored)
    if name == "uuid" or (pa.types.is_fixed_size_binary(stored.type) and stored.type.byte_width == 16):
        return pa.chunked_array(
            [[None if value is None else str(uuid.UUID(bytes=value)) for value in stored.to_pylist()]], pa.string()
        )
    if is_text(stored.type):
        return stored
    raise _unknown(column)


def _unknown(column: pa.Field) -> TableError:
    kind = getattr(column.type, "type_name", str(column.type))
    return TableError(
        f"Column {column.name!r}: values must be numbers, text, dates or booleans, got the database's type {kind}. "
        f"CAST it AS TEXT in the query, or omit it."
    )


def _numbers(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Exact numbers as doubles if those have all their digits, else as decimals."""
    digits = pc.utf8_length(pc.replace_substring_regex(texts, r"^-?0*|\.", ""))
    if (pc.max(digits).as_py() or 0) <= MAX_DIGITS:
        return texts.cast(pa.float64())
    scales = pc.utf8_length(pc.replace_substring_regex(texts, r"^[^.]*\.?", ""))
    return texts.cast(pa.decimal128(MAX_SCALE, int(np.max(scales.drop_null().to_numpy(), initial=0))))
