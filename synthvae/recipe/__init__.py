"""Recipes: a whole study from one YAML file (split, fit, generate, evaluate, report), each stage run once."""

from synthvae.recipe.recipe import Recipe, json_schema
from synthvae.recipe.runner import Outcome, run

__all__ = ["Outcome", "Recipe", "json_schema", "run"]


def __dir__() -> list[str]:
    return __all__
