"""The holdout of linked tables: subjects, the rows of the root table, with all their rows in all tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.errors import ConfigurationError, TableError, listing
from synthvae.recipe.holdout import hold_out, hold_out_privately
from synthvae.schema import linkage
from synthvae.schema.database import Database
from synthvae.schema.link_evidence import parent_rows

PLACE = "place"  # the column of the numbers of subjects
Tables = dict[str, pa.Table]


def hold_out_subjects(
    database: Database, tables: Mapping[str, pa.Table], share: float, seed: int, *, private: bool
) -> tuple[Tables, Tables]:
    """Return the tables of training subjects and those of the holdout, each in the order of the given ones.

    Public tables are on both sides.

    Args:
        database: The keys.
        tables: The tables, which obey them.
        share: Share of the subjects to hold out, between 0 and 1.
        seed: Seed of the draw.
        private: Whether each subject is held out by an independent draw from the operating system's entropy, as
            `hold_out_privately` does.

    Raises:
        ConfigurationError: There is not one root table, one side would have fewer than two subjects, or rows are linked
            to rows of subjects of the other side.
    """
    roots = [name for name in database.modelled if name not in database.parents]
    if len(roots) != 1:
        raise ConfigurationError(
            f"`split` must be of linked tables with one table without a parent, got {listing(roots)}. Divide the "
            "tables beforehand, and name the others as `evaluation.holdout`."
        )
    subjects = _subjects(database, tables)
    whole = pa.table({PLACE: np.arange(tables[roots[0]].num_rows)})
    held = (hold_out_privately if private else hold_out)(whole, share, seed)[1].column(PLACE).to_numpy()
    sides: list[Tables] = []
    for is_held in (False, True):
        side = {name: table for name, table in tables.items() if name in database.public}
        side |= {name: tables[name].filter(np.isin(own, held) == is_held) for name, own in subjects.items()}
        sides.append({name: side[name] for name in database.tables})
        try:
            linkage.check(database, sides[-1])
        except TableError as error:
            raise ConfigurationError(
                f"`split` must leave all rows to which rows of a subject are linked on its side. {error} Divide the "
                "tables beforehand, and name the others as `evaluation.holdout`."
            ) from error
    return sides[0], sides[1]


def _subjects(database: Database, tables: Mapping[str, pa.Table]) -> dict[str, npt.NDArray[np.int64]]:
    """The number (rows,) of the subject of each row of each modelled table."""
    found: dict[str, npt.NDArray[np.int64]] = {}
    for name in database.modelled:
        key = database.parents.get(name)
        own = np.arange(tables[name].num_rows)
        found[name] = own if key is None else found[key.parent][parent_rows(key, tables)]
    return found
