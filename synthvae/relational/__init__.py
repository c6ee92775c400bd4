"""Linked tables: sequences of rows per subject, and databases of several tables."""

from synthvae.relational.database_synthesizer import DatabaseSynthesizer
from synthvae.schema.database import Database, ForeignKey

__all__ = ["Database", "DatabaseSynthesizer", "ForeignKey"]
