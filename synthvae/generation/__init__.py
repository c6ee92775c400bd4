"""A request to rows to a Parquet dataset. The only writer of datasets.

On a disk new files grow in `.incomplete/` inside the folder. Once all are there, the manifest among them, the old
manifest is put aside, the new parts move up, the old ones go, and `_manifest.json` moves last: its presence means that
the dataset is whole. In an object store, where to move is to copy, parts have their final names at once: there the old
manifest is put aside before the first of them. Each step can be repeated, so a run that was killed among them is
completed by `resume`. Only files that a manifest or a plan of ours names are ever removed.
"""
