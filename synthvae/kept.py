"""A synthesizer on disk, and the card that says what it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from synthvae import artifact, card, described
from synthvae.device import find_device
from synthvae.fitted import Fitted
from synthvae.learned import LearnedTable

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
        described.refuse_other_weights(page, weights, str(path))
        learned = LearnedTable.from_page(page, weights, find_device(device), str(path))
        described.try_out(learned, str(path))
        with described.refusing(str(path)):
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
