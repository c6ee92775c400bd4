"""Differentially private SGD (DP-SGD)."""
