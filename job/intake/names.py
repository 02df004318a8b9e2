"""What the names of a drop's files say: which table, in which format, and what lies there that is no table.

Among a table's parts lies what systems and programs leave (passed over), what they are still writing (waited for), and
what tells that the folder is a table of another kind (refused: read file by file, it brings deleted rows back).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from schemas.columns import TABLES

if TYPE_CHECKING:
    from collections.abc import Collection

FileFormat = Literal["csv", "parquet"]
Compression = Literal["gzip", "zstd"]
Role = Literal["part", "hidden", "leftover", "arriving"]

READY_MARKER: Final = "_READY"
FORMATS: Final[dict[str, tuple[FileFormat, Compression | None]]] = {
    ".csv": ("csv", None),
    ".csv.gz": ("csv", "gzip"),
    ".csv.zst": ("csv", "zstd"),
    ".parquet": ("parquet", None),
}
ENDINGS: Final = " or ".join(FORMATS)
LAKES: Final = {"_delta_log": "Delta Lake", ".hoodie": "Hudi", ".hoodie_partition_metadata": "Hudi"}
"""What lies in the folders of a table format, and in none of plain files."""
ICEBERG: Final = "metadata"  # a folder

_ARRIVING: Final = (
    *(".filepart", ".part", ".partial", ".tmp", ".temp", ".upload", ".uploading", ".incomplete", ".inprogress"),
    *(".writing", ".crdownload", ".download", ".opdownload", ".aria2", ".lock", "._copying_"),
)
"""How names end that programs give to what they are still writing."""
_LEFTOVERS: Final = (
    *("thumbs.db", "desktop.ini", ".crc", ".metadata", ".md5", ".sha1", ".sha256", ".sha256sum", ".asc", ".sig"),
    *("~", "#", ".bak", ".old", ".orig", ".save", ".swp", ".swo"),
)
"""How names end of what systems, programs and editors leave beside files."""
_LEFTOVER_STARTS: Final = (
    *("~$", "@eadir", "$recycle.bin", "#recycle", "lost+found", "system volume information", "readme"),
)
_OTHER_FORMATS: Final = (
    *(".csv", ".txt", ".tsv", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".json", ".jsonl", ".ndjson", ".xml", ".html"),
    *(".zip", ".7z", ".rar", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".lz4", ".snappy", ".gpg", ".pgp"),
    *(".parquet", ".orc", ".avro", ".feather", ".arrow", ".dbf", *_LEFTOVERS),
)
"""How names end of what is no table of ours, and will not become one by waiting."""
_WRITING_FOLDERS: Final = ("_temporary", ".spark-staging", ".hive-staging")  # gone once what they hold is complete
_SUCCESS: Final = "_SUCCESS"
_BEGUN: Final = re.compile(r"_started_(?P<transaction>\d+)")
_AS_RSYNC_WRITES: Final = re.compile(rf"\..+(?:{'|'.join(map(re.escape, FORMATS))})\.\w{{6}}", flags=re.IGNORECASE)
_WORD: Final = r"[^\W_]"


def table_of(name: str) -> str | None:
    """Return the table whose file has such a name, None if none has."""
    table, _, ending = name.lower().partition(".")
    return table if table in TABLES and f".{ending}" in FORMATS else None


def may_hold_parts(name: str) -> str | None:
    """Return the table whose parts a folder of such a name holds: `money/`, or `money.csv/` as Spark names it."""
    return name.lower() if name.lower() in TABLES else table_of(name)


def belongs_to_drop(name: str) -> bool:
    """Return whether a name, below a drop's folder, is that of a table's file or of the marker."""
    table, slash, below = name.partition("/")
    if slash:
        return may_hold_parts(table) is not None and not any(is_hidden(part) for part in below.split("/"))
    return name == READY_MARKER or table_of(name) is not None


def sign_of(name: str) -> str | None:
    """Return of a name that does not belong to a drop as much as says something about it, None if nothing does.

    That is a file of a table in another format or name, or what is hidden among parts.
    """
    first, *below = name.split("/")
    if not below:
        return name if other_table_of(name) is not None else None
    hidden = next((place for place, part in enumerate(below) if is_hidden(part)), None)
    return None if may_hold_parts(first) is None or hidden is None else "/".join((first, *below[: hidden + 1]))


def other_table_of(name: str) -> str | None:
    """Return the table that something is named after without being a file of it: `money.xlsx`, `2026-10 money.csv`.

    What begins like a whole name is still being written, unless it is in a format of its own.
    """
    text = re.sub(r"[\s-]", "_", name.lower())
    tables = [table for table in TABLES if re.search(rf"(?<!{_WORD}){table}(?!{_WORD})", text)]
    if not tables or table_of(name) is not None or is_hidden(name) or text.endswith(_ARRIVING):
        return None
    table = max(tables, key=len)
    rest = text.removeprefix(table)
    return None if rest.startswith(tuple(FORMATS)) and not text.endswith(_OTHER_FORMATS) else table


def is_hidden(name: str) -> bool:
    """Return whether a name is passed over by custom: it begins with a dot or an underscore."""
    return name.startswith((".", "_"))


def role_of(name: str, beside: Collection[str]) -> Role:
    """Return what a file or folder among a table's parts is. Args: beside: all names in its folder."""
    lower = name.lower()
    begun = _BEGUN.fullmatch(name)
    is_written = (
        (lower.startswith(_WRITING_FOLDERS) and _SUCCESS not in beside)
        or (begun is not None and f"_committed_{begun['transaction']}" not in beside)
        or _AS_RSYNC_WRITES.fullmatch(name) is not None
        or ".inprogress." in lower
    )
    if is_written or lower.endswith(_ARRIVING):
        return "arriving"
    if is_hidden(name):
        return "hidden"
    return "leftover" if lower.endswith(_LEFTOVERS) or lower.startswith(_LEFTOVER_STARTS) else "part"
