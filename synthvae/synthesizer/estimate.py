"""An estimate of the time and the memory of a fit, from a few steps on a sample of the table."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import torch

from synthvae.codes import Codes
from synthvae.devices import find_device, own_modes
from synthvae.encoding import Pixels, TableEncoding
from synthvae.errors import PrivacyError, RequestError
from synthvae.model import ModelConfig
from synthvae.model.build import build, build_conditional
from synthvae.schema import drafts
from synthvae.synthesizer import weighting
from synthvae.synthesizer.conditional_coding import codes_with_links, layout_of
from synthvae.synthesizer.conditional_model import CONDITIONAL_TRAINING, conditional_config
from synthvae.synthesizer.configuration import (
    TRAINING,
    Parameters,
    architecture,
    bounded_columns,
    configure,
    repairs_rows,
    values,
)
from synthvae.synthesizer.roles import order_of, schema_of, target_in
from synthvae.synthesizer.sources import InMemory
from synthvae.tables import convert, streaming
from synthvae.training import SMALL, TrainingConfig
from synthvae.training.batches import SinglePart
from synthvae.training.conditional import VALIDATION_ROUNDS, ConditionalDescent, conditional_schedule
from synthvae.training.distributed import ProcessGroup
from synthvae.training.loop import Descent
from synthvae.training.split import MAX_HELD_OUT
from synthvae.training.trainer import ElboDescent

SAMPLE_ROWS = 4096
TRIAL_STEPS = 4  # the first one, which allocates memory, is not counted
DRAWN_ROWS = 2048
FORWARD_SHARE = 0.35  # of the time of a step that a row takes without gradients
COPIES = 4  # of the codes: as arrays, as tensors, and their parts that are trained on and held out
CELL_BYTES = 16  # of a table while it is read: pandas' and Arrow's copies of eight bytes
LONG_CELLS, LONG_COLUMNS = 2_000_000, 200  # from which on the shell estimates a fit before it starts


@dataclass(frozen=True)
class Estimate:
    """The time and memory that a fit is expected to take, on this machine at its present load.

    The time is that of all steps, measured on a few of them: a fit that stops early takes less, in cases a fifth, and
    one on a machine that becomes busy takes more.

    Args:
        rows: The number of rows, approximate for a file that is not loaded.
        columns: The number of columns.
        steps: The number of optimiser steps without early stopping.
        seconds: The time in seconds of so many steps.
        memory: Peak memory of the process in bytes.
    """

    rows: int
    columns: int
    steps: int
    seconds: float
    memory: int

    def __str__(self) -> str:
        return (
            f"about {_duration(self.seconds)} and {self.memory / 2**30:.1f} GiB of memory for {self.rows:,} rows x "
            f"{self.columns:,} columns, {self.steps:,} steps; training may stop earlier"
        )


@own_modes()
def estimate(parameters: Parameters, table: Any, columns: int | None = None) -> Estimate:
    """Return the time and memory that a fit is expected to take; a few steps are run, on a sample.

    Args:
        parameters: The parameters of the synthesizer.
        table: A table that `Synthesizer.fit` accepts, or a number of rows.
        columns: The number of columns with a number of rows: half of them numbers, half of them categories.

    Raises:
        PrivacyError: There is a privacy budget, which would have to cover the number of rows.
        RequestError: A number of rows is given without a number of columns, or one of them is not positive.
    """
    if parameters.privacy is not None:
        raise PrivacyError(
            "`privacy` must be None for an estimate, which depends on the table, got a budget. `plan` shows how a "
            "private fit would spend it."
        )
    if isinstance(table, (int, np.integer)):
        rows, sample, loaded = int(table), _typical(int(table), columns), False
        parameters = _without_columns(parameters)
    else:
        rows, sample, loaded = _sampled(table)
    sample, _ = weighting.split(sample, parameters.weights)
    started = time.perf_counter()
    sample, encoding, codes, config = _encoded(parameters, sample, rows)
    reading = (time.perf_counter() - started) * max(rows / sample.num_rows, 1)
    trial = _Trial.run(parameters, encoding, codes, config, rows)
    if parameters.conditions:
        trial += _Trial.of_conditions(parameters, encoding, sample, config, rows)
    row_bytes = codes.digits.shape[1] + 4 * codes.values.shape[1] + 8
    cells = rows * len(encoding.names)
    held = 0 if loaded else min(cells * CELL_BYTES, streaming.LARGE * 4)
    memory = psutil.Process().memory_info().rss + held + COPIES * rows * row_bytes
    return Estimate(rows, len(encoding.names), trial.steps, reading + trial.seconds, int(memory))


@dataclass(frozen=True)
class _Trial:
    """The steps of a fit, and the seconds that they take with validation and the matching of marginals."""

    steps: int
    seconds: float

    def __add__(self, other: _Trial) -> _Trial:
        return _Trial(self.steps + other.steps, self.seconds + other.seconds)

    @classmethod
    def run(
        cls, parameters: Parameters, encoding: TableEncoding, codes: Codes, config: ModelConfig, rows: int
    ) -> _Trial:
        device = find_device(parameters.device)
        training = configure(TrainingConfig, values(parameters, TRAINING))
        held = min(int(rows * training.held_share(rows)), MAX_HELD_OUT)
        steps, batch, *_ = training.schedule(rows - held, config.decoder)
        network = build(encoding.layout.slots, encoding.conditions, config, 0).to(device)
        whole = training.model_copy(update={"batch_size": batch, "validation_fraction": 0.0})
        descent = ElboDescent(network, SinglePart(codes), whole, 0, ProcessGroup())
        taken = _seconds_of_a_step(descent)
        drawing = _seconds_of_a_draw(descent, device) * descent.model.matching_rows(rows) / DRAWN_ROWS
        validations = steps / descent.schedule.validate_every
        validating = validations * held / batch * taken * FORWARD_SHARE
        # A small table is trained on twice: the second time for the best number of steps of the first.
        times = 2 if held and rows < SMALL else 1
        return cls(steps, times * steps * taken + drawing + validating)

    @classmethod
    def of_conditions(
        cls, parameters: Parameters, encoding: TableEncoding, sample: pa.Table, config: ModelConfig, rows: int
    ) -> _Trial:
        """The same of the network of any columns given any others, which is trained after that of whole rows."""
        training = configure(TrainingConfig, {name: getattr(parameters, name) for name in CONDITIONAL_TRAINING})
        held = min(int(rows * training.held_share(rows)), MAX_HELD_OUT)
        steps, batch, *_ = conditional_schedule(training, rows - held)
        network = build_conditional(layout_of(encoding).slots, conditional_config(config), 0)
        network = network.to(find_device(parameters.device))
        whole = training.model_copy(update={"batch_size": batch, "validation_fraction": 0.0})
        part = SinglePart(codes_with_links(encoding, sample, 0))
        descent = ConditionalDescent(network, part, whole, 0, {})
        taken = _seconds_of_a_step(descent)
        validations = steps / descent.schedule.validate_every
        validating = validations * VALIDATION_ROUNDS * held / batch * taken * FORWARD_SHARE
        return cls(steps, (2 if held and rows < SMALL else 1) * steps * taken + validating)


def _seconds_of_a_step(descent: Descent) -> float:
    with descent.running():
        descent.step(1)
        started = time.perf_counter()
        for step in range(2, TRIAL_STEPS + 1):
            descent.step(step)
        return (time.perf_counter() - started) / (TRIAL_STEPS - 1)


def _seconds_of_a_draw(descent: ElboDescent, device: torch.device) -> float:
    descent.model.eval()
    generator = torch.Generator(device=device).manual_seed(0)
    started = time.perf_counter()
    descent.model.sample(0, DRAWN_ROWS, generator)
    return time.perf_counter() - started


def _encoded(parameters: Parameters, sample: pa.Table, rows: int) -> tuple[pa.Table, TableEncoding, Codes, ModelConfig]:
    """A sample of rows as it is encoded, its encoding, its codes, and the architecture of the network."""
    schema = weighting.without(drafts.without_ids(schema_of(parameters, sample), sample), parameters.weights)
    config = architecture(parameters, rows, dropout=parameters.dropout or 0.0)
    pixels = None
    if config.likelihood != "auto":
        pixels = Pixels(config.likelihood, image=config.image_shape is not None)
    if repairs_rows(parameters):
        sample = InMemory(sample).repaired(schema, bounded_columns(parameters))[0].sample
    checked = schema.check_values(sample).select(sample.column_names)
    target = target_in(parameters, sample)
    encoding = TableEncoding.learn(checked, schema, target, 1, order_of(parameters), pixels=pixels)
    return checked, encoding, encoding.encode(checked, np.random.default_rng(0), partial=True), config


def _sampled(table: Any) -> tuple[int, pa.Table, bool]:
    """The number of rows of a table, some of them, and whether the table is in memory."""
    stream = streaming.large(table)
    if stream is None:
        read = convert.read(table)
        places = np.random.default_rng(0).permutation(read.num_rows)[:SAMPLE_ROWS]
        return read.num_rows, read.take(np.sort(places)), True
    first = next(stream.batches())
    return round(stream.size / max(first.nbytes / first.num_rows, 1)), first.slice(0, SAMPLE_ROWS), False


def _typical(rows: int, columns: int | None) -> pa.Table:
    """A random table: every second column has numbers, the others have ten categories."""
    if columns is None or columns < 1 or rows < 2:
        raise RequestError(f"`columns` must be at least 1, for 2 rows or more, got {columns} and {rows} rows.")
    rng, size = np.random.default_rng(0), min(rows, SAMPLE_ROWS)
    made = {
        f"x{i}": rng.normal(size=size).round(3) if i % 2 else rng.choice(list("abcdefghij"), size)
        for i in range(columns)
    }
    return pa.Table.from_pandas(pd.DataFrame(made), preserve_index=False)


def _without_columns(parameters: Parameters) -> Parameters:
    """The parameters without those that name columns of a table."""
    columns = dict.fromkeys(("target", "duration", "event", "schema", "weights"))
    stated = {**parameters.get_params(deep=False), **columns, "order": "auto"}
    return type(parameters)(**stated)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
