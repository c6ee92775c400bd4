"""The conditional variational autoencoder over digits. Knows tensors only: no tables, no column meanings.

Shape letters used in this room: B rows of a batch, J digits, K levels of the widest digit, C conditions, L latent
dimensions, W width of the decoder, H hidden units.
"""

from synthvae.model.cvae import CVAE, ModelConfig

__all__ = ["CVAE", "ModelConfig"]
