"""Columns to codes and back: what tables and the model have in common.

The encoding of a column maps each value to a *state*, one of a finite number of levels. A state is represented by one
or a few small categorical *digits*; numbers with many distinct values also have a continuous value. The model works on
digits and continuous values only. `Layout` records which of them belong to which column.

Encodings of all kinds of columns implement `protocol.ColumnEncoding`.
"""

from synthvae.codes import Codes
from synthvae.encoding.layout import Layout
from synthvae.encoding.order import Order
from synthvae.encoding.raw import Pixels
from synthvae.encoding.table import TableEncoding
from synthvae.encoding.target import TargetEncoding

__all__ = ["Codes", "Layout", "Order", "Pixels", "TableEncoding", "TargetEncoding"]
