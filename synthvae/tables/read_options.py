"""`ReadOptions`: how a table is written in its file, as far as the file does not say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from synthvae.errors import ConfigurationError, TableError, listing

NAMED_SEPARATORS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " ", "bar": "|"}
FORMS = ("decimal", "thousands", "date_format")  # how values are written in text
TAKEN = {  # by the readers of each format
    "csv": {"encoding", "sep", "na_values", *FORMS},
    "excel": {"sheet", "na_values", *FORMS},
    "json": {"encoding", "na_values", *FORMS},
    "stata": {"na_values", *FORMS},
    "spss": {"encoding", "na_values", *FORMS},
    "sas": {"encoding", "na_values", *FORMS},
    "database": {"query", "na_values", *FORMS},
    "feather": set[str](),
    "parquet": set[str](),
}
SHELL = {name: f"--{name.replace('_', '-')}" for names in TAKEN.values() for name in names}
PRIVATE = {"encoding", "sep", "na_values"}  # those that concern each line alone
WAYS_OUT = {
    "query": "Pass the URL of a database (`postgresql://host/name`, `sqlite:///file.db`), or omit the query.",
    "sheet": "Pass an Excel file, or omit the sheet.",
    "encoding": "Omit it, since the file states its encoding.",
}


@dataclass(frozen=True)
class ReadOptions:
    r"""How a table is written in its file.

    `decimal`, `thousands` and `date_format` do not change values: `convert.read` leaves text as it is written, and
    `synthvae.schema.forms` declares the columns that have these forms, so that they come back in them. The function
    `synthvae.tables.read` converts such text to numbers and dates.

    Args:
        encoding: Character encoding of text files.
        sep: Separator of the fields of a text file, one character. None: the most frequent one in the header.
        decimal: Decimal separator of numbers in text.
        thousands: Separator of groups of three digits in text. None: there is none.
        date_format: Formats of dates and times in text, as of `datetime.strptime`; the first that all values of a
            column have is used.
        na_values: Texts that mean a missing value, besides an empty field.
        sheet: Name or number, from 1, of the sheet of an Excel file. None: the only one that is not empty.
        query: The SQL query whose rows are the table, if it is in a database.

    Raises:
        ConfigurationError: A separator is not one character, separators are equal, or a format has no directive.

    Example:
        >>> ReadOptions(sep="tab", date_format="%d.%m.%Y").sep
        '\t'
    """

    encoding: str = "utf-8"
    sep: str | None = None
    decimal: str = "."
    thousands: str | None = None
    date_format: str | Iterable[str] = ()
    na_values: str | Iterable[str] = ()
    sheet: str | int | None = None
    query: str | None = None

    def __post_init__(self) -> None:
        """Convert single texts to tuples, and validate."""
        for name in ("date_format", "na_values"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value or ()))
        object.__setattr__(self, "sep", NAMED_SEPARATORS.get(self.sep or "", self.sep))
        for name in ("sep", "decimal", "thousands"):
            self._check_character(name)
        if self.decimal == self.thousands:
            raise ConfigurationError(
                f"`decimal` and `thousands` must be different, got {self.decimal!r} for both. Name the other one, too."
            )
        for form in self.date_format:
            if "%" not in form:
                raise ConfigurationError(
                    f"`date_format` must have directives such as %d.%m.%Y, got {form!r}. See Python's strptime."
                )

    def _check_character(self, name: str) -> None:
        value = getattr(self, name)
        if value is None:
            return
        wrong = value == '"' or value.isalnum() or value in "\r\n" or not value.isascii() or len(value) != 1
        if wrong and not (name == "thousands" and value in {"\u00a0", "\u202f", "\u2019"}):
            raise ConfigurationError(f"`{name}` must be one character that separates, got {value!r}. Pass one.")

    @property
    def forms(self) -> bool:
        """Whether it is stated how numbers or dates are written."""
        return bool(self.decimal != "." or self.thousands or self.date_format)

    def of_synthetic(self, kind: str) -> Self:
        """Return the options for synthetic rows in a file of some format, written by synthvae.

        Their numbers are written as in the real table, which these options describe, and always as UTF-8.
        """
        return type(self)(decimal=self.decimal).taken_by(kind)

    @property
    def given(self) -> set[str]:
        """The names of the options that are not at their defaults."""
        return {field.name for field in fields(self) if getattr(self, field.name) != _DEFAULTS[field.name]}

    def check_taken(self, kind: str) -> None:
        """Refuse options that the reader of a format does not use.

        Raises:
            TableError: One is given.
        """
        unused = sorted(self.given - TAKEN[kind])
        if unused:
            way = WAYS_OUT.get(unused[0], "Omit it, since the file has types.")
            raise TableError(f"The option `{SHELL[unused[0]]}` is not used for a {kind} table. {way}")

    def check_private(self) -> None:
        """Refuse options that concern more than one line at a time, or that infer types from the rows.

        Raises:
            TableError: One is given.
        """
        wrong = sorted(self.given - PRIVATE)
        if wrong:
            raise TableError(
                f"Rows must be read one by one under a privacy budget, got the options "
                f"{listing(SHELL[name] for name in wrong)}, which infer types from all rows. Convert the table to "
                "Parquet first, with declared types."
            )

    def taken_by(self, kind: str) -> Self:
        """Return the options that the reader of a format uses, with defaults for the others."""
        unused = self.given - TAKEN[kind]
        defaults: dict[str, Any] = {name: _DEFAULTS[name] for name in unused}
        return replace(self, **defaults)


_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(ReadOptions)}
