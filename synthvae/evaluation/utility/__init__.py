"""Metrics of utility: models trained on synthetic rows and tested on real ones; fairness; survival."""
