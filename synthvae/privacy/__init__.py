"""Differential privacy: the budget, the releases that it is spent on, and the ledger of both.

Nothing that depends on private rows leaves this package without noise and an entry in the ledger; what is computed from
a release afterwards is post-processing, which costs nothing.
"""

from synthvae.privacy.budget import PrivacyBudget
from synthvae.privacy.events import Event
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Ledger
from synthvae.privacy.plan import Descending, Plan

__all__ = ["Descending", "Event", "Journal", "Ledger", "Plan", "PrivacyBudget"]


def __dir__() -> list[str]:
    return __all__
