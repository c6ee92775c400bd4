"""Estimators for scikit-learn: a transformer, an outlier detector, over-sampling and augmented estimators."""

from synthvae.estimators.augmented import AugmentedClassifier, AugmentedRegressor
from synthvae.estimators.outlier import VAEOutlierDetector
from synthvae.estimators.oversampler import VAEOverSampler
from synthvae.estimators.transformer import VAETransformer

__all__ = ["AugmentedClassifier", "AugmentedRegressor", "VAEOutlierDetector", "VAEOverSampler", "VAETransformer"]
