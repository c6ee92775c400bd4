"""Memory of each process of a long `synthvae generate`: bounded, however many rows it writes.

    python workers.py MODEL_DIR --work DIR [--rows 1e8] [--workers 2] [--json FILE]

Every few seconds the resident memory of each process is looked at, libraries that they share included, and how many
parts are finished. The peak of the largest process is also what the system says of it (`wait4`). The dataset is
counted and removed. Prints what was found; `--json` keeps the series, which `drawn.py` draws.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow.dataset as ds

EVERY = 2.0  # seconds


def resident(run: psutil.Process) -> dict[int, float]:
    """GiB of each process of a run, itself first."""
    found = {}
    for process in [run, *run.children(recursive=True)]:
        try:
            found[process.pid] = process.memory_info().rss / 2**30
        except psutil.NoSuchProcess:
            continue
    return found


def watched(words: list[str], out: Path) -> dict[str, Any]:
    """Run a command, and return its seconds, CPU-seconds, peak, and what was seen of its processes."""
    start, series = time.monotonic(), list[dict[str, Any]]()
    process = subprocess.Popen([sys.executable, "-m", "synthvae", *words], stdout=subprocess.DEVNULL)
    run = psutil.Process(process.pid)
    while True:
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        parts = len(list(out.rglob("part-*.parquet")))
        series.append({"seconds": time.monotonic() - start, "parts": parts, "GiB": resident(run)})
        time.sleep(EVERY)
    assert status == 0, status
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20
    return {"seconds": time.monotonic() - start, "CPU-s": cpu, "GiB": peak, "series": series}


def peaks(series: list[dict[str, Any]]) -> dict[int, float]:
    """The largest memory of each process that was seen."""
    processes = {pid for look in series for pid in look["GiB"]}
    return {pid: max(look["GiB"].get(pid, 0.0) for look in series) for pid in sorted(processes)}


def main() -> None:
    """Write one dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rows", type=float, default=1e8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    out, rows = asked.work / "many", int(asked.rows)
    words = ["generate", asked.model, "-o", out, "--rows", rows, "--workers", asked.workers, "--seed", 0, "-q"]
    found = {"rows": rows, "workers": asked.workers, **watched([str(word) for word in words], out)}
    found["bytes"] = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    assert ds.dataset(out, format="parquet").count_rows() == rows
    shutil.rmtree(out)
    if asked.json:
        asked.json.write_text(json.dumps(found) + "\n", encoding="utf-8")
    print(f"{rows:,} rows, {asked.workers} workers: {found['seconds']:.0f} s, {found['CPU-s']:.0f} CPU-s, ", end="")
    print(f"{rows / found['seconds']:,.0f} rows/s, {rows / found['CPU-s']:,.0f} rows/CPU-s, ", end="")
    print(f"{found['bytes'] / 1e9:.2f} GB; no process above {found['GiB']:.3f} GiB; peaks that were seen: ", end="")
    print(", ".join(f"{peak:.3f}" for peak in peaks(found["series"]).values()))


if __name__ == "__main__":
    main()
