"""Training with differentially private SGD."""
