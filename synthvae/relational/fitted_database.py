"""A fitted database: a model of each root table, a network of each child table, and rows that are drawn from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.exceptions import NotFittedError

from synthvae.errors import brief
from synthvae.privacy.ledger import Ledger
from synthvae.relational.child_encoding import ChildEncoding
from synthvae.relational.keys import ChosenLink, Keys
from synthvae.relational.network import SequenceNetwork
from synthvae.relational.relative_dates import RelativeDate
from synthvae.relational.sequences import Places
from synthvae.relational.totals import FittedTotal
from synthvae.schema.database import Database
from synthvae.schema.schema import Schema
from synthvae.synthesizer.card import NOT_PRIVATE
from synthvae.synthesizer.fitted_model import FittedModel
from synthvae.tables.arrow import plain_type
from synthvae.training.history import History


@dataclass(frozen=True)
class FittedRoot:
    """The model of a table without a parent.

    Args:
        model: The model of its rows, with the numbers of their children as columns; None if it has only keys.
        rows: The number of training rows.
        dates: Dates that are modelled as differences.
    """

    __repr__ = brief

    model: FittedModel | None
    rows: int
    dates: tuple[RelativeDate, ...] = ()

    @property
    def encodings(self) -> dict[str, Any]:
        """The encodings of all columns as they are, from which those of descendants may be differences."""
        columns = {} if self.model is None else dict(self.model.encoding.columns)
        return {**columns, **{date.name: date.encoding for date in self.dates}}


@dataclass(frozen=True)
class FittedChild:
    """The model of a child table.

    Args:
        schema: The schema of the columns that are modelled; None without any.
        encoding: Their encoding.
        network: The fitted network, in evaluation mode.
        history: Its training history; the bound is in nats per row.
    """

    __repr__ = brief

    schema: Schema | None
    encoding: ChildEncoding
    network: SequenceNetwork
    history: History


@dataclass(frozen=True)
class FittedTable:
    """What is known of one table.

    Args:
        arrow: The Arrow schema of the table, with all columns that synthetic rows have.
        keys: How its key columns are filled.
        counts: The columns with the number of rows in each child table, by child.
        model: The model of a root or of a child table.
        unique: Columns that are modelled in which no two rows are equal; () if they may be.
        within: Whether this holds for the rows of one parent; otherwise for all.
        totals: The columns that are computed from the rows of child tables.
    """

    __repr__ = brief

    arrow: pa.Schema
    keys: Keys
    counts: Mapping[str, str]
    model: FittedRoot | FittedChild
    unique: tuple[str, ...] = ()
    within: bool = True
    totals: tuple[FittedTotal, ...] = ()


@dataclass(frozen=True)
class FittedDatabase:
    """The models of all tables, each after the tables that it refers to.

    Args:
        database: The keys.
        tables: The models by table.
        public: The public tables, as they are.
        ledger: What was spent of a privacy budget; None: the fit had none.
    """

    __repr__ = brief

    database: Database
    tables: Mapping[str, FittedTable]
    public: Mapping[str, pa.Table]
    ledger: Ledger | None = None

    @property
    def device(self) -> str:
        """The device of the networks."""
        for table in self.tables.values():
            if isinstance(table.model, FittedChild):
                return str(next(table.model.network.parameters()).device)
            if table.model.model is not None:
                return str(table.model.model.device)
        return "cpu"

    @property
    def totals(self) -> dict[str, tuple[FittedTotal, ...]]:
        """The columns that are computed from the rows of child tables, by table."""
        return {name: table.totals for name, table in self.tables.items() if table.totals}

    @property
    def roots(self) -> dict[str, int]:
        """The number of training rows of each root table."""
        return {n: t.model.rows for n, t in self.tables.items() if isinstance(t.model, FittedRoot)}

    def is_divided(self, name: str, link: ChosenLink) -> bool:
        """Whether each part chooses among its own share of the rows of another tree, so that no row is chosen twice.

        The same holds for a key that would not differ in two parts otherwise.
        """
        parent = self.database.parents.get(name)
        chosen = {column.name for column in self.tables[name].keys.columns if column.link == link.link}
        own = () if parent is None else parent.columns
        keys = distinct_keys(self.database, name, self.tables[name].keys)
        return link.once or any(chosen & set(key) and not set(own) <= set(key) for key in keys)

    @property
    def is_divisible(self) -> bool:
        """Whether parts that are drawn apart have different keys: no table needs rows that differ in learned values."""
        for name, table in self.tables.items():
            if isinstance(table.model, FittedRoot) and distinct_keys(self.database, name, table.keys):
                return False
            if table.unique and not table.within:
                return False
        return True

    def describe(self) -> dict[str, Any]:
        """Return what the model is as values of JSON; none of it is a value of a training row."""
        columns = {name: list(table.arrow.names) for name, table in self.tables.items()}
        columns |= {name: list(table.column_names) for name, table in self.public.items()}
        return {
            "tables": {name: columns[name] for name in self.database.tables},
            "roots": {name: {"rows": rows} for name, rows in self.roots.items()},
            "links": [str(key) for key in self.database.foreign_keys],
            "order": dict(self.database.order),
            "public": list(self.database.public),
            **({"totals": [str(total) for total in self.database.totals]} if self.database.totals else {}),
            "privacy": NOT_PRIVATE if self.ledger is None else self.ledger.statement(),
        }

    def types_of(self, name: str) -> dict[str, pa.DataType]:
        """Return the types of the columns of a table, also of those that it carries for its child tables."""
        found = {field.name: field.type for field in self.tables[name].arrow}
        for child, key in self.database.parents.items():
            if key.parent == name:
                carried = [column for column in self.tables[child].keys.columns if column.how == "carried"]
                found |= {c.column: plain_type(self.tables[child].arrow.field(c.name).type) for c in carried}
        return found


def refuse_unfitted(estimator: object) -> None:
    """Refuse an estimator of linked tables that is not fitted, as scikit-learn does.

    Raises:
        NotFittedError: It has no attribute `learned_`.
    """
    if not hasattr(estimator, "learned_"):
        raise NotFittedError(
            f"This {type(estimator).__name__} instance is not fitted yet. Call 'fit' with appropriate arguments before "
            "using this estimator."
        )


def distinct_keys(database: Database, name: str, keys: Keys) -> list[list[str]]:
    """Return the columns in which no two rows of a table are equal, where that depends on links that are chosen.

    The same holds for the key of a root table if none of its columns has new ids in all rows.
    """
    primary, unique = database.primary_keys.get(name, ()), database.unique.get(name, ())
    fresh = {column.name for column in keys.columns if column.how == "fresh"}
    chosen = {column.name for column in keys.columns if column.how == "chosen"}
    link = database.parents.get(name)
    found = []
    if primary and not fresh & set(primary) and (link is None or chosen & set(primary)):
        found.append(list(primary))
    if link is not None and chosen & set(unique):
        found.append(list(dict.fromkeys((*link.columns, *unique))))
    return found


def first_ones(rows: pa.Table, scopes: Places) -> Places:
    """Return the places of the rows that are equal to no earlier row of the same scope."""
    keys = {str(place): column.combine_chunks() for place, column in enumerate(rows.columns)}
    frame = pa.table({**keys, "scope": pa.array(scopes)}).to_pandas()
    return np.flatnonzero(~frame.duplicated().to_numpy())
