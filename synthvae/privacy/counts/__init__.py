"""Noisy counts: a schema, bins, marginals, and what follows from them without the data."""
