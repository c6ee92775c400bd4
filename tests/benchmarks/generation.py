"""Rate of `generate`: two workers beside one, writing on top of sampling, and what pyarrow alone needs to write.

    python generation.py MODEL_DIR [--rows 2097152] [--repeats 3] [--json FILE]

"Sampling" draws the same parts and writes nothing; "pyarrow alone" writes one part of that table as often. All take
turns, and each figure is the best of the repeats, in seconds and in CPU-seconds of all processes: a machine that others
use gives two workers less than two cores, so that ratios of seconds are lower bounds. Formats: the size and the seconds
of one part for row groups, compression and dictionaries. `--json` keeps the rates, which `drawn.py` draws.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from report import grid

from synthvae import Synthesizer
from synthvae.devices import one_thread
from synthvae.generation.drawing import Drawing
from synthvae.generation.request import PART_ROWS

CORES = 2


@dataclass(frozen=True)
class Cost:
    """What a piece of work took: seconds on the wall, and CPU-seconds of this process and those it began."""

    seconds: float
    cpu: float

    @classmethod
    def of(cls, work: Callable[[], Any]) -> Cost:
        """Do the work once."""
        start, before = time.perf_counter(), os.times()
        work()
        return cls(time.perf_counter() - start, sum(os.times()[:4]) - sum(before[:4]))


def best(costs: list[Cost]) -> Cost:
    """The smallest of each."""
    return Cost(min(cost.seconds for cost in costs), min(cost.cpu for cost in costs))


def rates(synthesizer: Synthesizer, rows: int, repeats: int) -> dict[str, Cost]:
    """Return the costs of sampling, generating and writing so many rows."""
    request = synthesizer.learned_.request(rows, 0)
    drawing = Drawing(synthesizer.model_, synthesizer.encoding_, request)
    table = drawing(0)
    with tempfile.TemporaryDirectory() as scratch:

        def generate(workers: int) -> None:
            synthesizer.generate(Path(scratch) / "out", rows=rows, workers=workers, random_state=0, overwrite=True)

        def write() -> None:
            for part in range(request.parts):
                pq.write_table(table, Path(scratch) / f"{part}.parquet", compression="zstd")

        works: dict[str, Callable[[], Any]] = {
            "sampling": lambda: [drawing(part) for part in range(request.parts)],
            "1 worker": lambda: generate(1),
            "2 workers": lambda: generate(2),
            "pyarrow alone": write,
        }
        rounds = [{name: Cost.of(work) for name, work in works.items()} for _ in range(repeats)]
    return {name: best([costs[name] for costs in rounds]) for name in works}


def tell(found: dict[str, Cost], rows: int) -> None:
    """Print rates, and the ratios that have a bar."""
    lines = [
        [name, f"{cost.seconds:.2f}", f"{rows / cost.seconds:,.0f}", f"{cost.cpu:.2f}", f"{rows / cost.cpu:,.0f}"]
        for name, cost in found.items()
    ]
    print(grid(["", "seconds", "rows/s", "CPU-s", "rows/CPU-s"], lines))
    sampling, one, two, alone = found.values()
    limit = {"seconds": max(sampling.seconds / CORES, alone.seconds), "cpu": max(sampling.cpu / CORES, alone.cpu)}
    print(f"\n2 workers / 1: {one.seconds / two.seconds:.2f}; CPU-s of 2 workers / 1: {two.cpu / one.cpu:.2f}")
    print(
        f"writing on top of sampling: {one.seconds / sampling.seconds - 1:.1%}; CPU-s {one.cpu / sampling.cpu - 1:.1%}"
    )
    print(
        f"2 workers / the lower of pyarrow alone and {CORES} cores that sample: {limit['seconds'] / two.seconds:.0%}; ",
        end="",
    )
    print(f"with {CORES} cores for themselves {limit['cpu'] / (two.cpu / CORES):.0%}")


def quickest(work: Callable[[], Any], repeats: int) -> float:
    """Seconds of the fastest repeat."""
    return best([Cost.of(work) for _ in range(repeats)]).seconds


def formats(table: pa.Table, repeats: int) -> None:
    """Print size, and seconds of writing and reading with one thread, of one part in many formats."""
    print("\n| compression | rows of a group | dictionaries | bytes a row | write s | read s |")
    print("| --- | --- | --- | --- | --- | --- |")
    compressions: list[tuple[str, int | None]] = [
        ("zstd", 1),
        ("zstd", 3),
        ("zstd", 9),
        ("snappy", None),
        ("lz4", None),
    ]
    for (name, level), group, coded in itertools.product(compressions, (1 << 16, 1 << 18), (True, False)):
        options = {"compression": name, "compression_level": level, "row_group_size": group, "use_dictionary": coded}

        def write(options: dict[str, Any] = options) -> pa.Buffer:
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink, **options)
            return sink.getvalue()

        content = write()

        def read(content: pa.Buffer = content) -> pa.Table:
            return pq.read_table(pa.BufferReader(content), use_threads=False)

        size = content.size / table.num_rows
        print(f"| {name} {level or ''} | {group} | {coded} | {size:.2f} | ", end="")
        print(f"{quickest(write, repeats):.3f} | {quickest(read, repeats):.3f} |")


def main() -> None:
    """Measure one model."""
    parser = argparse.ArgumentParser(description="Rates of `generate`.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", type=int, default=8 * PART_ROWS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    synthesizer = Synthesizer.load(options.model, device="cpu").set_params(verbose=False)
    with one_thread():
        found = rates(synthesizer, options.rows, options.repeats)
        tell(found, options.rows)
        if options.json:
            page = {"rows": options.rows, **{name: asdict(cost) for name, cost in found.items()}}
            options.json.write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")
        request = synthesizer.learned_.request(10 * PART_ROWS, 0)
        formats(synthesizer.learned_.draw(request, 0), options.repeats)


if __name__ == "__main__":
    main()
