"""What can be asked of a table once it is learned: the half of `Synthesizer` that users meet after `fit`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from synthvae import progress
from synthvae._version import __version__
from synthvae.encoding import Codes, TableEncoding
from synthvae.errors import RequestError
from synthvae.generation import dataset, partitions
from synthvae.generation import workers as pool
from synthvae.generation.dataset import Each
from synthvae.generation.drawing import Drawing, useful_workers
from synthvae.generation.request import Request
from synthvae.model import CVAE
from synthvae.privacy import Ledger, PrivacyBudget
from synthvae.random_state import Seed, as_seed
from synthvae.schema.schema import Schema
from synthvae.synthesizer.fitted_model import LearnedTable
from synthvae.synthesizer.reconstruction import Reconstruction, reconstruct
from synthvae.tables import convert
from synthvae.tables.features import read_features, read_private_features, select
from synthvae.training.history import History


class Fitted(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Rows, latents and likelihoods of a learned table.

    Attributes:
        learned_: The `LearnedTable` behind it.
    """

    learned_: LearnedTable
    random_state: Seed
    verbose: bool

    @property
    def schema_(self) -> Schema:
        """The schema of the table."""
        return self.learned_.schema

    @property
    def encoding_(self) -> TableEncoding:
        """How its columns are coded."""
        return self.learned_.encoding

    @property
    def model_(self) -> CVAE:
        """The fitted model."""
        return self.learned_.model

    @property
    def history_(self) -> History:
        """How training went."""
        return self.learned_.history

    @property
    def ledger_(self) -> Ledger | None:
        """What privacy was spent; None if nothing was promised."""
        return self.learned_.ledger

    def sample(self, rows: int | Mapping[Any, int], random_state: Seed = None) -> pd.DataFrame:
        """Return synthetic rows with the columns, order and dtypes of the table learned.

        Args:
            rows: The number of rows, classes in the shares of training; or a mapping from class to number of rows.
            random_state: Seed of the draws; None uses the estimator's own.

        Raises:
            RequestError: A class is unknown, or a number is negative.
        """
        check_is_fitted(self)
        return convert.to_pandas(self.learned_.sample(self.learned_.request(rows, self._own_seed(random_state))))

    def _own_seed(self, random_state: Seed) -> int:
        return as_seed(self.random_state if random_state is None else random_state)

    def generate(
        self,
        out: str | os.PathLike[str],
        *,
        rows: int | None = None,
        rows_per_class: int | None = None,
        classes: Mapping[Any, int] | None = None,
        partition: bool = False,
        resume: bool = False,
        overwrite: bool = False,
        workers: int = 1,
        each: Each = pool.each,
        random_state: Seed = None,
    ) -> dict[str, Any]:
        """Write a Parquet dataset of synthetic rows and return its manifest. Memory does not grow with the rows.

        The same model, request and seed give the same bytes on processors of one kind and with the same versions of
        the libraries, whatever the number of workers, however often a run was interrupted.

        Args:
            out: The folder, or a place in an object store, as pyarrow has it: `s3://bucket/prefix`, `gs://bucket/prefix`.
            rows: The number of rows, classes in the shares of training.
            rows_per_class: The number of rows of each class.
            classes: The number of rows of some classes.
            partition: Write a folder `TARGET=LABEL/` for each class.
            resume: Complete an interrupted run of the same request.
            overwrite: Replace the dataset in the folder.
            workers: Processes that draw parts, each with the model in memory; as many as have two parts each to draw.
            each: Where parts are drawn: in processes here, or on a Ray cluster: `synthvae.cluster.on(address)`.
            random_state: Seed of the draws; None uses the estimator's own.

        Raises:
            RequestError: Not exactly one of `rows`, `rows_per_class`, `classes` is given, or a class is unknown.
            DatasetError: The folder holds something else, another run writes it, or it cannot be written; or a worker
                was killed.
        """
        check_is_fitted(self)
        wanted = self._wanted(rows, rows_per_class, classes)
        begun = dataset.seed_begun(out) if resume and random_state is None and self.random_state is None else None
        request = self.learned_.request(wanted, self._own_seed(random_state if begun is None else begun))
        if partition and not self.learned_.has_classes:
            raise RequestError("a dataset can be partitioned by a target of classes, however, the model has none")
        if partition and self.encoding_.target is not None:
            partitions.check_labels(self.encoding_.target.name, self.encoding_.target.labels)
        if workers < 1:
            raise RequestError(f"`workers` must be at least 1, however, {workers=}")
        target = self.encoding_.target.name if self.encoding_.target else None
        with progress.generating(request.rows, show=self.verbose) as report:
            return dataset.write(
                out,
                Drawing(self.model_, self.encoding_, request),
                request.parts,
                self._facts(request),
                partition_by=target if partition else None,
                resume=resume,
                overwrite=overwrite,
                workers=useful_workers(workers, request.parts),
                each=each,
                progress=report,
            )

    def _wanted(
        self, rows: int | None, rows_per_class: int | None, classes: Mapping[Any, int] | None
    ) -> int | Mapping[Any, int]:
        given = {"rows": rows, "rows_per_class": rows_per_class, "classes": classes}
        named = sorted(name for name, value in given.items() if value is not None)
        if len(named) != 1:
            raise RequestError(f"exactly one of {', '.join(given)} must be given, however, {named} are")
        if rows_per_class is not None:
            return self.learned_.each_class(rows_per_class)
        return rows if classes is None else classes  # type: ignore[return-value]

    def _facts(self, request: Request) -> dict[str, Any]:
        """What a manifest says of a request."""
        target = self.encoding_.target
        classes = None
        if target is not None and target.classes is not None:
            classes = dict(zip(map(str, target.labels), request.counts, strict=True))
        return {
            "format": 1,
            "synthvae": __version__,
            "rows": request.rows,
            "target": target.name if target else None,
            "classes": classes,
            "seed": request.seed,
            "columns": {field.name: str(field.type) for field in self.encoding_.arrow_schema},
            "model_sha256": self.learned_.fingerprint,
            "ledger": None if self.ledger_ is None else self.ledger_.statement(),
        }

    def transform(self, table: Any) -> npt.NDArray[np.float64]:
        """Return the posterior means (rows, latent_dim) of q(z | x, y) for the rows of a table."""
        codes = self._encode(table)
        return self.learned_.posterior_mean(codes)

    def sample_like(self, table: Any, n: int = 1, temperature: float = 1.0, random_state: Seed = None) -> pd.DataFrame:
        """Return n rows like each row of a table: those like the first one come first, each of its row's class.

        Args:
            table: The rows, with their target if there is one.
            n: How many like each.
            temperature: How far from it: 1 draws z from the posterior and x given z as is likely, 0 takes the posterior
                mean and the likeliest values; between and beyond, z has so many times its standard deviation.
            random_state: Seed of the draws; None uses the estimator's own.

        Raises:
            RequestError: n or the temperature is negative.
        """
        codes = self._encode(table)
        return convert.to_pandas(self.learned_.like(codes, n, temperature, self._own_seed(random_state)))

    def reconstruct(self, table: Any, draws: int = 64, random_state: Seed = None) -> Reconstruction:
        """Return what the model makes of rows that it sees: mean, standard deviation or probabilities of every cell.

        Args:
            table: The rows, with their target if there is one.
            draws: How many draws of each row they are estimated from.
            random_state: Seed of the draws; None uses the estimator's own.

        Raises:
            RequestError: There are fewer than 2 draws.
        """
        return reconstruct(self.learned_, self._encode(table), draws, self._own_seed(random_state))

    def log_likelihood(self, table: Any, *, k: int = 1, proposal: str = "posterior") -> npt.NDArray[np.float64]:
        """Return a lower bound (rows,) on log p(x | y) in nats, x as the model sees it.

        Categories count by their probability, continuous numbers by the density of their normal scores, pixels by that
        of the numbers themselves. Draws of z are the same for every row and call.

        Args:
            table: The rows.
            k: 1 for the evidence lower bound (averaged over 16 draws), more for the importance-weighted bound of k
                draws, which is tighter the more there are (Burda, Grosse, Salakhutdinov 2016,
                https://arxiv.org/abs/1509.00519).
            proposal: Where z is drawn from: "posterior"; or "prior", the naive estimate, log of the mean of p(x | z_s)
                over k draws z_s ~ p(z | y), which needs very many where z says much of a row.

        Raises:
            RequestError: k is less than 1, there is no such proposal, or an autoencoder is asked for a bound.
        """
        codes = self._encode(table)
        return self.learned_.log_likelihood(codes, k, proposal)

    def score_samples(self, table: Any, *, k: int = 1, proposal: str = "posterior") -> npt.NDArray[np.float64]:
        """Return `log_likelihood`, under scikit-learn's name."""
        return self.log_likelihood(table, k=k, proposal=proposal)

    def score(self, table: Any, y: Any = None) -> float:
        """Return the mean of `log_likelihood`, for model selection."""
        del y
        return float(self.log_likelihood(table).mean())

    def _encode(self, table: Any) -> Codes:
        check_is_fitted(self)
        if self.ledger_ is None:
            return self.learned_.encode(select(read_features(self, table, reset=False), list(self.encoding_.names)))
        unit = aside(self.ledger_.budget, self.schema_)
        return self.learned_.encode(read_private_features(self, table, reset=False, aside=unit))

    @property
    def _n_features_out(self) -> int:
        return self.model_.config.latent_dim


def aside(budget: PrivacyBudget, schema: Schema | None) -> str | None:
    """The column that says whose row it is, unless it is learned like any other."""
    return None if schema and budget.unit in schema.names else budget.unit
