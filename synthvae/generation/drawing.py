"""Drawing rows: every part of a dataset is a pure function of model, request and part number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch

from synthvae.codes import Slots
from synthvae.devices import one_thread, own_modes
from synthvae.encoding import Codes, TableEncoding
from synthvae.errors import RequestError, brief
from synthvae.generation import ruled
from synthvae.generation.request import Request
from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.model.build import build
from synthvae.model.restrictions import RowRules

if TYPE_CHECKING:
    import pyarrow as pa

STRATIFIED_ROWS = 1 << 16  # up to so many rows, draws are stratified; shares of more rows are close to the model's
PARTS_TO_START = 2  # the smallest number of parts for which the start of a worker saves time
CHUNK_ROWS = 4096  # a chunk fits the cache of a core, and threads seldom wait for the interpreter
# On a GPU each column takes some twenty kernels, of about 5 microseconds to launch: a chunk must take longer. With 100
# columns, a chunk of this size takes some 300 MB; four make a part, so that one is drawn while another is copied.
CHUNK_ROWS_OF_GPU = 1 << 16

Item = TypeVar("Item")


class RowSampler(Protocol):
    """A model that draws rows of a condition."""

    def sample(self, label: int, rows: int, generator: torch.Generator, *, stratified: bool = False) -> Rows:
        """Draw `rows` rows of the condition `label`; `stratified` draws reduce the variance of shares."""


@dataclass(frozen=True)
class Drawing:
    """The function that draws a part of a request, by number. Its pickle contains no code of the model.

    Args:
        model: The fitted model, in evaluation mode.
        encoding: The encoding of its table.
        request: The numbers of rows.
    """

    __repr__ = brief

    model: CVAE
    encoding: TableEncoding
    request: Request

    def __call__(self, part: int) -> pa.Table:
        """Return the rows of one part."""
        with one_thread():
            return draw_part(self.model, self.encoding, self.request, part)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle weights as safetensors: tensors would be sent in shared memory, which other machines do not have."""
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.model.state_dict().items()}
        device = str(next(self.model.parameters()).device)
        arguments = self.encoding.model_dump_json(), self.model.config, safetensors.torch.save(weights)
        return _restore, (*arguments, device, self.request)


@own_modes()
def _restore(encoding: str, config: ModelConfig, weights: bytes, device: str, request: Request) -> Drawing:
    learned = TableEncoding.model_validate_json(encoding)
    model = build(learned.layout.slots, learned.conditions, config, 0)
    model.load_state_dict(safetensors.torch.load(weights))
    return Drawing(model.to(device).eval(), learned, request)


@own_modes()
def decode(
    model: CVAE,
    encoding: TableEncoding,
    z: npt.NDArray[np.float32],
    seed: int,
    *,
    labels: npt.NDArray[np.int64] | None = None,
    temperature: float = 1.0,
) -> pa.Table:
    """Draw rows from p(x | z, y).

    Args:
        model: The fitted model, in evaluation mode.
        encoding: The encoding of its table.
        z: Latents (rows, L).
        seed: The seed of all draws.
        labels: Conditions (rows,); None: the first one.
        temperature: The temperature of p(x | z, y); 0 takes the most likely values.

    Raises:
        RequestError: The temperature is negative or infinite.
    """
    if not 0 <= temperature < np.inf:
        raise RequestError(f"The temperature must be a finite number of at least 0, got {temperature!r}.")
    device = next(model.parameters()).device
    conditions = np.zeros(len(z), np.int64) if labels is None else labels
    slots = encoding.layout.slots
    digits = np.empty((len(z), len(slots.sizes)), np.int8)
    values = np.empty((len(z), len(slots.values)), np.float32)
    generator = torch.Generator(device=device).manual_seed(seed)
    latents = torch.from_numpy(z).to(device)
    with one_thread():
        if encoding.rules is not None:

            def sampler(label: int, places: npt.NDArray[np.int64], rules: RowRules) -> Rows:
                some = latents[torch.from_numpy(places)]
                return model.decode(some, label, generator, temperature=temperature, rules=rules)

            return _ruled(encoding, conditions, sampler, device, seed, first=0, seed=seed)
        for label in np.unique(conditions).tolist():
            own = np.flatnonzero(conditions == label)
            for places in np.split(own, np.cumsum(chunks(len(own), device))[:-1]):
                drawn = model.decode(latents[torch.from_numpy(places)], label, generator, temperature=temperature)
                digits[places], values[places] = drawn.digits.cpu().numpy(), drawn.values.cpu().numpy()
    return encoding.decode(Codes(digits, values, conditions), np.random.default_rng(seed), seed=seed)


