"""A study on one reviewed page: split, fit, generate, evaluate, report, each done once."""

from synthvae.recipe.recipe import Recipe, json_schema
from synthvae.recipe.runner import Outcome, run

__all__ = ["Outcome", "Recipe", "json_schema", "run"]
