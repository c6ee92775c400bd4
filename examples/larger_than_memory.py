"""More rows than fit into memory: fit a folder of Parquet files, generate in parts, read in batches.

Tables above 256 MiB are read in batches, and datasets are written in parts, so that memory does not grow with the
number of rows. docs/tutorials/larger_than_memory.md says more.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds
from sklearn.datasets import load_wine

from synthvae import Synthesizer

ROWS = 400_000


def write_parts(folder: Path, parts: int) -> None:
    """Write a table as a folder of files."""
    folder.mkdir(exist_ok=True)
    table = load_wine(as_frame=True).frame
    for part in range(parts):
        table.iloc[part::parts].to_parquet(folder / f"part-{part}.parquet", index=False)


def main(rows: int = ROWS) -> None:
    write_parts(Path("wine"), parts=4)
    synthesizer = Synthesizer(target="target", max_steps=200, random_state=0).fit("wine")
    manifest = synthesizer.generate("many", rows=rows, overwrite=True, workers=2)  # `resume=True`: complete it
    print(f"{manifest['rows']:,} rows in {len(manifest['parts'])} files")

    made = ds.dataset("many", format="parquet")  # any engine reads it: DuckDB, Spark, polars, ...
    counts, sums, largest = np.zeros(3), np.zeros(3), 0
    for batch in made.to_batches(columns=["target", "alcohol"], batch_size=10_000):
        kinds = batch.column("target").to_numpy()
        counts += np.bincount(kinds, minlength=3)
        sums += np.bincount(kinds, batch.column("alcohol").to_numpy(), minlength=3)
        largest = max(largest, batch.nbytes)
    print(f"mean alcohol by class {(sums / counts).round(2)}, never more than {largest / 1e3:.0f} kB at a time")

    strong = made.count_rows(filter=pc.field("alcohol") > 14)  # row groups without such values are not read
    print(f"{strong / counts.sum():.1%} of the wines have more than 14 % of alcohol")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
