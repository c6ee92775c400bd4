"""Private functions of scikit-learn that have no public equivalent; no other module imports a private name of it."""

from __future__ import annotations

from sklearn.utils import _safe_indexing as take_rows
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = ["check_sample_weight", "take_rows"]
