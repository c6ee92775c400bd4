"""The model behind scikit-learn's faces."""

from synthvae.estimators.outlier import VAEOutlierDetector
from synthvae.estimators.transformer import VAETransformer

__all__ = ["VAEOutlierDetector", "VAETransformer"]
