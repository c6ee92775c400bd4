"""What to sample, and the rows: every part of a dataset is a pure function of model, request, seed and part number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch

from synthvae.codes import Slots
from synthvae.devices import one_thread
from synthvae.encoding import Codes, TableEncoding
from synthvae.errors import RequestError
from synthvae.model import CVAE, ModelConfig, Rows

if TYPE_CHECKING:
    import pyarrow as pa
from synthvae.generation.request import Request

STRATIFIED_ROWS = 1 << 16  # so few rows are spread evenly: of more, shares are near enough to the model's
PARTS_TO_START = 2  # of each worker, or it is not worth its start
CHUNK_ROWS = 4096  # a chunk stays in a core's cache, and threads seldom wait for the interpreter
# On a GPU each column is some twenty kernels, of about 5 microseconds to launch: chunks must be work enough for longer.
# With 100 columns one of these takes some 300 MB; four make a part, so that there is a next one to draw.
CHUNK_ROWS_OF_GPU = 1 << 16

Item = TypeVar("Item")


class Source(Protocol):
    """What draws rows of a condition."""

    def sample(self, label: int, rows: int, generator: torch.Generator, *, stratified: bool = False) -> Rows:
        """Draw rows."""


@dataclass(frozen=True)
class Drawing:
    """The parts of a request, by number. Goes to other processes and machines as bytes that are no code.

    Args:
        model: The fitted model, in evaluation mode.
        encoding: How columns are coded.
        request: What is asked of it.
    """

    model: CVAE
    encoding: TableEncoding
    request: Request

    def __call__(self, part: int) -> pa.Table:
        """Return the rows of one part."""
        with one_thread():
            return draw_part(self.model, self.encoding, self.request, part)

    def __reduce__(self) -> tuple[Any, ...]:
        """Weights as safetensors: tensors would go through shared memory, which other machines do not share."""
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.model.state_dict().items()}
        device = str(next(self.model.parameters()).device)
        page = self.encoding.model_dump_json(), self.model.config, safetensors.torch.save(weights)
        return _restore, (*page, device, self.request)


def _restore(encoding: str, config: ModelConfig, weights: bytes, device: str, request: Request) -> Drawing:
    learned = TableEncoding.model_validate_json(encoding)
    with torch.random.fork_rng(devices=[]):
        model = CVAE(learned.layout.slots, learned.conditions, config)
    model.load_state_dict(safetensors.torch.load(weights))
    return Drawing(model.to(device).eval(), learned, request)


def decode(
    model: CVAE,
    encoding: TableEncoding,
    z: npt.NDArray[np.float32],
    seed: int,
    *,
    labels: npt.NDArray[np.int64] | None = None,
    temperature: float = 1.0,
) -> pa.Table:
    """Draw rows from p(x | z, y) for latents z (rows, L) of conditions `labels` (rows,), the first one if None.

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
        for label in np.unique(conditions).tolist():
            own = np.flatnonzero(conditions == label)
            for places in np.split(own, np.cumsum(chunks(len(own), device))[:-1]):
                drawn = model.decode(latents[torch.from_numpy(places)], label, generator, temperature=temperature)
                digits[places], values[places] = drawn.digits.cpu().numpy(), drawn.values.cpu().numpy()
    return encoding.decode(Codes(digits, values, conditions), np.random.default_rng(seed))


def draw_part(model: CVAE, encoding: TableEncoding, request: Request, part: int) -> pa.Table:
    """Return the rows of one part, shuffled."""
    digits_seed, values_seed = np.random.SeedSequence([request.seed, part]).generate_state(2, np.uint64).tolist()
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(digits_seed >> 1)
    rng = np.random.default_rng(values_seed)
    counts = request.of(part)
    order = rng.permutation(sum(counts))
    stratified = request.rows <= STRATIFIED_ROWS
    codes = draw_codes(model, counts, encoding.layout.slots, generator, stratified=stratified)
    shuffled = Codes(codes.digits[order], codes.values[order], codes.labels[order])
    return encoding.decode(shuffled, rng, first_row=sum(request.before(part)))


def useful_workers(asked: int, parts: int) -> int:
    """How many of the workers asked for save time: to start one takes about as long as to draw a part."""
    return max(min(asked, parts // PARTS_TO_START), 1)


@torch.inference_mode()
def draw_codes(
    model: Source, counts: tuple[int, ...], slots: Slots, generator: torch.Generator, *, stratified: bool = False
) -> Codes:
    """Draw as many rows of each condition, condition by condition, chunk by chunk."""
    digits = np.empty((sum(counts), len(slots.sizes)), np.int8)
    values = np.empty((sum(counts), len(slots.values)), np.float32)
    drawn = (
        Arriving.of(model.sample(label, rows, generator, stratified=stratified))
        for label, count in enumerate(counts)
        for rows in chunks(count, generator.device)
    )
    start = 0
    for arriving in one_behind(drawn):
        rows = arriving.wait()
        end = start + len(rows.digits)
        digits[start:end], values[start:end] = rows.digits.numpy(), rows.values.numpy()
        start = end
    return Codes(digits, values, np.repeat(np.arange(len(counts)), counts))


def chunks(count: int, device: torch.device) -> list[int]:
    """How many of `count` rows are drawn at once on a device: what comes of a seed hangs on it."""
    rows = CHUNK_ROWS if device.type == "cpu" else CHUNK_ROWS_OF_GPU
    return [rows] * (count // rows) + [count % rows]


@dataclass(frozen=True)
class Arriving:
    """Rows on their way to the host; those drawn there are there.

    Args:
        rows: Where they will be: in pinned memory, to which a GPU writes while it and this thread do other things.
        event: When they are.
    """

    rows: Rows
    event: torch.Event | None

    @classmethod
    def of(cls, drawn: Rows) -> Self:
        """Send drawn rows to the host; nothing is waited for."""
        device = drawn.digits.device
        parts = drawn.digits.to(torch.int8), drawn.values
        rows = Rows(*(part.to("cpu", non_blocking=True) for part in parts))
        if device.type == "cpu":
            return cls(rows, None)
        return cls(rows, torch.get_device_module(device).current_stream(device).record_event())

    def wait(self) -> Rows:
        """Return the rows once they are there."""
        if self.event is not None:
            self.event.synchronize()
        return self.rows


def one_behind(items: Iterable[Item]) -> Iterator[Item]:
    """Yield each item once the next one is begun, so that a GPU has work while the host waits for what it did."""
    last: list[Item] = []
    for item in items:
        yield from last
        last = [item]
    yield from last
