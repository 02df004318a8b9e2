"""A child process that decodes whole Parquet files and prints what is in them: it may die of a damaged one.

Run as a script that reads a path with its stamp (size, time of change, inode) on each line, as JSON, and answers each
with a line of JSON. It imports nothing of ours, so that it runs wherever Python and Polars do.

Prints:
    `rows`, `schema` (headings), `nested` (heading and dtype of what is neither a number nor text), `text` (headings of
    text), `text_bytes` (of all values in them), `longest` (heading -> bytes of the longest value as text); or `error`,
    one line.
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


def describe(path: str, stamp: list[int]) -> dict[str, Any]:
    """Decode the file and return what it holds; whatever else lies under the path now is not read."""
    import polars as pl  # noqa: PLC0415 - after memory is bounded

    text_types = (pl.String, pl.Categorical, pl.Enum)
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as stream:
            status = os.fstat(stream.fileno())
            if [status.st_size, status.st_mtime_ns, status.st_ino] != stamp:
                return {"error": "it was replaced"}
            scan = pl.scan_parquet(f"/dev/fd/{stream.fileno()}", glob=False, hive_partitioning=False)
            schema = scan.collect_schema()
            nested = [
                (name, str(dtype))
                for name, dtype in schema.items()
                if dtype.is_nested() or dtype in (pl.Binary, pl.Object)
            ]
            flat = [name for name in schema if name not in dict(nested)]
            longest = [pl.col(name).cast(pl.String).str.len_bytes().max() for name in flat]
            text = [name for name in flat if schema[name] in text_types]
            sizes = (pl.col(name).cast(pl.String).str.len_bytes().cast(pl.UInt64).sum() for name in text)
            total = pl.sum_horizontal(sizes) if text else pl.lit(0)
            counts = (pl.len().alias(" rows"), total.alias(" text bytes"))
            row = scan.select(*counts, *longest).collect(engine="streaming").row(0)
    except (pl.exceptions.PolarsError, OSError) as error:
        return {"error": str(error).partition("\n")[0] or type(error).__name__}
    return {
        "rows": row[0],
        "schema": list(schema),
        "nested": nested,
        "text": text,
        "text_bytes": row[1],
        "longest": {name: size or 0 for name, size in zip(flat, row[2:], strict=True)},
    }


def answer_all() -> None:
    """Answer line by line, until there are no more; what it dies of, nobody need read."""
    bound_memory(0)
    import_module("polars")  # that it is not there must be heard
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    largest = 0
    for line in sys.stdin:
        path, stamp = json.loads(line)
        largest = max(largest, stamp[0])
        bound_memory(largest)  # what larger files took is kept for later ones
        print(json.dumps(describe(path, stamp)), flush=True)  # noqa: T201 - this is its answer


if __name__ == "__main__":
    answer_all()
