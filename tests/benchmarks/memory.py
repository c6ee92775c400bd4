"""Peak memory of `synthvae generate`, which should not grow with the number of rows.

Measured, for a small and a large number of rows: the peak resident memory of the
`generate` process (the largest one, were it to start others), its wall time and its rows
per second; then the ratio of the two peaks, which should be at most 1.2.

    python memory.py MODEL_DIR [--small 300000] [--large 30000000]
    python memory.py MODEL_DIR --rows 300000        one size, printed as JSON

Each size is measured by a fresh process, since `RUSAGE_CHILDREN` keeps the maximum of all
children. The rows go to the temporary directory (TMPDIR) and are deleted.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 1.2

Figures = dict[str, float]


def measure(model: Path, rows: int) -> Figures:
    """Generate `rows` rows in a child process; return its peak memory and speed."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "rows"
        request = ["--rows", str(rows), "--seed", "0", "--quiet"]
        command = [sys.executable, "-m", "synthvae", "generate", str(model), "-o", str(out)]
        start = time.perf_counter()
        subprocess.run(command + request, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        if not (out / "_manifest.json").exists():
            sys.exit(f"memory: no whole dataset was written for {rows} rows")
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # KiB on Linux
    return {"rows": rows, "peak_mib": peak_kib / 1024, "seconds": seconds}


def measure_apart(model: Path, rows: int) -> Figures:
    """Do `measure` in a fresh interpreter."""
    command = [sys.executable, __file__, str(model), "--rows", str(rows)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def compare(sizes: list[Figures]) -> None:
    """Print both sizes, the ratio of their peaks and whether it keeps the limit."""
    print("| rows | peak MiB | seconds | rows/s |\n| --- | --- | --- | --- |")
    for size in sizes:
        rows, peak, seconds = size["rows"], size["peak_mib"], size["seconds"]
        print(f"| {rows:,} | {peak:.0f} | {seconds:.1f} | {rows / seconds:,.0f} |")
    small, large = sizes
    ratio = large["peak_mib"] / small["peak_mib"]
    print(f"\npeak ratio: {ratio:.3f}, at most {LIMIT}: {'yes' if ratio <= LIMIT else 'NO'}")


def main() -> None:
    """Measure one size here, or both apart."""
    parser = argparse.ArgumentParser(description="Peak memory of `synthvae generate`.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--small", type=int, default=300_000)
    parser.add_argument("--large", type=int, default=30_000_000)
    parser.add_argument("--rows", type=int, help="measure this size alone, print JSON")
    options = parser.parse_args()
    if options.rows is not None:
        print(json.dumps(measure(options.model, options.rows)))
    else:
        compare([measure_apart(options.model, rows) for rows in (options.small, options.large)])


if __name__ == "__main__":
    main()
