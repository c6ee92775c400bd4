"""Privacy auditing: attacks on private fits of canaries bound epsilon from below, the ledger bounds it from above."""

from synthvae.privacy.audit.audit import audit

__all__ = ["audit"]
