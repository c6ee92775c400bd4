"""Columns to codes and back: the narrow waist between tables and the model.

A column becomes a *state* (one of its levels), a state becomes one or a few small categorical *digits*, with a
continuous value behind them where numbers are too many to be told apart. The model sees digits and values only;
`Layout` says which belong to which column; nobody but this room knows what they mean.
"""

from synthvae.codes import Codes
from synthvae.encoding.layout import Layout
from synthvae.encoding.raw import Pixels
from synthvae.encoding.table import Order, TableEncoding
from synthvae.encoding.target import TargetEncoding

__all__ = ["Codes", "Layout", "Order", "Pixels", "TableEncoding", "TargetEncoding"]
