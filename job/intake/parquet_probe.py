"""A child process that decodes whole Parquet files and prints what is in them: it may die of a damaged one.

Run as a script that reads a path on each line, a JSON string, and answers each with a line of JSON. It imports nothing
of ours, so that it runs wherever Python and Polars do.

Prints:
    `rows`, `schema` (headings), `nested` (heading and dtype of what is neither a number nor text), `text` (headings of
    text), `longest` (heading -> bytes of the longest value as text); or `error`, one line.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from importlib import import_module
from typing import Any

FREE_BYTES = 1 << 30
BYTES_PER_BYTE = 32  # of the file: what it may take to decode it piece by piece


def bound_memory(size: int) -> None:
    """Let this process have only as much memory as an honest file of this size needs."""
    limit = FREE_BYTES + BYTES_PER_BYTE * size
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


def answer_all() -> None:
    """Answer line by line, until there are no more; what it dies of, nobody need read."""
    bound_memory(0)
    import_module("polars")  # that it is not there must be heard
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    largest = 0
    for line in sys.stdin:
        path = json.loads(line)
        largest = max(largest, os.path.getsize(path))  # noqa: PTH202 - saves importing pathlib
        bound_memory(largest)  # what larger files took is kept for later ones
        print(json.dumps(describe(path)), flush=True)  # noqa: T201 - this is its answer


if __name__ == "__main__":
    answer_all()
