"""Training on rows that nobody hides."""

from synthvae.training.batches import Parts
from synthvae.training.config import SMALL, TrainingConfig
from synthvae.training.training import Trainer, train

__all__ = ["SMALL", "Parts", "Trainer", "TrainingConfig", "train"]
