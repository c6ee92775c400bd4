"""Rules between columns in the codes of rows that are being drawn."""

from synthvae.encoding.rules.rules import CompiledRules, Rules

__all__ = ["CompiledRules", "Rules"]
