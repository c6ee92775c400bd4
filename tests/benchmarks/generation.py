"""Rate of `generate`: two workers beside one, writing on top of sampling, and what pyarrow alone needs to write.

    python generation.py MODEL_DIR [--rows 2097152] [--repeats 3]

Each figure is the best of the repeats: a machine that others use gives two workers less than two cores. "Sampling"
draws the same parts and writes nothing; "pyarrow alone" writes one part of that table as often. Formats: the size and
the seconds of one part for row groups, compression and dictionaries.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synthvae import Synthesizer
from synthvae.generation import PART_ROWS, Drawing
from synthvae.threads import one_thread


def best(work: Callable[[], Any], repeats: int) -> float:
    """Seconds of the fastest repeat."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def rates(synthesizer: Synthesizer, rows: int, repeats: int) -> None:
    """Print rows a second of generating, sampling and writing."""
    request = synthesizer.learned_.request(rows, 0)
    drawing = Drawing(synthesizer.model_, synthesizer.encoding_, request)
    table = drawing(0)
    with tempfile.TemporaryDirectory() as scratch:

        def generate(workers: int) -> None:
            synthesizer.generate(Path(scratch) / "out", rows=rows, workers=workers, random_state=0, overwrite=True)

        def write() -> None:
            for part in range(request.parts):
                pq.write_table(table, Path(scratch) / f"{part}.parquet", compression="zstd")

        found = {
            "sampling": best(lambda: [drawing(part) for part in range(request.parts)], repeats),
            "1 worker": best(lambda: generate(1), repeats),
            "2 workers": best(lambda: generate(2), repeats),
            "pyarrow alone": best(write, repeats),
        }
    print("| | seconds | rows/s |\n| --- | --- | --- |")
    for name, seconds in found.items():
        print(f"| {name} | {seconds:.2f} | {rows / seconds:,.0f} |")
    print(f"\n2 workers / 1: {found['1 worker'] / found['2 workers']:.2f}")
    print(f"writing on top of sampling: {found['1 worker'] / found['sampling'] - 1:.1%}")


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
        print(f"{best(write, repeats):.3f} | {best(read, repeats):.3f} |")


def main() -> None:
    """Measure one model."""
    parser = argparse.ArgumentParser(description="Rates of `generate`.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", type=int, default=8 * PART_ROWS)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    synthesizer = Synthesizer.load(options.model, device="cpu").set_params(verbose=False)
    with one_thread():
        rates(synthesizer, options.rows, options.repeats)
        request = synthesizer.learned_.request(10 * PART_ROWS, 0)
        formats(synthesizer.learned_.draw(request, 0), options.repeats)


if __name__ == "__main__":
    main()
