"""Linked tables: sequences of rows per subject, and databases of several tables."""

from synthvae.relational.database_synthesizer import DatabaseSynthesizer
from synthvae.relational.sequence_synthesizer import SequenceSynthesizer
from synthvae.schema.database import Database
from synthvae.schema.foreign_keys import ForeignKey

__all__ = ["Database", "DatabaseSynthesizer", "ForeignKey", "SequenceSynthesizer"]
