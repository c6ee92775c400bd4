"""Readers of tables (files, databases, DataFrames, arrays, Arrow), conversion to Arrow and back, and export."""

from synthvae.tables.read_options import ReadOptions
from synthvae.tables.reader import read

__all__ = ["ReadOptions", "read"]


def __dir__() -> list[str]:
    return __all__
