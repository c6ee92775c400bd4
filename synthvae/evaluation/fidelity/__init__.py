"""Metrics of fidelity: columns, pairs, support, detectability."""
