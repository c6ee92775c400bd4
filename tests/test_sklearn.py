"""scikit-learn's own checks, and the uses that its users make."""

from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from synthvae import Synthesizer
from synthvae.estimators import VAETransformer

TINY = {"max_steps": 2, "width": 4, "latent_dim": 2, "random_state": 0}
REORDERED = "columns of a table are matched by name, so another order is no error"


@parametrize_with_checks(
    [Synthesizer(**TINY), VAETransformer(**TINY)],
    expected_failed_checks=lambda _: {"check_dataframe_column_names_consistency": REORDERED},
)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)
