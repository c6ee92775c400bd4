"""A fitted model: a schema, the encoding of its columns and a network, and what is computed from them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from scipy.special import logsumexp
from torch import Tensor

from synthvae._version import __version__
from synthvae.devices import one_thread, own_modes
from synthvae.encoding import Codes, TableEncoding, TargetEncoding
from synthvae.errors import RequestError, brief
from synthvae.generation import drawing, partitions
from synthvae.generation.request import Request
from synthvae.model import CVAE, Rows, likelihood
from synthvae.privacy import Ledger
from synthvae.schema.coercion import conform
from synthvae.schema.problems import suggestion
from synthvae.schema.schema import Schema
from synthvae.synthesizer.conditional_model import ConditionalModel, learn_conditional
from synthvae.synthesizer.provenance import Provenance
from synthvae.synthesizer.weighting import Weights
from synthvae.training.checkpoint import content_hash
from synthvae.training.history import History

BATCH_ROWS = 4096
BAYES_DRAWS = 8  # of z, for each class

PerClass = Mapping[Any, int] | pd.Series
"""Numbers of rows by class: a mapping, or a Series as `value_counts` returns it."""


@dataclass(frozen=True)
class FittedModel:
    """A schema, the encoding of its columns, and the network that models their codes.

    Args:
        schema: The schema of the table.
        encoding: The encodings of the columns.
        model: The fitted network, in evaluation mode.
        history: The training history.
        ledger: The privacy that was spent; None without differential privacy.
        provenance: The training rows and the versions of libraries.
        conditional: The network of any columns given any others, if it was learned.
    """

    __repr__ = brief

    schema: Schema
    encoding: TableEncoding
    model: CVAE
    history: History
    ledger: Ledger | None = None
    provenance: Provenance = field(default_factory=Provenance)
    conditional: ConditionalModel | None = None

    def encode(self, table: pa.Table) -> Codes:
        """Return the codes of a table that has the columns of the training table.

        With differential privacy, values outside the schema are coerced into it. Categories that were protected are
        unknown to the model, and missing in the codes.
        """
        table = self._without_protected(table.select(self.encoding.names))
        return self.encoding.encode(table if self.ledger is None else conform(table, self.schema))

    def _without_protected(self, table: pa.Table) -> pa.Table:
        """The table without the categories that are unknown because the rare ones of their column were protected."""
        columns = (self.provenance.protection or {}).get("columns", {})
        for name in [name for name, counts in columns.items() if "rare_categories" in counts]:
            values, encoding = table.column(name), self.encoding.columns[name]
            unknown = pa.array(encoding.unseen(name, values))
            place = table.column_names.index(name)
            kept = pc.if_else(unknown, pa.scalar(None, values.type), values)
            table = table.set_column(place, table.schema.field(name), kept)
        return table

    def learn_conditional(
        self, table: pa.Table, parameters: Mapping[str, Any], seed: int, weights: Weights | None = None
    ) -> ConditionalModel:
        """Return a network of any columns given any others, fitted to the training rows of this model.

        Raises:
            TableError: A value cannot be encoded.
        """
        known = self._without_protected(table.select(self.encoding.names))
        return learn_conditional(self.encoding, known, self.model.config, parameters, seed, weights)

    def log_joint(self, table: pa.Table) -> npt.NDArray[np.float64]:
        """Return the logarithm (rows, classes) of p(y) times a bound on p(x | y), for each class y of the target."""
        target = self.encoding.target
        assert target is not None
        kind = self.encoding.arrow_schema.field(target.name).type
        found = []
        for label in range(target.levels):
            labels = target.decode(np.full(table.num_rows, label), kind)
            codes = self.encode(table.append_column(target.name, labels))
            found.append(self.log_likelihood(codes, k=BAYES_DRAWS))
        return np.stack(found, 1) + np.log(np.maximum(self.encoding.frequencies, np.finfo(float).tiny))

    def request(self, rows: int | PerClass | None, seed: int) -> Request:
        """Return a request for a number of rows, or for a number of rows of each class.

        Raises:
            RequestError: A class is unknown, or a number is negative.
        """
        if isinstance(rows, pd.Series):
            rows = _by_class(rows)
        if not isinstance(rows, Mapping):
            return Request.from_total(_count(rows), self.encoding.frequencies, seed)
        if self.encoding.target is None:
            raise RequestError("Rows per class need a target, and the model has none. Pass `rows`.")
        counts = [0] * self.encoding.conditions
        for label, count in rows.items():
            _refuse_missing_class(label)
            counts[_index(self.encoding.target, label)] += _count(count)
        return Request(tuple(counts), seed)

    def each_class(self, rows: int) -> dict[Any, int]:
        """Return a mapping from each class to `rows`.

        Raises:
            RequestError: The target is continuous, or there is none.
        """
        target = self.encoding.target
        if target is None or target.classes is None:
            what = "there is no target" if target is None else f"{target.name!r} is continuous"
            raise RequestError(f"`rows_per_class` needs a target of classes, and {what}. Pass `rows`.")
        return dict.fromkeys(target.labels, rows)

    def draw(self, request: Request, part: int) -> pa.Table:
        """Return the rows of one part of a request."""
        return drawing.draw_part(self.model, self.encoding, request, part)

    def sample(self, request: Request) -> pa.Table:
        """Return all rows of a request."""
        with one_thread():
            return pa.concat_tables([self.draw(request, part) for part in range(request.parts)])

    @own_modes()
    def sample_like(self, codes: Codes, n: int, temperature: float, seed: int) -> pa.Table:
        """Draw n rows for each of some rows x*, in their order: z from q(z | x*, y) and x from p(x | z, y).

        At temperature 0 the rows have the most probable values at the posterior mean.

        Raises:
            RequestError: n or the temperature is negative.
        """
        again = np.repeat(np.arange(len(codes)), _count(n))
        normal = np.random.default_rng(seed).normal(size=(len(again), self.model.config.latent_dim))
        many = Codes(codes.digits[again], codes.values[again], codes.labels[again])
        z = self._posterior(many, temperature * normal).astype(np.float32)
        return drawing.decode(self.model, self.encoding, z, seed, labels=many.labels, temperature=temperature)

    @own_modes()
    def _posterior(self, codes: Codes, normal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Draws (rows, L) from q(z | x, y), given standard normal numbers (rows, L)."""
        model, numbers = self._double_precision(), torch.from_numpy(normal).to(self.device).split(BATCH_ROWS)
        batches = zip(self._batches(codes), numbers, strict=True)
        return _joined([model.posterior_draw(*batch, part) for batch, part in batches])

    @own_modes()
    def reconstruct(self, codes: Codes) -> npt.NDArray[np.float64]:
        """Return E[x | z] (rows, columns) of pixels, z being the mean of q(z | x), in the order of the table."""
        model = self._double_precision()
        means = [model.mean(*batch) for batch in self._batches(codes)]
        return self.encoding.numbers(_joined(means))

    @own_modes()
    def posterior_mean(self, codes: Codes) -> npt.NDArray[np.float64]:
        """Return the means (rows, L) of q(z | x, y)."""
        model = self._double_precision()
        return _joined([model.posterior_mean(*batch) for batch in self._batches(codes)])

    @own_modes()
    def log_likelihood(self, codes: Codes, k: int = 1, proposal: str = "posterior") -> npt.NDArray[np.float64]:
        """Return a lower bound (rows,) on log p(x | y) in nats.

        Args:
            codes: The rows.
            k: Draws of z per bound: 1 for the evidence lower bound, more for the importance-weighted bound.
            proposal: Distribution of the draws of z: "posterior", or "prior" for the naive estimate.

        Raises:
            RequestError: k is less than 1, there is no such proposal, or the posterior is a point.
        """
        return _joined(likelihood.given_class(self._double_precision(), self._batches(codes), k, proposal))

    @own_modes()
    def log_evidence(self, codes: Codes, k: int = 1, proposal: str = "posterior") -> npt.NDArray[np.float64]:
        """Return a lower bound (rows,) on log p(x) in nats, with y marginalised; parameters as in `log_likelihood`.

        If encoder and decoder are conditional on y, it is the log of sum_y p(y) exp(bound on log p(x | y)).
        """
        shares = np.log(np.maximum(self.encoding.frequencies, np.finfo(float).tiny))
        if self.model.network_conditions > 1 and proposal != "prior":
            labels = [np.full(len(codes), label) for label in range(len(shares))]
            bounds = [self.log_likelihood(dataclasses.replace(codes, labels=each), k, proposal) for each in labels]
            return np.asarray(logsumexp(np.stack(bounds, 1) + shares, 1))
        log_shares = torch.from_numpy(shares).to(self.device)
        return _joined(likelihood.of_any_class(self._double_precision(), self._batches(codes), log_shares, k, proposal))

    @own_modes()
    def log_likelihood_by_column(
        self, codes: Codes, draws: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the importance-weighted bound (rows,) on log p(x | y) in nats, and its terms (rows, columns).

        Columns are in the order of `encoding.columns`. The rest of the bound is the term of z.
        """
        layout = self.encoding.layout
        bounds, slots = likelihood.by_slot(self._double_precision(), self._batches(codes), draws)
        owners = torch.tensor(layout.owners, dtype=torch.long, device=self.device)
        parts = [part.new_zeros(len(layout.names), part.shape[1]).index_add_(0, owners, part).T for part in slots]
        return _joined(bounds), _joined(parts)

    def _double_precision(self) -> CVAE:
        """A copy of the network in double precision, so that the results of a row do not depend on its batch."""
        return copy.deepcopy(self.model).double()

    def _batches(self, codes: Codes) -> Iterator[tuple[Rows, Tensor]]:
        rows = Rows(torch.from_numpy(codes.digits).to(self.device), torch.from_numpy(codes.values).to(self.device))
        labels = torch.from_numpy(codes.labels).to(self.device)
        for start in range(0, max(len(codes), 1), BATCH_ROWS):
            batch = slice(start, start + BATCH_ROWS)
            yield rows.take(batch)._replace(values=rows.values[batch].double()), labels[batch]

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return next(self.model.parameters()).device

    @property
    def fingerprint(self) -> str:
        """A hash of everything that synthetic rows depend on."""
        encoding = {**self.encoding.model_dump(mode="json"), "order": list(self.encoding.columns)}
        return content_hash(encoding, self.model.state_dict())

    def manifest(self, request: Request) -> dict[str, Any]:
        """Return what the manifest of a dataset states about its model and request."""
        target = self.encoding.target
        classes = None
        if target is not None and target.classes is not None and len(request.counts) == target.levels:
            classes = dict(zip(map(str, target.labels), request.counts, strict=True))
        protected = self.provenance.protection
        return {
            "format": 1,
            "synthvae": __version__,
            "rows": request.rows,
            "target": target.name if target else None,
            "classes": classes,
            "seed": request.seed,
            "columns": {field.name: str(field.type) for field in self.encoding.arrow_schema},
            "model_sha256": self.fingerprint,
            "ledger": None if self.ledger is None else self.ledger.statement(),
            **({} if protected is None else {"protection": protected}),
        }

    def inference(self, *, of_shares: bool) -> dict[str, Any]:
        """Return what the manifest of a copy states for `synthvae.evaluation.pool`.

        Args:
            of_shares: Whether the counts of classes are random draws by their shares, and not those asked for.
        """
        return {
            "training_rows": self.provenance.rows,
            "weighted_by": self.provenance.weighted_by,
            "rules": 0 if self.encoding.rules is None else len(self.encoding.rules.constraints),
            "class_counts": None if self.encoding.target is None else "drawn" if of_shares else "requested",
        }

    def describe(self) -> dict[str, Any]:
        """Return a summary of the model for people."""
        target = self.encoding.target
        summary: dict[str, Any] = {
            **self.provenance.table,
            "columns": {column.name: column.kind for column in self.schema.columns},
            "schema": self.schema.origin,
            "target": target.name if target else None,
            "conditions": self.conditional is not None,
        }
        if target:
            counts = dict(zip(map(str, target.labels), target.counts, strict=True))
            summary["classes" if target.classes else "quantile_bins"] = counts
        return {**summary, "parameters": sum(parameter.numel() for parameter in self.model.parameters())}


def wanted_rows(
    fitted: FittedModel, rows: int | None, rows_per_class: int | None, classes: PerClass | None
) -> int | PerClass:
    """Return the number of rows, or the number of rows of each class, from the one of three parameters that is given.

    Raises:
        RequestError: Not exactly one is given.
    """
    given = {"rows": rows, "rows_per_class": rows_per_class, "classes": classes}
    named = sorted(name for name, value in given.items() if value is not None)
    if len(named) != 1:
        raise RequestError(f"Exactly one of {', '.join(given)} must be given, got {', '.join(named) or 'none'}.")
    if rows_per_class is not None:
        return fitted.each_class(rows_per_class)
    return rows if classes is None else classes  # type: ignore[return-value]


def partition_column(fitted: FittedModel) -> str:
    """Return the target, by whose classes a dataset can be partitioned.

    Raises:
        RequestError: The target is continuous, or there is none.
        DatasetError: A class cannot be the name of a folder.
    """
    target = fitted.encoding.target
    if target is None or target.classes is None:
        raise RequestError("`partition` needs a target of classes, and the model has none. Pass partition=False.")
    partitions.check_labels(target.name, target.labels)
    return target.name


def _index(target: TargetEncoding, label: Any) -> int:
    """The condition of a class; an error names the most similar class.

    Raises:
        RequestError: There is no such class.
    """
    try:
        return target.index(label)
    except RequestError as error:
        near = suggestion([str(label)], list(map(str, target.labels))) if target.classes is not None else ""
        raise RequestError(f"{error}{near}") from error


def _by_class(counts: pd.Series) -> dict[Any, int]:
    """Numbers of rows by class; those of a DataFrame with one column have tuples of one label as classes."""
    alone = isinstance(counts.index, pd.MultiIndex) and counts.index.nlevels == 1
    labels = counts.index.get_level_values(0) if alone else counts.index
    found: dict[Any, int] = {}
    for label, count in zip(labels.tolist(), counts.tolist(), strict=True):
        _refuse_missing_class(label)
        found[label] = found.get(label, 0) + _count(
            int(count) if isinstance(count, float) and count % 1 == 0 else count
        )
    return found


def _refuse_missing_class(label: Any) -> None:
    """Refuse a missing value as a class.

    Raises:
        RequestError: It is one.
    """
    if pd.api.types.is_scalar(label) and pd.isna(label):
        raise RequestError(
            f"A requested class must not be missing, got {label!r}: synthetic rows have a class. Leave it out, as "
            "`value_counts()` does."
        )


def _count(rows: Any) -> int:
    if isinstance(rows, bool) or not isinstance(rows, (int, np.integer)) or rows < 0:
        known = rows is None or rows is pd.NA or isinstance(rows, (bool, int, float, np.generic, str))
        what = repr(rows) if known else f"a {type(rows).__name__}"
        raise RequestError(f"A number of rows must be an integer of at least 0, got {what}.")
    return int(rows)


def _joined(batches: list[Tensor]) -> npt.NDArray[np.float64]:
    return np.asarray(torch.cat(batches).cpu().numpy(), np.float64)