@own_modes()
def draw_part(model: CVAE, encoding: TableEncoding, request: Request, part: int) -> pa.Table:
    """Return the rows of one part, shuffled."""
    digits_seed, values_seed = np.random.SeedSequence([request.seed, part]).generate_state(2, np.uint64).tolist()
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(digits_seed >> 1)
    rng = np.random.default_rng(values_seed)
    counts = request.counts_of(part)
    order = rng.permutation(sum(counts))
    stratified = request.stratified and request.rows <= STRATIFIED_ROWS
    first = sum(request.counts_before(part))
    rows = range(first, first + len(order))
    if encoding.rules is None:
        codes = draw_codes(model, counts, encoding.layout.slots, generator, stratified=stratified)
        shuffled = Codes(codes.digits[order], codes.values[order], codes.labels[order])
        return encoding.decode(shuffled, rng, rows=rows, seed=request.seed)

    def sampler(label: int, places: npt.NDArray[np.int64], rules: RowRules) -> Rows:
        return model.sample(label, len(places), generator, stratified=stratified, rules=rules)

    labels = np.repeat(np.arange(len(counts)), counts)[order]
    return _ruled(encoding, labels, sampler, device, values_seed, first=first, seed=request.seed)


def _ruled(
    encoding: TableEncoding,
    labels: npt.NDArray[np.int64],
    sampler: ruled.Sampler,
    device: torch.device,
    rng_seed: int,
    *,
    first: int,
    seed: int,
) -> pa.Table:
    """Draw rows of conditions `labels` (rows,), numbered from `first` on, that keep the rules of an encoding."""
    rng, decoding = np.random.default_rng([rng_seed, 1]), np.random.default_rng(rng_seed)

    def draw(places: npt.NDArray[np.int64]) -> ruled.RuledRows:
        def sample(label: int, some: npt.NDArray[np.int64], rules: RowRules) -> Rows:
            return sampler(label, places[some], rules)

        return ruled.draw_rows(encoding, labels[places], lambda count: chunks(count, device), sample, rng)

    def decode(rows: ruled.RuledRows, places: npt.NDArray[np.int64]) -> pa.Table:
        return encoding.decode(rows.codes, decoding, rows=first + places, seed=seed, known=rows.numbers)

    return ruled.decode_kept(encoding, len(labels), draw, decode)


def useful_workers(workers: int, parts: int) -> int:
    """Return how many of `workers` save time: starting one takes about as long as drawing a part.

    Raises:
        RequestError: `workers` is less than 1, or not a whole number.
    """
    if isinstance(workers, bool) or not isinstance(workers, (int, np.integer)):
        raise RequestError(f"`workers` must be a whole number, got {workers!r}. Round it.")
    if workers < 1:
        raise RequestError(f"`workers` must be at least 1, got {workers}.")
    return max(min(workers, parts // PARTS_TO_START), 1)


@torch.inference_mode()
def draw_codes(
    model: RowSampler, counts: tuple[int, ...], slots: Slots, generator: torch.Generator, *, stratified: bool = False
) -> Codes:
    """Draw `counts` (conditions,) rows of the conditions, condition by condition, in chunks."""
    digits = np.empty((sum(counts), len(slots.sizes)), np.int8)
    values = np.empty((sum(counts), len(slots.values)), np.float32)
    drawn = (
        PendingRows.from_device(model.sample(label, rows, generator, stratified=stratified))
        for label, count in enumerate(counts)
        for rows in chunks(count, generator.device)
    )
    start = 0
    for pending in one_behind(drawn):
        rows = pending.wait()
        end = start + len(rows.digits)
        digits[start:end], values[start:end] = rows.digits.numpy(), rows.values.numpy()
        start = end
    return Codes(digits, values, np.repeat(np.arange(len(counts)), counts))


def chunks(count: int, device: torch.device) -> list[int]:
    """Return the sizes of chunks of `count` rows on a device. The rows of a seed depend on them."""
    rows = CHUNK_ROWS if device.type == "cpu" else CHUNK_ROWS_OF_GPU
    return [rows] * (count // rows) + [count % rows]


@dataclass(frozen=True)
class PendingRows:
    """Rows that are being copied from a device to the host.

    Args:
        rows: The rows on the host: in pinned memory, to which a GPU copies asynchronously.
        event: The end of the copy; None if the rows were drawn on the host.
    """

    __repr__ = brief

    rows: Rows
    event: torch.Event | None

    @classmethod
    def from_device(cls, drawn: Rows) -> Self:
        """Start to copy drawn rows to the host."""
        device = drawn.digits.device
        parts = drawn.digits.to(torch.int8), drawn.values
        rows = Rows(*(part.to("cpu", non_blocking=True) for part in parts))
        if device.type == "cpu":
            return cls(rows, None)
        return cls(rows, torch.get_device_module(device).current_stream(device).record_event())

    def wait(self) -> Rows:
        """Return the rows once they are copied."""
        if self.event is not None:
            self.event.synchronize()
        return self.rows


def one_behind(items: Iterable[Item]) -> Iterator[Item]:
    """Yield each item after the next one is begun, so that a GPU computes while the host waits for a copy."""
    last: list[Item] = []
    for item in items:
        yield from last
        last = [item]
    yield from last
