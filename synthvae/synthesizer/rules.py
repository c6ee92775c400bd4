"""The rules of a schema in a fit: the one place at which they reach a model."""

from __future__ import annotations

from synthvae.errors import warn_user
from synthvae.schema.schema import Schema


def enforce_rules(schema: Schema) -> None:
    """Make the synthetic rows of a model keep the rules of its schema: so far, warn that they need not.

    Every fit calls this function once, after the rows were checked. What a decoder needs is in the rules:
    `consistency.in_order` sorts computed columns, and `Constraint.learned` fills in combinations of the table.

    Args:
        schema: The schema of the model.
    """
    if schema.constraints:
        warn_user(
            f"synthetic rows are not made to keep the {len(schema.constraints)} rules of the schema. "
            "`synthvae evaluate` states how many rows break them."
        )
