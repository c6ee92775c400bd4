"""Whether a page and weights describe a model: looked at before memory is taken, tried before it is trusted.

A model folder may come from a stranger, whose checksums are right. Its sizes are compared with the weights that are
there while the network is nothing but shapes; then every code that the model can draw is decoded once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from synthvae import tables
from synthvae.encoding import Codes, TableEncoding
from synthvae.errors import ArtifactError
from synthvae.learned import LearnedTable, build
from synthvae.model import ModelConfig

MOST_LEVELS = 128  # of a digit, which is a signed byte
MOST_ROWS = 1 << 63


def refuse_other_weights(page: Mapping[str, Any], weights: Mapping[str, Tensor], source: str) -> None:
    """Refuse weights that are not those of the model that a page describes; no memory is taken for it.

    Raises:
        ArtifactError: They have other names, shapes or types, or one is no number.
    """
    with refusing(source):
        encoding = TableEncoding.model_validate(page["encoding"])
        _refuse_types(encoding.arrow_schema)
        with torch.device("meta"):
            expected = build(encoding, ModelConfig(**page["model"]), 0).state_dict()
        other = set(expected) ^ set(weights)
        if other:
            raise ValueError(f"{min(other)!r} is among its weights or in its page, not both")
        for name, tensor in expected.items():
            if (weights[name].shape, weights[name].dtype) != (tensor.shape, tensor.dtype):
                raise ValueError(f"{name!r} is {tuple(weights[name].shape)}, not {tuple(tensor.shape)}")
            if tensor.is_floating_point() and not weights[name].isfinite().all():
                raise ValueError(f"{name!r} holds what is no number")


def try_out(learned: LearnedTable, source: str) -> None:
    """Decode a row for each level of each digit, and describe the model.

    Raises:
        ArtifactError: That cannot be done.
    """
    with refusing(source):
        encoding = learned.encoding.model_copy(deep=True)  # what is reckoned here is not kept
        sizes = encoding.layout.sizes
        rows = max(sizes, default=1)
        counts = encoding.target.counts if encoding.target else (1,)
        known = len(counts) == encoding.conditions and all(0 <= count < MOST_ROWS for count in counts) and any(counts)
        if rows > MOST_LEVELS or not known:
            raise ValueError("levels or counts are such as no table has")
        digits = (np.arange(rows)[:, None] % np.array([sizes], np.int64)).astype(np.int8).reshape(rows, len(sizes))
        values = np.zeros((rows, len(encoding.layout.slots.values)), np.float32)
        codes = Codes(digits, values, np.arange(rows) % encoding.conditions)
        tables.to_pandas(encoding.decode(codes, np.random.default_rng(0)))
        if encoding.names != tuple(encoding.arrow_schema.names) or set(encoding.names) != set(learned.schema.names):
            raise ValueError("columns have more than one list of names")
        learned.describe()


def _refuse_types(schema: pa.Schema) -> None:
    """Refuse types that no table that was learned has: some of them take any amount of memory for a row."""
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_nested(kind) or pa.types.is_fixed_size_binary(kind) or isinstance(kind, pa.BaseExtensionType):
            raise ValueError(f"column {field.name!r} is {kind}")


@contextlib.contextmanager
def refusing(source: str) -> Iterator[None]:
    """Whatever goes wrong with a page that a stranger may have written, it describes no model."""
    try:
        yield
    except ArtifactError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        raise ArtifactError(f"{source} does not describe a model ({reason}): restore it or fit again") from error
