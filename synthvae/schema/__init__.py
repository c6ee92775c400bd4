"""Public knowledge of a table: its columns, their kinds and their possible values."""

from synthvae.schema.column import Column
from synthvae.schema.schema import Schema

__all__ = ["Column", "Schema"]
