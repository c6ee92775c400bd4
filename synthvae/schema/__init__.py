"""Public knowledge of a table: its columns, their kinds, their possible values, and the rules between them."""

from synthvae.schema.column import Column
from synthvae.schema.constraints import (
    Condition,
    Constraint,
    Difference,
    FixedCombinations,
    Formula,
    If,
    ImpliesMissing,
    Increments,
    Inequality,
    OneHot,
    RequiredIf,
    Sum,
    Unique,
)
from synthvae.schema.constraints.discovery import Proposal, propose
from synthvae.schema.schema import Schema

__all__ = [
    "Column",
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
    "Proposal",
    "RequiredIf",
    "Schema",
    "Sum",
    "Unique",
    "propose",
]


def __dir__() -> list[str]:
    return __all__
