"""Training on rows that nobody hides."""

from synthvae.training.config import SMALL, TrainingConfig
from synthvae.training.parts import Parts
from synthvae.training.run import Trainer, train

__all__ = ["SMALL", "Parts", "Trainer", "TrainingConfig", "train"]
