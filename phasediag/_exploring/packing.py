"""Arrays in a page: one after another, compressed, as text, with a list that says what and where they are."""

import gzip
from base64 import b64encode

import numpy as np

_ALIGNED = 8
"""Every array begins at a multiple of so many bytes, as typed arrays of a browser must."""


def pack(arrays):
    """Return the text of all arrays, a mapping by name, and what the page needs to find them: a list of dict."""
    places, parts, at = [], [], 0
    for name, array in arrays.items():
        array = np.ascontiguousarray(array, dtype=np.asarray(array).dtype.newbyteorder("<"))
        places.append({"name": name, "dtype": array.dtype.str, "shape": [*array.shape], "at": at})
        parts.append(array.tobytes() + bytes(-array.nbytes % _ALIGNED))
        at += len(parts[-1])
    return b64encode(gzip.compress(b"".join(parts), mtime=0)).decode(), places
