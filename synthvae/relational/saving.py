"""Save and load a fitted database: one directory with all models, validated as that of a single table is."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter

from synthvae.codes import Slots
from synthvae.devices import find_device, own_modes
from synthvae.errors import ArtifactError, listing
from synthvae.privacy import Ledger
from synthvae.relational.child_encoding import ChildEncoding, joined_slots
from synthvae.relational.fitted_database import FittedChild, FittedDatabase, FittedRoot, FittedTable
from synthvae.relational.keys import Keys
from synthvae.relational.long_tables import LongTable
from synthvae.relational.network import Device, SequenceConfig, Weights, build_sequences, expected_weights
from synthvae.relational.relative_dates import RelativeDate
from synthvae.relational.totals import FittedTotal
from synthvae.schema.database import Database
from synthvae.schema.schema import Schema
from synthvae.synthesizer import artifact, persistence
from synthvae.training.checkpoint import content_hash

KIND = "database"  # the key of the document that tells it from that of a single table
PARAMETERS = ("effort", "max_steps", "protect")  # of an estimator that are saved as they are
LONG = "long_table"  # the key of the document that tells it from that of a database


def is_database(path: str | os.PathLike[str]) -> bool:
    """Whether a directory seems to have the model of a database; whoever loads it checks it."""
    try:
        content = (Path(path) / artifact.DOCUMENT).read_bytes()
        return KIND in json.loads(content)
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def save(
    path: str | os.PathLike[str],
    fitted: FittedDatabase,
    parameters: Mapping[str, Any],
    long: LongTable | None = None,
) -> None:
    """Write a fitted database to a directory: weights as safetensors, the rest as JSON, a card for people.

    Args:
        path: The directory.
        fitted: The models.
        parameters: The parameters of the estimator.
        long: The long table that the tables are parts of; None: they are those of a database.

    Raises:
        ArtifactError: The directory holds something that is not a model, or cannot be written.
    """
    document, weights = to_dict(fitted)
    document |= {"parameters": dict(parameters), **({} if long is None else {LONG: long.model_dump(mode="json")})}
    artifact.save(path, document, weights, _card(fitted))


def to_dict(fitted: FittedDatabase) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a fitted database as values of JSON and weights by name."""
    weights: dict[str, Any] = {}
    for number, table in enumerate(fitted.tables.values()):
        own = {f"{number}.{name}": tensor.detach().cpu().contiguous() for name, tensor in _weights(table.model).items()}
        weights |= own
    document = {
        KIND: fitted.database.to_dict(),
        "tables": {name: _table_to_dict(table) for name, table in fitted.tables.items()},
        "public": {name: _text(_ipc(table)) for name, table in fitted.public.items()},
        "ledger": None if fitted.ledger is None else fitted.ledger.model_dump(mode="json"),
    }
    return document, weights


def fingerprint(fitted: FittedDatabase) -> str:
    """Return a hash of everything that synthetic rows depend on."""
    return content_hash(*to_dict(fitted))


def load(path: str | os.PathLike[str], device: str) -> tuple[dict[str, Any], FittedDatabase]:
    """Return the parameters and the fitted database of a directory. Loading never executes code.

    Raises:
        ArtifactError: It is absent, damaged, of a newer format, or the model of a single or of a long table.
    """
    parameters, fitted, long = _load(path, device)
    if long is not None:
        raise ArtifactError(
            f"{path} must be the model of a database, got one of a long table. Use SequenceSynthesizer.load."
        )
    return parameters, fitted


def load_long(path: str | os.PathLike[str], device: str) -> tuple[dict[str, Any], FittedDatabase, LongTable]:
    """Return what `load` returns, and the long table that the tables are parts of.

    Raises:
        ArtifactError: It is absent, damaged, of a newer format, or another model.
    """
    parameters, fitted, long = _load(path, device)
    if long is None:
        raise ArtifactError(
            f"{path} must be the model of a long table, got one of a database. Use DatabaseSynthesizer.load."
        )
    return parameters, fitted, long


def _load(path: str | os.PathLike[str], device: str) -> tuple[dict[str, Any], FittedDatabase, LongTable | None]:
    """The parameters, the models, and the long table that the tables are parts of, if they are."""
    document, weights = artifact.load(path)
    source = str(path)
    if KIND not in document:
        raise ArtifactError(
            f"{source} must be the model of a database, got one of a single table. Use Synthesizer.load."
        )
    with persistence.refusing(source):
        long = LongTable.model_validate(document[LONG]) if LONG in document else None
        return {**document["parameters"]}, from_dict(document, weights, device, source), long


def _weights(model: FittedRoot | FittedChild) -> dict[str, Any]:
    if isinstance(model, FittedChild):
        return dict(model.network.state_dict())
    return {} if model.model is None else persistence.weights_of(model.model)


