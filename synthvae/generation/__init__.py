"""From a request to rows to a Parquet dataset: the only package that writes datasets.

On a disk, files are written to `.incomplete/` in the folder of the dataset. When all of them exist, including the
manifest, the manifest of an earlier dataset is set aside, the new parts are moved to their places, the old parts are
removed, and `_manifest.json` is moved last: its presence means that the dataset is complete. In an object store, where
moving an object copies it, parts are written under their final names, and the manifest of an earlier dataset is set
aside before the first of them. Each step can be repeated, so that `resume` completes a run that was killed at any
point. Only files that a manifest or a plan of this package lists are ever removed.
"""
