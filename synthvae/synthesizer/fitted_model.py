"""What is known once a table is learned, and all that can be asked of it. scikit-learn's faces stand on this."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from synthvae.devices import one_thread
from synthvae.encoding import Codes, Order, Pixels, TableEncoding
from synthvae.errors import ArtifactError, ConfigurationError, RequestError, TableError
from synthvae.generation import drawing
from synthvae.generation.request import Request
from synthvae.model import CVAE, ModelConfig, Rows, likelihood
from synthvae.privacy import Ledger
from synthvae.schema.coercion import conform
from synthvae.schema.schema import Schema
from synthvae.synthesizer import artifact
from synthvae.synthesizer.provenance import Provenance
from synthvae.synthesizer.sources import Source
from synthvae.training import Parts, Trainer, TrainingConfig, train
from synthvae.training.checkpoint import Checkpoint
from synthvae.training.history import Callback, History, Record
from synthvae.training.loop import Progress

BATCH_ROWS = 4096


@dataclass(frozen=True)
class LearnedTable:
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

    @classmethod
    def learn(
        cls,
        source: Source,
        schema: Schema,
        target: str | None,
        model: ModelConfig,
        training: TrainingConfig,
        *,
        seed: int,
        device: torch.device,
        checkpoint: Checkpoint | None = None,
        trainer: Trainer = train,
        progress: Progress | None = None,
        callback: Callback | None = None,
        min_class_rows: int = 2,
        order: Order = "auto",
    ) -> Self:
        """Fit a model to a table.

        Args:
            source: The table.
            schema: Its schema.
            target: The column to condition on.
            model: What model.
            training: How it is trained.
            seed: Of everything that is drawn.
            device: Where it is trained.
            checkpoint: Where the state is kept in between, and taken up.
            trainer: What trains it: `training.train`, or what does the same elsewhere.
            progress: Called with step, last step and loss in nats after each step.
            callback: Called at each look.
            min_class_rows: Rows that each class must have.
            order: In which order columns are modelled.

        Raises:
            TableError: The table breaks the schema, or its target cannot be conditioned on.
        """
        if source.rows < 2:
            raise TableError(f"a table must have at least 2 rows, however, it has {source.rows}: add rows")
        sample = schema.check(source.sample).select(source.sample.column_names)  # rows come back in the table's order
        whole = sample.num_rows == source.rows
        encoding = TableEncoding.learn(
            sample, schema, target, min_class_rows if whole else 1, order, pixels=_pixels(model)
        )
        codes = source.coded(encoding, schema, seed)
        if not isinstance(codes, Codes):
            encoding = encoding.counted(_counts(codes, encoding))
            encoding.refuse_rare(min_class_rows)
        network = build(encoding, model, seed).to(device)
        history = trainer(network, codes, training, seed, progress, callback=callback, checkpoint=checkpoint)
        return cls(schema, encoding, network, history, provenance=Provenance.of(source.rows, source.missing))

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
            return Request.total(_count(rows), self.encoding.frequencies, seed)
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

    def decode(
        self,
        z: npt.NDArray[np.float32],
        seed: int,
        labels: npt.NDArray[np.int64] | None = None,
        temperature: float = 1.0,
    ) -> pa.Table:
        """Draw rows from p(x | z, y) for latents z (rows, L) of conditions `labels` (rows,), the first one if None."""
        _refuse_temperature(temperature)
        conditions = np.zeros(len(z), np.int64) if labels is None else labels
        slots = self.encoding.layout.slots
        digits = np.empty((len(z), len(slots.sizes)), np.int8)
        values = np.empty((len(z), len(slots.values)), np.float32)
        generator = torch.Generator(device=self.device).manual_seed(seed)
        latents = torch.from_numpy(z).to(self.device)
        with one_thread():
            for label in np.unique(conditions).tolist():
                own = np.flatnonzero(conditions == label)
                sizes = drawing.chunks(len(own), self.device)
                for places in np.split(own, np.cumsum(sizes)[:-1]):
                    drawn = self.model.decode(
                        latents[torch.from_numpy(places)], label, generator, temperature=temperature
                    )
                    digits[places], values[places] = drawn.digits.cpu().numpy(), drawn.values.cpu().numpy()
        return self.encoding.decode(Codes(digits, values, conditions), np.random.default_rng(seed))

    def like(self, codes: Codes, n: int, temperature: float, seed: int) -> pa.Table:
        """Draw n rows like each of some rows: x from p(x | z, y), z from q(z | x*, y), both at a temperature.

        Those like the first row come first. At temperature 0 they are the likeliest values at the posterior mean.

        Raises:
            RequestError: n or the temperature is negative.
        """
        _refuse_temperature(temperature)
        again = np.repeat(np.arange(len(codes)), _count(n))
        normal = np.random.default_rng(seed).normal(size=(len(again), self.model.config.latent_dim))
        many = Codes(codes.digits[again], codes.values[again], codes.labels[again])
        return self.decode(
            self._posterior(many, temperature * normal).astype(np.float32), seed, many.labels, temperature
        )

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
        return artifact.fingerprint(encoding, self.model.state_dict())

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

    def page(self) -> dict[str, Any]:
        """What a model's page says of it."""
        return {
            **self.provenance.page(),
            "schema": self.schema.model_dump(mode="json", exclude_defaults=True),
            "encoding": self.encoding.model_dump(mode="json"),
            "model": self.model.config.model_dump(mode="json"),
            "history": asdict(self.history),
            "ledger": None if self.ledger is None else self.ledger.model_dump(mode="json"),
        }

    @classmethod
    def from_page(
        cls, page: Mapping[str, Any], weights: Mapping[str, Tensor], device: torch.device, source: str
    ) -> Self:
        """The inverse of `page`, which was read from `source`.

        Raises:
            ArtifactError: Page or weights do not describe a model.
        """
        try:
            encoding = TableEncoding.model_validate(page["encoding"])
            model = build(encoding, ModelConfig(**page["model"]), 0)
            model.load_state_dict(weights)
            records = [Record(**record) for record in page["history"]["records"]]
            history = History(**{**page["history"], "records": records})
            ledger = None if page["ledger"] is None else Ledger.model_validate(page["ledger"])
            schema, provenance = Schema(**page["schema"]), Provenance.from_page(page)
            return cls(schema, encoding, model.to(device).eval(), history, ledger, provenance)
        except (KeyError, TypeError, ValueError, OverflowError, RuntimeError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ArtifactError(f"{source} does not describe a model ({reason}): restore it or fit again") from error


def build(encoding: TableEncoding, config: ModelConfig, seed: int) -> CVAE:
    """An untrained model with weights from `seed`; the global generator is left as it was.

    Raises:
        ConfigurationError: The columns do not make an image of the shape asked for.
    """
    pixels = len(encoding.layout.slots.values)
    if config.image_shape is not None and math.prod(config.image_shape) != pixels:
        raise ConfigurationError(
            f"`image_shape` must multiply to the number of columns, however, {config.image_shape} does not make "
            f"{pixels}: state height and width of the image"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CVAE(encoding.layout.slots, encoding.conditions, config)


def _counts(parts: Parts, encoding: TableEncoding) -> npt.NDArray[np.float64]:
    """How many rows (conditions,) each condition has."""
    labels = (parts[part].labels for part in range(len(parts.sizes)))
    counts = [np.bincount(of[of >= 0], minlength=encoding.conditions) for of in labels]
    return np.asarray(np.sum(counts, axis=0), np.float64)


def _pixels(config: ModelConfig) -> Pixels | None:
    return None if config.likelihood == "auto" else Pixels(config.likelihood, image=config.image_shape is not None)


def _refuse_temperature(temperature: float) -> None:
    if not 0 <= temperature < np.inf:
        raise RequestError(f"a temperature must be a finite number from 0, however, it is {temperature!r}")


def _count(rows: Any) -> int:
    if isinstance(rows, bool) or not isinstance(rows, (int, np.integer)) or rows < 0:
        raise RequestError(f"a number of rows must be a whole number from 0, however, it is {rows!r}")
    return int(rows)


def _joined(batches: list[Tensor]) -> npt.NDArray[np.float64]:
    return np.asarray(torch.cat(batches).cpu().numpy(), np.float64)
