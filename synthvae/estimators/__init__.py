"""The model behind scikit-learn's faces."""

from synthvae.estimators.transformer import VAETransformer

__all__ = ["VAETransformer"]
