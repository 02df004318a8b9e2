"""The I/O floor: parse every column of the four files, write columns of the size of `scored.*`, and nothing else.

Polars' streaming engine does both. Each column is parsed to its dtype (words stay strings) and consumed by a sum, of
the bytes for strings, so that no column can be left out. What is written are real scored rows, a block of them over
and over: the same columns, dtypes and bytes per row as a run of the job writes, as CSV and as Parquet. Not in the
floor: anything that looks at a value, SHA-256, fsync, and the run's other files (`campaign.csv` and the lists).

One file after the other is parsed, then each output is written. All at once takes as long on two cores, and twice
the memory.

Usage: python -m tests.benchmarks.yardsticks.floor DROP BLOCK ROWS OUT
    DROP: a drop. BLOCK: Parquet with scored rows. ROWS: how many to write. OUT: a folder, made here.
Prints a line of JSON: seconds (and CPU seconds) of each part.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import polars as pl

WORD, WHOLE, NUMBER = pl.String, pl.Int64, pl.Float64
MARKET_FILE = (WHOLE, WORD, WORD, NUMBER, WHOLE, WHOLE, NUMBER, WORD, WHOLE, WHOLE, WHOLE, WHOLE)
DTYPES = {
    "market_file": MARKET_FILE,
    "market_money": (WHOLE, WORD, NUMBER),
    "market_time": (WHOLE, WORD, WHOLE),
    "money": (WHOLE, NUMBER),
}


def main(drop: Path, block: Path, rows: int, out: Path) -> None:
    out.mkdir(parents=True)
    clock = Clock()
    for table in DTYPES:
        consume(scan(drop, table))
        clock.lap(f"parse {table}")
    scored = repeat(pl.read_parquet(block), rows)
    scored.sink_csv(out / "scored.csv")
    clock.lap("write csv")
    scored.sink_parquet(out / "scored.parquet")
    clock.lap("write parquet")
    print(json.dumps({"seconds": clock.seconds, "cpu": clock.cpu}))


def scan(drop: Path, table: str) -> pl.LazyFrame:
    """Return a table of a drop. A value that is no number becomes null, as in any tolerant reader."""
    path = drop / f"{table}.csv"
    if not path.exists():
        return pl.scan_parquet(drop / f"{table}.parquet")
    separator = ";" if table == "money" else ","
    with path.open(encoding="utf-8", newline="") as stream:
        headings = stream.readline().rstrip("\r\n").split(separator)
    return pl.scan_csv(
        path,
        separator=separator,
        decimal_comma=separator == ";",
        schema=dict(zip(headings, DTYPES[table], strict=True)),
        ignore_errors=True,
    )


def consume(table: pl.LazyFrame) -> pl.DataFrame:
    """Return a sum of every column, and the rows."""
    columns = [
        (pl.col(name).str.len_bytes() if dtype == WORD else pl.col(name)).sum()
        for name, dtype in table.collect_schema().items()
    ]
    return table.select(*columns, rows=pl.len()).collect(engine="streaming")


def repeat(block: pl.DataFrame, rows: int) -> pl.LazyFrame:
    """Return so many rows: the block again and again."""
    return pl.concat([block.lazy()] * -(-rows // block.height)).head(rows)


class Clock:
    """Seconds and CPU seconds since the lap before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self._last = time.perf_counter(), time.process_time()

    def lap(self, name: str) -> None:
        now = time.perf_counter(), time.process_time()
        self.seconds[name], self.cpu[name] = (round(new - old, 4) for new, old in zip(now, self._last, strict=True))
        self._last = now


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
