"""The arrays that encodings exchange, one entry for each row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
States = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def in_dictionary(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return new values (rows,) as a dictionary of their own: that of the training table has the real ones.

    Args:
        values: The values.
        kind: The type of the column, a dictionary. Its indices are widened to 32 bits, so that all parts of a dataset
            have one type, however many values they have.

    Example:
        >>> str(in_dictionary(pa.array(["P-3", "P-4"]), pa.dictionary(pa.int8(), pa.large_string())).type)
        'dictionary<values=large_string, indices=int32, ordered=0>'
    """
    coded = values.cast(kind.value_type).dictionary_encode()
    index = kind.index_type if kind.index_type.bit_width > 32 else pa.int32()
    return pa.DictionaryArray.from_arrays(coded.indices.cast(index), coded.dictionary, ordered=kind.ordered)
