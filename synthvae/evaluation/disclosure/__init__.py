"""Metrics of disclosure: copies, membership and attribute inference, linkage, singling out."""
