"""Linked tables in parts by subject: how many parts a request has, and the function that draws each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import safetensors.torch

from synthvae.devices import one_thread
from synthvae.errors import brief
from synthvae.generation.request import PART_ROWS
from synthvae.relational import saving
from synthvae.relational.database_drawing import draw_portion
from synthvae.relational.fitted_database import FittedDatabase
from synthvae.relational.lineage import LinkedTable
from synthvae.relational.portions import LinkedRequest
from synthvae.relational.totals import fill_totals
from synthvae.schema.database import Database

PILOT_SUBJECTS = 256  # whose rows are counted before a request of more subjects is divided


@dataclass(frozen=True)
class LinkedDraw:
    """The function that draws a part of linked tables, by number. Its pickle contains no code of the models.

    Args:
        fitted: The models.
        request: The subjects and their parts.
    """

    __repr__ = brief

    fitted: FittedDatabase
    request: LinkedRequest

    @classmethod
    def divided(
        cls,
        fitted: FittedDatabase,
        roots: Mapping[str, int],
        seed: int,
        given: Mapping[str, LinkedTable] | None = None,
    ) -> LinkedDraw:
        """Return the draw of a request, in parts of about `PART_ROWS` rows of all tables together.

        Args:
            fitted: The models.
            roots: The number of rows of each root table.
            seed: The seed of all draws.
            given: The rows that are given, by table.
        """
        most = max(roots.values(), default=0)
        parts = 1
        if most > PILOT_SUBJECTS and fitted.is_divisible:
            few = {name: min(count, PILOT_SUBJECTS) for name, count in roots.items()}
            pilot = cls.in_parts(fitted, few, seed, 1)(0)
            shares = {name: roots[root] / max(few[root], 1) for name in pilot if (root := fitted.database.root(name))}
            parts = min(max(round(sum(pilot[n].num_rows * shares[n] for n in pilot) / PART_ROWS), 1), most)
        return cls.in_parts(fitted, roots, seed, parts, given)

    @classmethod
    def in_parts(
        cls,
        fitted: FittedDatabase,
        roots: Mapping[str, int],
        seed: int,
        parts: int,
        given: Mapping[str, LinkedTable] | None = None,
    ) -> LinkedDraw:
        """Return the draw of a request in so many parts; see `divided`.

        Keys to which rows of other trees are linked are drawn first, and once more with the rest of their part.
        """
        request = LinkedRequest(parts, roots, seed, given=given or {})
        for name, columns in _linked_across(fitted).items():
            needed = _needed(fitted, name)
            keys = []
            for number in range(parts):
                with one_thread():
                    found = draw_portion(fitted, request.portion(number), needed)
                keys.append(found[name].select(columns))
            outside = {**request.outside, name: pa.concat_tables(keys, promote_options="permissive")}
            request = replace(request, outside=outside)
        return cls(fitted, request)

    def __call__(self, part: int) -> dict[str, pa.Table]:
        """Return the modelled tables of a part."""
        with one_thread():
            return draw_portion(self.fitted, self.request.portion(part))

    def sample(self, given: Mapping[str, pa.Table] | None = None) -> dict[str, pa.Table]:
        """Return all parts of all tables, also of public ones.

        Args:
            given: The given rows in their own order, before which no other row comes.
        """
        found: dict[str, list[pa.Table]] = {name: [table] for name, table in self.fitted.public.items()}
        found |= {name: [table] for name, table in (given or {}).items()}
        for part in range(self.request.parts):
            portion = self.request.portion(part)
            for name, table in self(part).items():
                own = portion.given_share(name)
                found.setdefault(name, []).append(table.slice(own.stop - own.start))
        of_one_type = {name: [table.cast(tables[-1].schema) for table in tables] for name, tables in found.items()}
        whole = {name: pa.concat_tables(of_one_type[name]) for name in self.fitted.database.tables}
        if given is None:
            return whole
        return fill_totals(self.fitted.database, self.fitted.totals, whole)  # given rows are without theirs

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle weights as safetensors: tensors would be sent in shared memory, which other machines do not have."""
        document, weights = saving.to_dict(self.fitted)
        return _restore, (json.dumps(document), safetensors.torch.save(weights), self.fitted.device, self.request)


def _restore(document: str, weights: bytes, device: str, request: LinkedRequest) -> LinkedDraw:
    fitted = saving.from_dict(json.loads(document), safetensors.torch.load(weights), device, "the model")
    return LinkedDraw(fitted, request)


def _linked_across(fitted: FittedDatabase) -> dict[str, list[str]]:
    """The tables to which rows of other trees are linked, in the order in which they are drawn, and their keys."""
    database: Database = fitted.database
    found: dict[str, dict[str, None]] = {}
    for key in database.foreign_keys:
        both = key.child in fitted.tables and key.parent in fitted.tables
        if both and database.root(key.child) != database.root(key.parent):
            found.setdefault(key.parent, {}).update(dict.fromkeys(key.parent_columns))
    return {name: list(found[name]) for name in fitted.tables if name in found}


def _needed(fitted: FittedDatabase, name: str) -> set[str]:
    """A table and all of its tree on which its rows depend: those that they belong to or are linked to."""
    database = fitted.database
    found, waiting = set[str](), [name]
    while waiting:
        own = waiting.pop()
        found.add(own)
        others = {key.parent for key in database.foreign_keys if key.child == own and key.parent in fitted.tables}
        waiting += [other for other in others - found if database.root(other) == database.root(name)]
    return found
