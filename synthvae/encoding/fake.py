"""Fake values: names, e-mails, addresses and the like, drawn from pools of parts and independent of the table."""

from __future__ import annotations

import hashlib
import math
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

from synthvae.encoding.arrays import in_dictionary
from synthvae.encoding.fake_pools import draw_pools, sizes
from synthvae.encoding.protocol import CodedColumn, GeneratedColumn
from synthvae.errors import RequestError, brief, warn_user
from synthvae.schema.column import Column
from synthvae.tables.arrow import is_text

Words = npt.NDArray[np.uint64]

ROUNDS = 6  # of the permutation
LARGEST = 1 << 62  # number of values
Pool = Annotated[tuple[str, ...], Field(min_length=1)]


class FakeEncoding(GeneratedColumn, BaseModel):
    """States: present, and "missing" if a value may be missing. A value is one text of each pool, joined.

    The texts of row k of a dataset follow from the seed of the request, the name of the column and k. The pools are
    those of a provider of Faker, so no value of the training table, nor a hash of one, is in the encoding.

    Args:
        name: The column.
        parts: The pools.
        overflow: The pool of which the first text is used until values would repeat; None: there is none.
        unique: Whether no value repeats as long as there are enough.
        strict: Whether more rows than there are values are refused.
        subject: The column whose equal values give equal fake values; None: each row has its own.
        missing: Whether "missing" has a state.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    kind: Literal["fake"] = "fake"
    name: str
    parts: Annotated[tuple[Pool, ...], Field(min_length=1)]
    overflow: int | None = None
    unique: bool = False
    strict: bool = False
    subject: str | None = None
    missing: bool

    @model_validator(mode="after")
    def _validate(self) -> Self:
        if self.overflow is not None and not 0 <= self.overflow < len(self.parts):
            raise ValueError("`overflow` must be the number of a pool")
        if math.prod(len(pool) for pool in self.parts) > LARGEST:
            raise ValueError("the pools have too many combinations")
        return self

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray) -> Self:
        """Return the encoding of a column; of its values, it is known whether some are missing, or some repeat.

        Raises:
            ConfigurationError: Faker is not installed.
            SchemaError: There is no such provider or locale.
        """
        present = values.drop_null()
        distinct = len(present) > 1 and len(pc.unique(present)) == len(present)
        missing = 0 < values.null_count < len(values)
        found = cls._of(column, unique=distinct if column.unique is None else column.unique, missing=missing)
        if found.unique and found.most < len(present):
            warn_user(
                f"column {column.name!r}: its {len(present):,} values are different, and the provider "
                f"{column.provider} has {found.most:,}, so that fake ones repeat. Declare `kind: id` for values that "
                "do not."
            )
        return found

    @classmethod
    def declare(cls, column: Column) -> Self:
        """Return the encoding of a declared column: none missing.

        Raises:
            ConfigurationError: Faker is not installed.
            SchemaError: There is no such provider or locale.
        """
        return cls._of(column, unique=bool(column.unique), missing=False)

    @classmethod
    def _of(cls, column: Column, *, unique: bool, missing: bool) -> Self:
        pools = draw_pools(str(column.provider), column.locale)
        return cls(
            name=column.name,
            parts=pools.parts,
            overflow=pools.overflow,
            unique=unique and column.subject is None,
            strict=bool(column.unique),
            subject=column.subject,
            missing=missing,
        )

    def decode(self, column: CodedColumn, kind: pa.DataType) -> pa.Array:
        """Return fake values (rows,) as an Arrow array of type `kind`.

        Raises:
            RequestError: The values must be unique, and there are too few.
        """
        seed = int(column.rng.integers(1 << 62)) if column.seed is None else column.seed
        key = _key(seed, self.name)
        numbers = column.row_numbers
        if self.unique:
            choices = self._without_repeats(numbers, key)
        else:
            choices = self._split(_hash(self._sources(column, numbers), key) % np.uint64(self._usual))
        texts = pc.binary_join_element_wise(*map(_take, self.parts, choices), "")
        array = pc.if_else(pa.array(column.states == 1), pa.scalar(None, pa.string()), texts)
        return _as_type(array, kind)

    @property
    def most(self) -> int:
        """The number of different values."""
        return self._usual * self._rounds

    @property
    def _rounds(self) -> int:
        return len(self.parts[self.overflow]) if self.overflow is not None else 1

    @property
    def _usual(self) -> int:
        """The number of values without those of the overflow."""
        return math.prod(sizes(self.parts, self.overflow))

    def _sources(self, column: CodedColumn, numbers: Words) -> Words:
        """What a value depends on: the number of its row, or the value of its subject."""
        if column.subjects is None:
            return numbers
        texts = column.subjects.cast(pa.string()) if not is_text(column.subjects.type) else column.subjects
        known = np.asarray(pd.util.hash_array(texts.fill_null("").to_numpy(zero_copy_only=False)), np.uint64)
        return np.where(texts.is_valid().to_numpy(zero_copy_only=False), known, numbers)

    def _without_repeats(self, numbers: Words, key: np.uint64) -> list[Words]:
        """Choices (pools, rows) that differ for different numbers, as far as there are enough."""
        usual, rounds = self._usual, self._rounds
        rows = int(numbers.max()) + 1 if len(numbers) else 0
        if self.strict and rows > self.most:
            raise RequestError(
                f"Values of column {self.name!r} must be unique, and its provider has {self.most:,}, got a request for "
                f"{rows:,} rows. Request fewer, remove `unique: true`, or declare `kind: id`."
            )
        choices = self._split(_permuted(numbers % np.uint64(usual), usual, key))
        if self.overflow is not None:
            choices[self.overflow] = numbers // np.uint64(usual) % np.uint64(rounds)
        return choices

    def _split(self, values: Words) -> list[Words]:
        """The text of each pool (pools, rows) for numbers of values, with the first one of an overflow."""
        choices = []
        for size in sizes(self.parts, self.overflow):
            choices.append(values % np.uint64(size))
            values = values // np.uint64(size)
        return choices


def _take(pool: tuple[str, ...], choices: Words) -> pa.Array:
    return pa.array(pool, pa.string()).take(pa.array(choices))


def _as_type(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Texts as an array of type `kind`, with a dictionary of their own where that is one."""
    if pa.types.is_dictionary(kind):
        return in_dictionary(texts, kind)
    return texts if texts.type == kind else pa.array(texts.to_pylist(), kind)


