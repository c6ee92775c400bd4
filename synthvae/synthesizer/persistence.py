"""A synthesizer on disk: what its directory says, and the checks of one that a stranger may have written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from synthvae.codes import Codes
from synthvae.devices import find_device
from synthvae.encoding import TableEncoding
from synthvae.errors import ArtifactError
from synthvae.model import CVAE, ModelConfig
from synthvae.model.build import build
from synthvae.privacy import Ledger
from synthvae.schema.schema import Schema
from synthvae.synthesizer import artifact
from synthvae.synthesizer.fitted_model import FittedModel
from synthvae.synthesizer.provenance import Provenance
from synthvae.tables import convert
from synthvae.training.history import History, Record

NOT_SAVED = ("schema", "privacy", "journal", "callbacks", "log_dir")  # stated elsewhere, or of no use to whoever loads
MOST_LEVELS = 128  # of a digit, which is a signed byte
MOST_ROWS = 1 << 63


class Loaded(NamedTuple):
    """What a directory says.

    Args:
        parameters: Of the synthesizer; none names a place on the disk of whoever loads it.
        model: The fitted model.
        has_names: Whether it was fitted to columns with names.
    """

    parameters: dict[str, Any]
    model: FittedModel
    has_names: bool


def save(
    path: str | os.PathLike[str],
    fitted: FittedModel,
    parameters: Mapping[str, Any],
    *,
    has_names: bool,
    card: str,
) -> None:
    """Write a fitted model to a directory: weights as safetensors, the rest as JSON, a card for people.

    Raises:
        ArtifactError: The directory holds something that is not a model, or cannot be written.
    """
    page = {
        "parameters": {name: _plain(value) for name, value in parameters.items() if name not in NOT_SAVED},
        "schema_given": parameters["schema"] is not None,
        "names_seen": has_names,
        **to_dict(fitted),
    }
    artifact.save(path, page, fitted.model.state_dict(), card)


def load(path: str | os.PathLike[str], device: str) -> Loaded:
    """Read a model directory.

    Raises:
        ArtifactError: It is absent, damaged, or of a newer format.
    """
    page, weights = artifact.load(path)
    source = str(path)
    refuse_other_weights(page, weights, source)
    fitted = from_dict(page, weights, find_device(device), source)
    try_out(fitted, source)
    with refusing(source):
        stated = {name: _unlisted(value) for name, value in {**page["parameters"]}.items()}
        schema = fitted.schema if page["schema_given"] else None
        budget = None if fitted.ledger is None else fitted.ledger.budget
        parameters = {**stated, **dict.fromkeys(NOT_SAVED), "schema": schema, "privacy": budget, "device": device}
        return Loaded(parameters, fitted, bool(page["names_seen"]))


def to_dict(fitted: FittedModel) -> dict[str, Any]:
    """Return all but the weights as JSON has it."""
    return {
        **fitted.provenance.page(),
        "schema": fitted.schema.to_dict(),
        "encoding": fitted.encoding.model_dump(mode="json"),
        "model": fitted.model.config.model_dump(mode="json"),
        "history": asdict(fitted.history),
        "ledger": None if fitted.ledger is None else fitted.ledger.model_dump(mode="json"),
    }


def from_dict(page: Mapping[str, Any], weights: Mapping[str, Tensor], device: torch.device, source: str) -> FittedModel:
    """The inverse of `to_dict`, with weights, as read from `source`.

    Raises:
        ArtifactError: They do not describe a model.
    """
    try:
        encoding = TableEncoding.model_validate(page["encoding"])
        network = _network(encoding, page)
        network.load_state_dict(weights)
        records = [Record(**record) for record in page["history"]["records"]]
        history = History(**{**page["history"], "records": records})
        ledger = None if page["ledger"] is None else Ledger.model_validate(page["ledger"])
        schema, provenance = Schema.from_dict(page["schema"]), Provenance.from_page(page)
        return FittedModel(schema, encoding, network.to(device).eval(), history, ledger, provenance)
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArtifactError(f"{source} does not describe a model ({reason}): restore it or fit again") from error


def _network(encoding: TableEncoding, page: Mapping[str, Any]) -> CVAE:
    return build(encoding.layout.slots, encoding.conditions, ModelConfig(**page["model"]), 0)


def _plain(value: Any) -> Any:
    """A parameter as JSON has it; what JSON cannot have (a generator's state) is None."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, tuple):
        return [_plain(part) for part in plain]
    return plain if plain is None or isinstance(plain, (bool, int, float, str)) else None


def _unlisted(value: Any) -> Any:
    """A parameter as JSON had it: a tuple was a list there."""
    return tuple(value) if isinstance(value, list) else value


def refuse_other_weights(page: Mapping[str, Any], weights: Mapping[str, Tensor], source: str) -> None:
    """Refuse weights that are not those of the model that a page describes; no memory is taken for it.

    Raises:
        ArtifactError: They have other names, shapes or types, or one is no number.
    """
    with refusing(source):
        encoding = TableEncoding.model_validate(page["encoding"])
        _refuse_types(encoding.arrow_schema)
        with torch.device("meta"):
            expected = _network(encoding, page).state_dict()
        other = set(expected) ^ set(weights)
        if other:
            raise ValueError(f"{min(other)!r} is among its weights or in its page, not both")
        for name, tensor in expected.items():
            if (weights[name].shape, weights[name].dtype) != (tensor.shape, tensor.dtype):
                raise ValueError(f"{name!r} is {tuple(weights[name].shape)}, not {tuple(tensor.shape)}")
            if tensor.is_floating_point() and not weights[name].isfinite().all():
                raise ValueError(f"{name!r} holds what is no number")


def try_out(fitted: FittedModel, source: str) -> None:
    """Decode a row for each level of each digit, and describe the model.

    Raises:
        ArtifactError: That cannot be done.
    """
    with refusing(source):
        encoding = fitted.encoding.model_copy(deep=True)  # what is reckoned here is not kept
        sizes = encoding.layout.sizes
        rows = max(sizes, default=1)
        counts = encoding.target.counts if encoding.target else (1,)
        known = len(counts) == encoding.conditions and all(0 <= count < MOST_ROWS for count in counts) and any(counts)
        if rows > MOST_LEVELS or not known:
            raise ValueError("levels or counts are such as no table has")
        digits = (np.arange(rows)[:, None] % np.array([sizes], np.int64)).astype(np.int8).reshape(rows, len(sizes))
        values = np.zeros((rows, len(encoding.layout.slots.values)), np.float32)
        codes = Codes(digits, values, np.arange(rows) % encoding.conditions)
        convert.to_pandas(encoding.decode(codes, np.random.default_rng(0)))
        if encoding.names != tuple(encoding.arrow_schema.names) or set(encoding.names) != set(fitted.schema.names):
            raise ValueError("columns have more than one list of names")
        fitted.describe()


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
