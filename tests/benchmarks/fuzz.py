"""Let hostile inputs loose on one door after the other, by hand: `python tests/benchmarks/fuzz.py --cases 100000`.

Each case has a seed of its own, so that a find is found again: `... --target page --first SEED --cases 1`. Cases run in
processes of their own, a thousand after another, with little memory and little time, so that a crash, a blow-up or a
hang is a find like any other. With `--atheris` (`pip install atheris`) inputs grow along the branches that they reach.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

CHUNK = 1000
SECONDS = 20  # that a case may take
MEMORY = 512 << 20  # bytes by which a case may grow the process
ADDRESSES = 4 << 30  # bytes of addresses beyond those in use when cases begin


class SlowError(BaseException):
    """A case takes too long; nobody catches it by mistake."""


def main() -> None:
    """Run the cases of one target or all, and print what was found as JSON, one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--atheris", action="store_true")
    asked = parser.parse_args()
    if asked.atheris:
        guided(asked.target[0], asked.cases)
        return
    import mutation

    for name in asked.target or mutation.MAKERS:
        search(name, range(asked.first, asked.first + asked.cases))


def search(name: str, seeds: range) -> None:
    """Run cases in processes of their own, and print what was found."""
    import mutation

    mutation.MAKERS[name](Random(0))  # models and tables are made once, before processes are
    context, began = multiprocessing.get_context("fork"), time.process_time()
    finds: Counter[str] = Counter()
    first: dict[str, Any] = {}
    peak, done = 0, 0
    while done < len(seeds):
        chunk = seeds[done : done + CHUNK]
        at, results = context.Value("q", chunk[0]), context.SimpleQueue()
        process = context.Process(target=run_chunk, args=(name, chunk, at, results))
        process.start()
        found, grown = results.get() if _answers(process, results) else ({}, 0)
        process.join()
        if process.exitcode != 0:
            found = {f"process died: {process.exitcode}": [at.value]}
        for what, where in found.items():
            finds[what] += len(where)
            first.setdefault(what, where[0])
        peak, done = max(peak, grown), at.value + 1 - seeds[0]
    cpu = time.process_time() - began + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    kinds = [{"what": what, "times": times, "seed": first[what]} for what, times in finds.most_common()]
    print(json.dumps({"target": name, "cases": done, "grown_mib": peak >> 20, "cpu_s": round(cpu), "finds": kinds}))


def _answers(process: Any, results: Any) -> bool:
    """Whether a process has sent its result, or has died without one."""
    while process.is_alive() and results.empty():
        process.join(0.1)
    return not results.empty()


def run_chunk(name: str, seeds: range, at: Any, results: Any) -> None:
    """Run cases one after the other; tell what went wrong, and by how much memory grew."""
    import mutation
    import targets

    addresses = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (addresses + ADDRESSES, addresses + ADDRESSES))
    signal.signal(signal.SIGPROF, _too_slow)  # seconds of the processor: a busy machine makes no finds
    found: dict[str, list[int]] = {}
    start = peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    for seed in seeds:
        at.value = seed
        data = mutation.MAKERS[name](Random(seed))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            targets.TARGETS[name](data)
        except BaseException as error:  # noqa: BLE001 (all that comes out is a find)
            found.setdefault(_described(error), []).append(seed)
        signal.setitimer(signal.ITIMER_PROF, 0)
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        if now - peak > MEMORY:
            found.setdefault("memory grew", []).append(seed)
        peak = max(now, peak)
    results.put((found, peak - start))


def _too_slow(*_: Any) -> None:
    raise SlowError


def _described(error: BaseException) -> str:
    """What went wrong, and where in the package."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/synthvae/" in frame.filename] or list(frames)
    return f"{type(error).__name__} {Path(ours[-1].filename).name}:{ours[-1].lineno} {str(error)[:100]}"


def guided(name: str, cases: int) -> None:
    """Let atheris grow inputs from the made ones; it stops at the first find."""
    import tempfile

    import atheris

    with atheris.instrument_imports(include=["synthvae", "yaml"]):
        import mutation
        import targets
    corpus = Path(tempfile.mkdtemp(prefix=f"corpus-{name}-"))
    for seed in range(200):
        (corpus / f"{seed}").write_bytes(mutation.MAKERS[name](Random(seed)))
    limits = ["-rss_limit_mb=4096", f"-timeout={SECONDS}", "-max_len=8192", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], f"-runs={cases}", *limits, str(corpus)], targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
