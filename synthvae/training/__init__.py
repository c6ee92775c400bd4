"""Training on rows that nobody hides."""

from synthvae.training.config import SMALL, TrainingConfig
from synthvae.training.fit import Trainer, train
from synthvae.training.parts import Parts

__all__ = ["SMALL", "Parts", "Trainer", "TrainingConfig", "train"]
