"""A synthesizer on disk, and the card that says what it is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from synthvae.devices import find_device
from synthvae.encoding import Codes, TableEncoding
from synthvae.errors import ArtifactError
from synthvae.model import ModelConfig
from synthvae.synthesizer import artifact, card
from synthvae.synthesizer.fitted import Fitted
from synthvae.synthesizer.fitted_model import LearnedTable, build
from synthvae.tables import convert

NOT_KEPT = ("schema", "privacy", "journal", "callbacks", "log_dir")  # told elsewhere, or of no use to whoever loads it


class Kept(Fitted):
    """What can be written down of a fitted synthesizer, and read again."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to a directory: weights as safetensors, the rest as JSON.

        Raises:
            ArtifactError: The directory holds something that is not a model, or cannot be written.
        """
        check_is_fitted(self)
        page = {
            "parameters": {name: _plain(value) for name, value in self.get_params().items() if name not in NOT_KEPT},
            "schema_given": self.schema is not None,
            "names_seen": hasattr(self, "feature_names_in_"),
            **self.learned_.page(),
        }
        artifact.save(path, page, self.model_.state_dict(), self.card())

    def card(self, evaluation: Mapping[str, Any] | None = None) -> str:
        """Return the model card in Markdown, as it stands beside a saved model.

        Source: Mitchell et al. 2019, Model cards for model reporting, https://arxiv.org/abs/1810.03993.

        Args:
            evaluation: What `synthvae evaluate --json` says of rows made by it, for the card to show.

        Raises:
            ConfigurationError: That is no evaluation.
        """
        check_is_fitted(self)
        statement = None if self.ledger_ is None else self.ledger_.statement()
        versions = self.learned_.provenance.versions
        return card.write(self.learned_.describe(), versions, self.history_, statement, evaluation)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> Self:
        """Read a model directory.

        Raises:
            ArtifactError: It is absent, damaged, or of a newer format.
        """
        page, weights = artifact.load(path)
        refuse_other_weights(page, weights, str(path))
        learned = LearnedTable.from_page(page, weights, find_device(device), str(path))
        try_out(learned, str(path))
        with refusing(str(path)):
            self = cls(**{**_parameters(page, learned), "device": device})
            self.learned_ = learned
            if page["names_seen"]:
                self.feature_names_in_ = np.array(learned.encoding.names, dtype=object)
            self.n_features_in_ = len(learned.encoding.names)
            self.card()
        return self


def _parameters(page: Mapping[str, Any], learned: LearnedTable) -> dict[str, Any]:
    """The parameters of a synthesizer, none of which names a place on the disk of whoever loads it."""
    stated = {name: _unlisted(value) for name, value in {**page["parameters"]}.items()}
    schema = learned.schema if page["schema_given"] else None
    budget = None if learned.ledger is None else learned.ledger.budget
    return {**stated, **dict.fromkeys(NOT_KEPT), "schema": schema, "privacy": budget}


def _plain(value: Any) -> Any:
    """A parameter as JSON has it; what JSON cannot have (a generator's state) is None."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, tuple):
        return [_plain(part) for part in plain]
    return plain if plain is None or isinstance(plain, (bool, int, float, str)) else None


def _unlisted(value: Any) -> Any:
    """A parameter as JSON had it: a tuple was a list there."""
    return tuple(value) if isinstance(value, list) else value


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
        convert.to_pandas(encoding.decode(codes, np.random.default_rng(0)))
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
