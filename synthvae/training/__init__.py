"""Training without differential privacy."""

from synthvae.training.batches import Parts
from synthvae.training.config import SMALL, TrainingConfig
from synthvae.training.training import Trainer, train, train_in_group

__all__ = ["SMALL", "Parts", "Trainer", "TrainingConfig", "train", "train_in_group"]
