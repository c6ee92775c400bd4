"""Noisy counts: a measured schema, bins and marginals, and what is derived from them without the data."""
