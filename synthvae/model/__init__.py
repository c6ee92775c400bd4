"""The conditional variational autoencoder over digits and continuous values, which are tensors.

Shape letters used in this package: B rows of a batch, J digits, V values, K levels of the widest digit, C conditions,
L latent dimensions, W width of the decoder, H hidden units.
"""

from synthvae.model.config import ModelConfig, ProposalName
from synthvae.model.cvae import CVAE, MATCHING_ROWS
from synthvae.model.decoders import Frequencies
from synthvae.model.diagnostics import activity
from synthvae.model.likelihood import bound_by_slot
from synthvae.model.rows import Rows, corrupted

__all__ = [
    "CVAE",
    "MATCHING_ROWS",
    "Frequencies",
    "ModelConfig",
    "ProposalName",
    "Rows",
    "activity",
    "bound_by_slot",
    "corrupted",
]
