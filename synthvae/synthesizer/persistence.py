"""Save and load a synthesizer, and validate an untrusted directory: shapes first, then one decoded batch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from pydantic import TypeAdapter
from torch import Tensor

from synthvae.codes import Codes
from synthvae.devices import find_device, own_modes
from synthvae.encoding import TableEncoding
from synthvae.errors import ArtifactError
from synthvae.model import CVAE, ModelConfig
from synthvae.model.build import build, build_conditional
from synthvae.model.conditional import ConditionalConfig, ConditionalNetwork
from synthvae.privacy import Ledger
from synthvae.schema.schema import Schema
from synthvae.synthesizer import artifact
from synthvae.synthesizer.conditional_coding import layout_of
from synthvae.synthesizer.conditional_model import ConditionalModel
from synthvae.synthesizer.fitted_model import FittedModel
from synthvae.synthesizer.provenance import Provenance
from synthvae.tables import convert
from synthvae.tables.arrow import plain_type
from synthvae.training.history import History

NOT_SAVED = ("schema", "privacy", "journal", "callbacks", "log_dir")  # saved elsewhere, or of no use after loading
CONDITIONAL = "conditional."  # before the names of the weights of the network of any columns given any others
MOST_LEVELS = 128  # of a digit, which is stored as a signed byte
MOST_ROWS = 1 << 63


class Loaded(NamedTuple):
    """The content of a model directory.

    Args:
        parameters: Parameters of the synthesizer, without paths.
        model: The fitted model.
        has_names: Whether the columns of the training table had names.
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
    document = {
        "parameters": {name: _to_json(value) for name, value in parameters.items() if name not in NOT_SAVED},
        "schema_given": parameters["schema"] is not None,
        "names_seen": has_names,
        **to_dict(fitted),
    }
    artifact.save(path, document, weights_of(fitted), card)


def load(path: str | os.PathLike[str], device: str) -> Loaded:
    """Load a model directory.

    Raises:
        ArtifactError: It is absent, damaged, or of a newer format.
    """
    document, weights = artifact.load(path)
    source = str(path)
    if "database" in document:
        raise ArtifactError(
            f"{source} must be the model of a single table, got one of linked tables. Use DatabaseSynthesizer.load."
        )
    refuse_other_weights(document, weights, source)
    fitted = from_dict(document, weights, find_device(device), source)
    try_out(fitted, source)
    with refusing(source):
        stated = {name: _from_json(value) for name, value in {**document["parameters"]}.items()}
        schema = fitted.schema if document["schema_given"] else None
        budget = None if fitted.ledger is None else fitted.ledger.budget
        parameters = {**stated, **dict.fromkeys(NOT_SAVED), "schema": schema, "privacy": budget, "device": device}
        return Loaded(parameters, fitted, bool(document["names_seen"]))


def weights_of(fitted: FittedModel) -> dict[str, Tensor]:
    """Return the weights of all networks of a model by name."""
    weights = dict(fitted.model.state_dict())
    if fitted.conditional is not None:
        weights |= {CONDITIONAL + name: tensor for name, tensor in fitted.conditional.network.state_dict().items()}
    return weights


def to_dict(fitted: FittedModel) -> dict[str, Any]:
    """Return everything but the weights as a JSON document."""
    return {
        **fitted.provenance.to_dict(),
        "schema": fitted.schema.to_dict(),
        "encoding": fitted.encoding.model_dump(mode="json"),
        "model": fitted.model.config.model_dump(mode="json"),
        "history": asdict(fitted.history),
        "ledger": None if fitted.ledger is None else fitted.ledger.model_dump(mode="json"),
        **({} if fitted.conditional is None else {"conditional": _conditional_to_dict(fitted.conditional)}),
    }


def _conditional_to_dict(conditional: ConditionalModel) -> dict[str, Any]:
    return {"network": conditional.network.config._asdict(), "history": asdict(conditional.history)}


def _conditional_network(encoding: TableEncoding, document: Mapping[str, Any]) -> ConditionalNetwork | None:
    """The untrained network of any columns given any others in a document; None: it has none."""
    if document.get("conditional") is None:
        return None
    given = TypeAdapter(ConditionalConfig).validate_python(document["conditional"]["network"])
    return build_conditional(layout_of(encoding).slots, given, 0)


@own_modes()
def from_dict(
    document: Mapping[str, Any], weights: Mapping[str, Tensor], device: torch.device, source: str
) -> FittedModel:
    """The inverse of `to_dict`, with the weights.

    Args:
        document: The JSON document.
        weights: The weights by name.
        device: Where the network is computed.
        source: The directory, for messages.

    Raises:
        ArtifactError: They do not describe a model.
    """
    try:
        encoding = TableEncoding.model_validate(document["encoding"])
        network = _network(encoding, document)
        network.load_state_dict({name: w for name, w in weights.items() if not name.startswith(CONDITIONAL)})
        conditional = _conditional(encoding, document, weights, device)
        history = history_of(document["history"])
        ledger = None if document["ledger"] is None else Ledger.model_validate({**document["ledger"]})
        schema, provenance = Schema.from_dict(document["schema"]), Provenance.from_dict(document)
        return FittedModel(schema, encoding, network.to(device).eval(), history, ledger, provenance, conditional)
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArtifactError(f"{source} does not describe a model ({reason}). Restore it or fit again.") from error


