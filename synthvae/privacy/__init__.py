"""Differential privacy: a budget, what is bought with it, and the ledger of both.

Nothing that depends on private rows leaves this room without noise and an entry in the ledger; what is made of it
afterwards costs nothing more.
"""

from synthvae.privacy.budget import PrivacyBudget
from synthvae.privacy.events import Event
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Ledger
from synthvae.privacy.plan import Descending, Plan

__all__ = ["Descending", "Event", "Journal", "Ledger", "Plan", "PrivacyBudget"]
