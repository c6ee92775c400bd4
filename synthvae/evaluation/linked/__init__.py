"""Evaluation of linked tables: keys, sequences, whole subjects."""
