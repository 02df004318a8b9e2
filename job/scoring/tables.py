"""Write a run's tables part by part, whatever the parts are: the same rows give the same bytes."""

from __future__ import annotations

import hashlib
import io
import queue
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from polars.io.plugins import register_io_source

from job.errors import OutputError, reason_of
from job.files import LargeFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GROUP_ROWS: Final = 100_000  # of a Parquet row group: whatever the parts, Polars cuts them to it
COMPRESSION: Final = "snappy"  # half a second less per million customers than zstd, and every reader has it


class CsvTable(AbstractContextManager["CsvTable"]):
    """A CSV file, with the columns of a frame in a style of Polars, written part by part and hashed as it goes."""

    def __init__(self, path: Path, columns: pl.DataFrame, **style: Any) -> None:  # noqa: ANN401 - of write_csv
        self._style = {**style, "include_bom": False, "include_header": False}
        self._digest = hashlib.sha256()
        self._file = LargeFile(path)
        self.add_text(_text_of(columns.clear(), style))

    def __exit__(self, *error: object) -> None:
        self._file.__exit__(*error)

    def add(self, rows: pl.DataFrame) -> None:
        """Write some rows."""
        self.add_text(self.text_of(rows))

    def text_of(self, rows: pl.DataFrame) -> io.BytesIO:
        """Return some rows as they are written, for `add_text`; threads may do that at once."""
        return _text_of(rows, self._style)

    def add_text(self, text: io.BytesIO | Path) -> None:
        """Write rows that are text already, in the same style and without headings; a file of them is then removed."""
        content = text.read_bytes() if isinstance(text, Path) else text.getbuffer()
        self._digest.update(content)
        self._file.write(content)
        if isinstance(text, Path):
            text.unlink()

    @property
    def sha256(self) -> str:
        """SHA-256 of what was written so far, in hexadecimal."""
        return self._digest.hexdigest()


def _text_of(rows: pl.DataFrame, style: Mapping[str, Any]) -> io.BytesIO:
    text = io.BytesIO()
    rows.write_csv(text, **style)
    return text


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class ParquetTable(AbstractContextManager["ParquetTable"]):
    """A Parquet file that is written part by part, while the next part is made."""

    def __init__(self, path: Path, schema: pl.Schema) -> None:
        self._path = path
        self._waiting: queue.Queue[pl.DataFrame | None] = queue.Queue(1)
        self._rows = 0
        self._is_abandoned = False
        source = register_io_source(lambda *_: self._taken(), schema=schema)
        write = partial(source.sink_parquet, compression=COMPRESSION, row_group_size=GROUP_ROWS, maintain_order=True)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="parquet")
        self._written = self._pool.submit(write, path)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._is_abandoned = error is not None
        self._put(None)
        self._pool.shutdown()
        if error is None:
            self._check()
            written = int(pl.scan_parquet(self._path, glob=False).select(pl.len()).collect().item())
            if written != self._rows:
                raise OutputError(f"{self._path}: holds {written} rows of {self._rows}")

    def add(self, rows: pl.DataFrame) -> None:
        """Write some rows. Raises OutputError if the file cannot be written."""
        if rows.height:
            self._rows += rows.height
            self._put(rows)
        self._check()

    def _put(self, rows: pl.DataFrame | None) -> None:
        while not self._written.done():
            try:
                self._waiting.put(rows, timeout=0.05)
            except queue.Full:
                continue
            return

    def _check(self) -> None:
        if self._written.done():
            try:
                self._written.result()
            except Exception as error:
                raise OutputError(f"{self._path}: cannot be written: {reason_of(error)}") from error

    def _taken(self) -> Iterator[pl.DataFrame]:
        while (rows := self._waiting.get()) is not None:
            yield rows
        if self._is_abandoned:
            raise InterruptedError("abandoned")
