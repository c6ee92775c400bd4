"""Rules between the columns of a table: `Constraint` and its kinds, which a schema lists under `constraints`.

Each rule states which columns it `touches` and which it has `computed`, what does not fit (`check`), where it `applies`
and `holds`, and how it computes a column (`compute`). `discovery.propose` finds rules in a table.
"""

from typing import Annotated

from pydantic import Field

from synthvae.schema.constraints.combinations import FixedCombinations, OneHot, Unique
from synthvae.schema.constraints.computed import Difference, Formula, Sum
from synthvae.schema.constraints.condition import Condition
from synthvae.schema.constraints.implications import If, ImpliesMissing, RequiredIf
from synthvae.schema.constraints.inequality import Increments, Inequality
from synthvae.schema.constraints.rule import Constraint

__all__ = [
    "Condition",
    "Constraint",
    "Difference",
    "FixedCombinations",
    "Formula",
    "If",
    "ImpliesMissing",
    "Increments",
    "Inequality",
    "OneHot",
    "RequiredIf",
    "Rule",
    "Sum",
    "Unique",
]

Rule = Annotated[
    Inequality
    | FixedCombinations
    | OneHot
    | Sum
    | Difference
    | Formula
    | Unique
    | ImpliesMissing
    | RequiredIf
    | If
    | Increments,
    Field(discriminator="kind"),
]
