"""What importing synthvae costs, beside the libraries that it stands on.

Measured: the wall time of fresh interpreters that do one import each, median of seven,
taken in turn after one round that warms the caches; printed as it is, less the bare
interpreter, and over `import torch, pandas`. Then checked: that
`python -m synthvae --help` does not import torch (exit 1 if it does).

    python import_time.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 7
BARE = "pass"
REFERENCE = "import torch, pandas"
STATEMENTS = (BARE, "import synthvae", "from synthvae import Synthesizer", REFERENCE)


def clock(statement: str) -> float:
    """Return the seconds that a fresh interpreter takes for `statement`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def clock_all() -> dict[str, float]:
    """Return the median seconds of every statement."""
    rounds = [{statement: clock(statement) for statement in STATEMENTS} for _ in range(ROUNDS + 1)]
    return {statement: statistics.median(seconds[statement] for seconds in rounds[1:]) for statement in STATEMENTS}


def show(seconds: dict[str, float]) -> None:
    """Print the medians and their ratios to the reference."""
    print("| statement | seconds | less bare | over reference |\n| --- | --- | --- | --- |")
    for statement, value in seconds.items():
        net, ratio = value - seconds[BARE], value / seconds[REFERENCE]
        print(f"| `{statement}` | {value:.3f} | {net:.3f} | {ratio:.3f} |")


def modules_of_help() -> set[str]:
    """Return the names of all modules that `python -m synthvae --help` imports."""
    command = [sys.executable, "-X", "importtime", "-m", "synthvae", "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip() for line in lines}


def main() -> None:
    """Print the times, then check what the help imports."""
    show(clock_all())
    modules = modules_of_help()
    if "synthvae" not in modules:
        sys.exit("import_time: the trace of `synthvae --help` does not name synthvae")
    loaded = "torch" in modules
    print(f"\n`synthvae --help` imports torch: {'YES' if loaded else 'no'}")
    sys.exit(int(loaded))


if __name__ == "__main__":
    main()
