"""A fitted model: a schema, an encoding and a network, with what can be computed from them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from synthvae import filesystem
from synthvae._version import __version__
from synthvae.devices import one_thread
from synthvae.encoding import Codes, TableEncoding
from synthvae.errors import RequestError
from synthvae.generation import drawing
from synthvae.generation.request import Request
from synthvae.model import CVAE, Rows, likelihood
from synthvae.privacy import Ledger
from synthvae.schema.coercion import conform
from synthvae.schema.schema import Schema
from synthvae.synthesizer.provenance import Provenance
from synthvae.training.history import History

BATCH_ROWS = 4096


@dataclass(frozen=True)
class FittedModel:
    """A schema, the encoding of its columns, and the model of their codes.

    Args:
        schema: The schema of the table.
        encoding: How its columns are coded.
        model: The fitted model, in evaluation mode.
        history: How training went.
        ledger: What privacy was spent; None: the rows were not private.
        provenance: What it was learned from and with.
    """

    schema: Schema
    encoding: TableEncoding
    model: CVAE
    history: History
    ledger: Ledger | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def encode(self, table: pa.Table) -> Codes:
        """Return the codes of a table with the columns learned; that of a private model is made to obey its schema."""
        table = table.select(self.encoding.names)
        return self.encoding.encode(table if self.ledger is None else conform(table, self.schema))

    @property
    def has_classes(self) -> bool:
        """Whether there is a target, of classes."""
        return self.encoding.target is not None and self.encoding.target.classes is not None

    def request(self, rows: int | Mapping[Any, int], seed: int) -> Request:
        """Ask for a number of rows, or for a number of rows of each class named.

        Raises:
            RequestError: A class is unknown, or a number is negative.
        """
        if not isinstance(rows, Mapping):
            return Request.from_total(_count(rows), self.encoding.frequencies, seed)
        if self.encoding.target is None:
            raise RequestError("classes can be asked for when there is a target, however, the model has none")
        counts = [0] * self.encoding.conditions
        for label, count in rows.items():
            counts[self.encoding.target.index(label)] += _count(count)
        return Request(tuple(counts), seed)

    def each_class(self, rows: int) -> dict[Any, int]:
        """The mapping that asks for `rows` of each class.

        Raises:
            RequestError: The target is continuous, or there is none.
        """
        target = self.encoding.target
        if target is None or target.classes is None:
            what = "there is no target" if target is None else f"{target.name!r} is continuous"
            raise RequestError(f"`rows_per_class` needs a target of classes, however, {what}: ask for `rows`")
        return dict.fromkeys(target.labels, rows)

    def draw(self, request: Request, part: int) -> pa.Table:
        """Return the rows of one part of a request."""
        return drawing.draw_part(self.model, self.encoding, request, part)

    def sample(self, request: Request) -> pa.Table:
        """Return all rows of a request."""
        with one_thread():
            return pa.concat_tables([self.draw(request, part) for part in range(request.parts)])

    def like(self, codes: Codes, n: int, temperature: float, seed: int) -> pa.Table:
        """Draw n rows like each of some rows: x from p(x | z, y), z from q(z | x*, y), both at a temperature.

        Those like the first row come first. At temperature 0 they are the likeliest values at the posterior mean.

        Raises:
            RequestError: n or the temperature is negative.
        """
        again = np.repeat(np.arange(len(codes)), _count(n))
        normal = np.random.default_rng(seed).normal(size=(len(again), self.model.config.latent_dim))
        many = Codes(codes.digits[again], codes.values[again], codes.labels[again])
        z = self._posterior(many, temperature * normal).astype(np.float32)
        return drawing.decode(self.model, self.encoding, z, seed, labels=many.labels, temperature=temperature)

    def _posterior(self, codes: Codes, normal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Draws (rows, L) of q(z | x, y) by standard normal numbers (rows, L)."""
        model, numbers = self._double(), torch.from_numpy(normal).to(self.device).split(BATCH_ROWS)
        batches = zip(self._batches(codes), numbers, strict=True)
        return _joined([model.posterior_draw(*batch, part) for batch, part in batches])

    def reconstruct(self, codes: Codes) -> npt.NDArray[np.float64]:
        """Return E[x | z] (rows, columns) of pixels at the mean z of q(z | x), in the order of the table."""
        model = self._double()
        means = [model.mean(*batch) for batch in self._batches(codes)]
        return self.encoding.numbers(_joined(means))

    def posterior_mean(self, codes: Codes) -> npt.NDArray[np.float64]:
        """Return the means (rows, L) of q(z | x, y)."""
        model = self._double()
        return _joined([model.posterior_mean(*batch) for batch in self._batches(codes)])

    def log_likelihood(self, codes: Codes, k: int = 1, proposal: str = "posterior") -> npt.NDArray[np.float64]:
        """Return a lower bound (rows,) on log p(x | y) in nats.

        Args:
            codes: The rows.
            k: Draws of z for a bound: 1 for the evidence lower bound, more for the importance-weighted one.
            proposal: Where z is drawn from: "posterior", or "prior" for the naive estimate.

        Raises:
            RequestError: k is less than 1, there is no such proposal, or the posterior is a point.
        """
        return _joined(likelihood.given_class(self._double(), self._batches(codes), k, proposal))

    def log_evidence(self, codes: Codes, k: int = 1, proposal: str = "posterior") -> npt.NDArray[np.float64]:
        """Return a lower bound (rows,) on log p(x) in nats, the condition marginalised; else as `log_likelihood`."""
        shares = np.maximum(self.encoding.frequencies, np.finfo(float).tiny)
        log_shares = torch.from_numpy(np.log(shares)).to(self.device)
        return _joined(likelihood.of_any_class(self._double(), self._batches(codes), log_shares, k, proposal))

    def by_column(self, codes: Codes, draws: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the importance-weighted bound (rows,) on log p(x | y) in nats, and the part (rows, columns) of each.

        Columns are those of `encoding.columns`, in that order; what the bound has beside them is the part of z.
        """
        layout = self.encoding.layout
        bounds, slots = likelihood.by_slot(self._double(), self._batches(codes), draws)
        owners = torch.tensor(layout.owners, dtype=torch.long, device=self.device)
        parts = [part.new_zeros(len(layout.names), part.shape[1]).index_add_(0, owners, part).T for part in slots]
        return _joined(bounds), _joined(parts)

    def _double(self) -> CVAE:
        """The model in double precision, in which a row's numbers do not hang on the rows beside it."""
        return copy.deepcopy(self.model).double()

    def _batches(self, codes: Codes) -> Iterator[tuple[Rows, Tensor]]:
        rows = Rows(torch.from_numpy(codes.digits).to(self.device), torch.from_numpy(codes.values).to(self.device))
        labels = torch.from_numpy(codes.labels).to(self.device)
        for start in range(0, max(len(codes), 1), BATCH_ROWS):
            batch = slice(start, start + BATCH_ROWS)
            yield rows.take(batch)._replace(values=rows.values[batch].double()), labels[batch]

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    @property
    def fingerprint(self) -> str:
        """One hash of all that the rows depend on."""
        encoding = {**self.encoding.model_dump(mode="json"), "order": list(self.encoding.columns)}
        return filesystem.content_hash(encoding, self.model.state_dict())

    def manifest(self, request: Request) -> dict[str, Any]:
        """What the manifest of a dataset says of a request."""
        target = self.encoding.target
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
            "columns": {field.name: str(field.type) for field in self.encoding.arrow_schema},
            "model_sha256": self.fingerprint,
            "ledger": None if self.ledger is None else self.ledger.statement(),
        }

    def describe(self) -> dict[str, Any]:
        """What it is, in a few words and numbers, for people."""
        target = self.encoding.target
        facts: dict[str, Any] = {
            **self.provenance.facts,
            "columns": {column.name: column.kind for column in self.schema.columns},
            "schema": self.schema.origin,
            "target": target.name if target else None,
        }
        if target:
            counts = dict(zip(map(str, target.labels), target.counts, strict=True))
            facts["classes" if target.classes else "quantile_bins"] = counts
        return {**facts, "parameters": sum(parameter.numel() for parameter in self.model.parameters())}


def wanted_rows(
    fitted: FittedModel, rows: int | None, rows_per_class: int | None, classes: Mapping[Any, int] | None
) -> int | Mapping[Any, int]:
    """Return the one of three ways to ask for rows that is given, as a number or as numbers of classes.

    Raises:
        RequestError: Not exactly one is given.
    """
    given = {"rows": rows, "rows_per_class": rows_per_class, "classes": classes}
    named = sorted(name for name, value in given.items() if value is not None)
    if len(named) != 1:
        raise RequestError(f"exactly one of {', '.join(given)} must be given, however, {named} are")
    if rows_per_class is not None:
        return fitted.each_class(rows_per_class)
    return rows if classes is None else classes  # type: ignore[return-value]


def _count(rows: Any) -> int:
    if isinstance(rows, bool) or not isinstance(rows, (int, np.integer)) or rows < 0:
        raise RequestError(f"a number of rows must be a whole number from 0, however, it is {rows!r}")
    return int(rows)


def _joined(batches: list[Tensor]) -> npt.NDArray[np.float64]:
    return np.asarray(torch.cat(batches).cpu().numpy(), np.float64)
