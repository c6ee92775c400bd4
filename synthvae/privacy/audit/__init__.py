"""Attacks on private fits of made-up rows: a lower bound of epsilon, beside the upper bound of the ledger."""

from synthvae.privacy.audit.audit import audit

__all__ = ["audit"]