def _conditional(
    encoding: TableEncoding, document: Mapping[str, Any], weights: Mapping[str, Tensor], device: torch.device
) -> ConditionalModel | None:
    network = _conditional_network(encoding, document)
    if network is None:
        return None
    own = {name.removeprefix(CONDITIONAL): w for name, w in weights.items() if name.startswith(CONDITIONAL)}
    network.load_state_dict(own)
    return ConditionalModel(encoding, network.to(device).eval(), history_of(document["conditional"]["history"]))


def history_of(given: Mapping[str, Any]) -> History:
    """The history of training in a document, with values of the right types and numbers of steps of at least 0."""
    history = TypeAdapter(History).validate_python({**given, "records": given["records"]})
    steps = [history.best_step, history.active_units or 0, *(record.step for record in history.records)]
    if min(steps) < 0:
        raise ValueError(f"a number of steps or units must be at least 0, got {min(steps)}")
    return history


def _network(encoding: TableEncoding, document: Mapping[str, Any]) -> CVAE:
    return build(encoding.layout.slots, encoding.conditions, ModelConfig(**document["model"]), 0)


def _to_json(value: Any) -> Any:
    """The JSON value of a parameter; None for one that has none (the state of a generator)."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, tuple):
        return [_to_json(part) for part in plain]
    return plain if plain is None or isinstance(plain, (bool, int, float, str)) else None


def _from_json(value: Any) -> Any:
    """The inverse of `_to_json`: JSON has lists for tuples."""
    return tuple(value) if isinstance(value, list) else value


def refuse_other_weights(document: Mapping[str, Any], weights: Mapping[str, Tensor], source: str) -> None:
    """Refuse weights that do not fit the network that a document describes, without allocating it.

    Raises:
        ArtifactError: They have other names, shapes or types, or one is not finite.
    """
    with refusing(source):
        encoding = TableEncoding.model_validate(document["encoding"])
        refuse_types(encoding.arrow_schema)
        with torch.device("meta"):
            expected = _network(encoding, document).state_dict()
            conditional = _conditional_network(encoding, document)
            if conditional is not None:
                expected |= {CONDITIONAL + name: tensor for name, tensor in conditional.state_dict().items()}
        refuse_unlike(expected, weights)


def refuse_unlike(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """Refuse weights that do not have the names, shapes and types of expected ones.

    Raises:
        ValueError: They do not, or one is not finite.
    """
    other = set(expected) ^ set(weights)
    if other:
        raise ValueError(f"weight {min(other)!r} is missing or superfluous")
    for name, tensor in expected.items():
        if (weights[name].shape, weights[name].dtype) != (tensor.shape, tensor.dtype):
            raise ValueError(f"weight {name!r} has shape {tuple(weights[name].shape)}, not {tuple(tensor.shape)}")
        if tensor.is_floating_point() and not weights[name].isfinite().all():
            raise ValueError(f"weight {name!r} is not finite")


def try_out(fitted: FittedModel, source: str) -> None:
    """Decode one row per level of each digit, and describe the model.

    Raises:
        ArtifactError: Either fails.
    """
    with refusing(source):
        encoding = fitted.encoding.model_copy(deep=True)  # cached properties of the copy are discarded
        sizes = encoding.layout.sizes
        rows = max(sizes, default=1)
        counts = encoding.target.counts if encoding.target else (1,)
        known = len(counts) == encoding.conditions and all(0 <= count < MOST_ROWS for count in counts) and any(counts)
        shares = encoding.target.shares if encoding.target else ()
        weighed = not shares or (len(shares) == len(counts) and all(0 <= s <= 1 for s in shares) and any(shares))
        if rows > MOST_LEVELS or not (known and weighed):
            raise ValueError("a number of levels or a count of a class is impossible")
        digits = (np.arange(rows)[:, None] % np.array([sizes], np.int64)).astype(np.int8).reshape(rows, len(sizes))
        values = np.zeros((rows, len(encoding.layout.slots.values)), np.float32)
        codes = Codes(digits, values, np.arange(rows) % encoding.conditions)
        convert.to_pandas(encoding.decode(codes, np.random.default_rng(0)))
        if encoding.names != tuple(encoding.arrow_schema.names) or set(encoding.names) != set(fitted.schema.names):
            raise ValueError("the names of the columns contradict each other")
        fitted.describe()


def refuse_types(schema: pa.Schema) -> None:
    """Refuse types that no training table has: some of them take any amount of memory per row."""
    for field in schema:
        kind = plain_type(field.type)
        if pa.types.is_nested(kind) or pa.types.is_fixed_size_binary(kind) or isinstance(kind, pa.BaseExtensionType):
            raise ValueError(f"column {field.name!r} has the unsupported type {kind}")


@contextlib.contextmanager
def refusing(source: str) -> Iterator[None]:
    """Turn any error in an untrusted document into an `ArtifactError`.

    Args:
        source: The directory, for messages.
    """
    try:
        yield
    except ArtifactError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        raise ArtifactError(f"{source} does not describe a model ({reason}). Restore it or fit again.") from error
