"""Write a run's tables part by part, whatever the parts are: the same rows give the same bytes."""

from __future__ import annotations

import hashlib
import io
import queue
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import polars as pl
from polars.io.plugins import register_io_source

from job.errors import OutputError, reason_of
from job.files import LargeFile

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP_ROWS: Final = 100_000  # of a Parquet row group: whatever the parts, Polars cuts them to it
COMPRESSION: Final = "snappy"  # half a second less per million customers than zstd, and every reader has it

COPY_BYTES: Final = 8 << 20


class CsvTable(AbstractContextManager["CsvTable"]):
    """A CSV file, with the columns of a frame in a style of Polars, written part by part and hashed as it goes."""

    def __init__(self, path: Path, columns: pl.DataFrame, **style: Any) -> None:  # noqa: ANN401 - of write_csv
        self._path = path
        self._style = style
        self._digest = hashlib.sha256()
        self._file = LargeFile(path)
        self.add_text(self._text_of(columns.clear(), include_header=True, **style))

    def __exit__(self, *error: object) -> None:
        self._file.__exit__(*error)

    def add(self, rows: pl.DataFrame) -> None:
        """Write some rows."""
        self.add_text(self.text_of(rows))

    def text_of(self, rows: pl.DataFrame) -> io.BytesIO:
        """Return some rows as they are written, for `add_text`; threads may do that at once."""
        return self._text_of(rows, include_header=False, **{**self._style, "include_bom": False})

    def add_text(self, text: BinaryIO | Path) -> None:
        """Write rows that are text already, in the same style and without headings; a file of them is then removed."""
        if isinstance(text, Path):
            with text.open("rb") as stream:
                self.add_text(stream)
            text.unlink()
            return
        for block in _blocks(text):
            self._digest.update(block)
            self._file.write(block)

    @property
    def sha256(self) -> str:
        """SHA-256 of what was written so far, in hexadecimal."""
        return self._digest.hexdigest()

    @staticmethod
    def _text_of(rows: pl.DataFrame, **style: Any) -> io.BytesIO:  # noqa: ANN401 - of write_csv
        text = io.BytesIO()
        rows.write_csv(text, **style)
        return text


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _blocks(text: BinaryIO) -> Iterator[bytes | memoryview]:
    """Yield what a stream holds in blocks; all of it, without copies, if it is in memory."""
    if isinstance(text, io.BytesIO):
        whole = text.getbuffer()
        yield from (whole[start : start + COPY_BYTES] for start in range(0, len(whole), COPY_BYTES))
    else:
        while block := text.read(COPY_BYTES):
            yield block


class ParquetTable(AbstractContextManager["ParquetTable"]):
    """A Parquet file that is written part by part, while the next part is made."""

    def __init__(self, path: Path, schema: pl.Schema) -> None:
        self._path = path
        self._schema = schema
        self._waiting: queue.Queue[pl.DataFrame | None] = queue.Queue(1)
        self._error: Exception | None = None
        self._rows = 0
        self._is_abandoned = False
        self._thread = threading.Thread(target=self._run, name="parquet", daemon=True)
        self._thread.start()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._is_abandoned = error is not None
        self._put(None)
        self._thread.join()
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
        while self._thread.is_alive():
            try:
                self._waiting.put(rows, timeout=0.05)
            except queue.Full:
                continue
            return

    def _check(self) -> None:
        if self._error is not None:
            raise OutputError(f"{self._path}: cannot be written: {reason_of(self._error)}") from self._error

    def _run(self) -> None:
        try:
            source = register_io_source(lambda *_: self._taken(), schema=self._schema)
            source.sink_parquet(self._path, compression=COMPRESSION, row_group_size=GROUP_ROWS, maintain_order=True)
        except Exception as error:  # noqa: BLE001 - told by `_check`, in the thread that adds rows
            self._error = error

    def _taken(self) -> Iterator[pl.DataFrame]:
        while (rows := self._waiting.get()) is not None:
            yield rows
        if self._is_abandoned:
            raise InterruptedError("abandoned")