def _key(seed: int, name: str) -> np.uint64:
    """The key of a column in a request."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(errors="replace"), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def _hash(numbers: Words, key: np.uint64) -> Words:
    """Hash numbers (rows,) with a key: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), twice."""
    for addend in (key, np.uint64(0x9E3779B97F4A7C15)):
        numbers = numbers + addend
        numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        numbers = numbers ^ (numbers >> np.uint64(31))
    return numbers


def _permuted(numbers: Words, size: int, key: np.uint64) -> Words:
    """Permute 0 ... size - 1 by a key: a Feistel network on a power of 4, repeated until a number is below `size`.

    Source: Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002.
    """
    half = np.uint64(max((size - 1).bit_length() + 1, 2) // 2)
    permuted = _feistel(numbers, half, key)
    while (outside := permuted >= np.uint64(size)).any():
        permuted[outside] = _feistel(permuted[outside], half, key)
    return permuted


def _feistel(numbers: Words, half: np.uint64, key: np.uint64) -> Words:
    """Permute numbers (rows,) of 2 * `half` bits."""
    mask = np.uint64((1 << int(half)) - 1)
    left, right = numbers >> half, numbers & mask
    keys = _hash(np.arange(ROUNDS, dtype=np.uint64), key)
    for own in keys:
        left, right = right, left ^ (_hash(right, own) & mask)
    return np.asarray((left << half) | right, np.uint64)