def _table_to_dict(table: FittedTable) -> dict[str, Any]:
    common = {
        "arrow": _text(table.arrow.serialize().to_pybytes()),
        "keys": table.keys.model_dump(mode="json"),
        "counts": dict(table.counts),
        "unique": {"columns": list(table.unique), "within": table.within},
        **({"totals": [total.model_dump(mode="json") for total in table.totals]} if table.totals else {}),
    }
    model = table.model
    if isinstance(model, FittedRoot):
        own = None if model.model is None else persistence.to_dict(model.model)
        dates = [date.model_dump(mode="json") for date in model.dates]
        return {**common, "root": {"rows": model.rows, "dates": dates, "model": own}}
    child = {
        "schema": None if model.schema is None else model.schema.to_dict(),
        "encoding": model.encoding.model_dump(mode="json"),
        "network": model.network.config._asdict(),
        "history": asdict(model.history),
    }
    return {**common, "child": child}


@own_modes()
def from_dict(document: Mapping[str, Any], weights: Weights, device_name: str, source: str) -> FittedDatabase:
    """Return the fitted database of a document that `to_dict` returned.

    Args:
        document: The document.
        weights: The weights.
        device_name: The device of the networks.
        source: The place of the document, for messages.

    Raises:
        ValueError: The document is not one of these.
    """
    device = find_device(device_name)
    database = Database.from_dict(document[KIND])
    if set(document["tables"]) != set(database.modelled) or set(document["public"]) != set(database.public):
        raise ValueError(f"the tables must be those of the database, got {listing(document['tables'])}")
    names = database.modelled
    found: dict[str, FittedTable] = {}
    slots: dict[str, Slots] = {}
    for number, name in enumerate(names):
        start = f"{number}."
        own = {key.removeprefix(start): tensor for key, tensor in weights.items() if key.startswith(start)}
        given = document["tables"][name]
        if "root" in given:
            root = _root(given["root"], own, device, source)
            slots[name] = Slots(()) if root.model is None else root.model.encoding.layout.slots
            model: FittedRoot | FittedChild = root
        else:
            child = _child(given["child"], own, [slots[other] for other in database.ancestors(name)], device)
            slots[name] = slots_of(child.encoding)
            model = child
        arrow = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(given["arrow"])))
        persistence.refuse_types(arrow)
        counts = {str(child): str(column) for child, column in given["counts"].items()}
        unique = tuple(str(column) for column in given["unique"]["columns"])
        keys = Keys.model_validate(given["keys"])
        totals = tuple(FittedTotal.model_validate(total) for total in given.get("totals", ()))
        within = bool(given["unique"]["within"])
        found[name] = FittedTable(arrow, keys, counts, model, unique, within, totals)
    public = {name: _read_ipc(base64.b64decode(text)) for name, text in document["public"].items()}
    ledger = document.get("ledger")
    return FittedDatabase(database, found, public, None if ledger is None else Ledger.model_validate(ledger))


def slots_of(encoding: ChildEncoding) -> Slots:
    """Return the digits and values of a child table as its descendants depend on them."""
    return encoding.slots if encoding.timeline is None else joined_slots(encoding.slots, encoding.timeline.clock.slots)


def _root(given: Mapping[str, Any], weights: Weights, device: Device, source: str) -> FittedRoot:
    rows = int(given["rows"])
    if given["model"] is None:
        return FittedRoot(None, rows)
    persistence.refuse_other_weights(given["model"], weights, source)
    model = persistence.from_dict(given["model"], weights, device, source)
    persistence.try_out(model, source)
    return FittedRoot(model, rows, tuple(RelativeDate.model_validate(date) for date in given["dates"]))


def _child(given: Mapping[str, Any], weights: Weights, ancestors: list[Slots], device: Device) -> FittedChild:
    encoding = ChildEncoding.model_validate(given["encoding"])
    config = TypeAdapter(SequenceConfig).validate_python(given["network"])
    slots = encoding.sequence_slots(ancestors)
    persistence.refuse_unlike(expected_weights(slots, config), weights)
    network = build_sequences(slots, config, 0)
    network.load_state_dict(dict(weights))
    schema = None if given["schema"] is None else Schema.from_dict(given["schema"])
    return FittedChild(schema, encoding, network.to(device).eval(), persistence.history_of(given["history"]))


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _read_ipc(content: bytes) -> pa.Table:
    table = pa.ipc.open_stream(content).read_all()
    persistence.refuse_types(table.schema)
    table.validate(full=True)
    return table


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _card(fitted: FittedDatabase) -> str:
    """The content of the card of the model."""
    lines = ["# Model of linked tables", "", "| table | belongs to | columns |", "| --- | --- | --- |"]
    for name, table in fitted.tables.items():
        parent = fitted.database.parents.get(name)
        lines.append(f"| {name} | {'' if parent is None else parent.parent} | {len(table.arrow.names)} |")
    lines += [f"| {name} | (public, copied) | {len(table.column_names)} |" for name, table in fitted.public.items()]
    return "\n".join([*lines, "", *_promise(fitted), ""])


def _promise(fitted: FittedDatabase) -> list[str]:
    if fitted.ledger is None:
        return ["No differential privacy. Values that few subjects have were replaced before training."]
    stated = fitted.ledger.statement()
    events = [f"- {event}" for event in stated["events"]]
    promise = f"Differential privacy: epsilon {stated['epsilon']}, delta {stated['delta']}; unit: {stated['unit']}."
    return [promise, "", *events]
