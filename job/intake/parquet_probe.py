"""A child process that decodes a whole Parquet file and prints what is in it, as JSON: it may die of a damaged one.

Run as a script with one argument, the path. It imports nothing of ours, so that it runs wherever Python and Polars do.

Prints:
    `rows`, `schema` (headings), `nested` (heading and dtype of what is neither a number nor text), `text` (headings of
    text), `longest` (heading -> bytes of the longest value as text); or `error`, one line.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

FREE_BYTES = 1 << 30
BYTES_PER_BYTE = 32  # of the file: what it may take to decode it piece by piece


def bound_memory(path: str) -> None:
    """Let this process have only as much memory as an honest file of this size needs."""
    limit = FREE_BYTES + BYTES_PER_BYTE * os.path.getsize(path)  # noqa: PTH202 - saves importing pathlib
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def describe(path: str) -> dict[str, Any]:
    """Decode the file and return what it holds."""
    import polars as pl  # noqa: PLC0415 - after memory is bounded

    text_types = (pl.String, pl.Categorical, pl.Enum)
    try:
        scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        schema = scan.collect_schema()
        nested = [
            (name, str(dtype)) for name, dtype in schema.items() if dtype.is_nested() or dtype in (pl.Binary, pl.Object)
        ]
        flat = [name for name in schema if name not in dict(nested)]
        longest = [pl.col(name).cast(pl.String).str.len_bytes().max() for name in flat]
        row = scan.select(pl.len().alias(" rows"), *longest).collect(engine="streaming").row(0)
    except (pl.exceptions.PolarsError, OSError) as error:
        return {"error": str(error).partition("\n")[0] or type(error).__name__}
    return {
        "rows": row[0],
        "schema": list(schema),
        "nested": nested,
        "text": [name for name in flat if schema[name] in text_types],
        "longest": {name: size or 0 for name, size in zip(flat, row[1:], strict=True)},
    }


if __name__ == "__main__":
    bound_memory(sys.argv[1])
    print(json.dumps(describe(sys.argv[1])))  # noqa: T201 - this is its answer
