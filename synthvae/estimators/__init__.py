"""Estimators for scikit-learn: a transformer, an imputer, an outlier detector, over-sampling, augmented estimators."""

from synthvae.estimators.augmented import AugmentedClassifier, AugmentedRegressor
from synthvae.estimators.imputer import VAEImputer
from synthvae.estimators.outlier import VAEOutlierDetector
from synthvae.estimators.oversampler import VAEOverSampler
from synthvae.estimators.transformer import VAETransformer

__all__ = [
    "AugmentedClassifier",
    "AugmentedRegressor",
    "VAEImputer",
    "VAEOutlierDetector",
    "VAEOverSampler",
    "VAETransformer",
]


def __dir__() -> list[str]:
    return __all__
