"""The model behind scikit-learn's faces."""

from synthvae.estimators.augmented import AugmentedClassifier, AugmentedRegressor
from synthvae.estimators.outlier import VAEOutlierDetector
from synthvae.estimators.oversampler import VAEOverSampler
from synthvae.estimators.transformer import VAETransformer

__all__ = ["AugmentedClassifier", "AugmentedRegressor", "VAEOutlierDetector", "VAEOverSampler", "VAETransformer"]
