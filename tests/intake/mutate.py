"""Break a small drop in the ways that people, programs and networks do, and in random ones."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import shutil
import socket
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import polars as pl

from tests.intake.drops import STYLES, frame, make_drop, make_mojibake, pack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NASTY = (
    *(
        "",
        " ",
        "-",
        "NaN",
        "nan",
        "NULL",
        "inf",
        "-inf",
        "1e400",
        "1e-400",
        "-0",
        "-0.0",
        "+5",
        " 5 ",
        "5.0",
        "5,0",
        "0x10",
    ),
    *(
        "1_000",
        "٣",
        "１２",
        "1 234,5",
        "1\u00a0234,5",
        "1,234",
        "1,234,567.8",
        "007",
        "99999999999999999999",
        "-1",
        "1e5",
    ),
    *(
        "9223372036854775807",
        "9223372036854775808",
        "0",
        "да",
        "ДА",
        "yes",
        "unknown",
        "standard",
        "стандартт",
        "Премиум",
    ),
    *("=cmd()", '"', '""', '"a', 'a"b', "\0", "\ufeff", "\ufffd", "\r", "\n", "a\nb", "текущий месяц", "current_month"),
    *(
        "Кухонная пасуда",
        "x" * 300,
        "x" * 70_000,
        "\x1b[31m",
        "\ud7ff",
        "😀",
        "5" * 400,
        "0." + "3" * 400,
        "10.11.2026",
    ),
    *(
        "\u22125",
        "\u20131\u202f234,5",
        "5\u200b",
        "5\u00ad",
        "46115",
        "10000000009000012.0",
        "9.00001E+05",
        "0.5-",
        "(5)",
    ),
    *("Cтандарт", "текущий_меcяц", "Кухон\u00adная посуда", '"Домашний\nтекстиль"', "Домашнии\u0306 текстиль", "дa"),
)
AMONG_PARTS = (
    *(
        "Thumbs.db",
        "_SUCCESS",
        ".part-0.csv.crc",
        "part-2.csv",
        "part-2.csv.filepart",
        "part-2.csv~",
        "part-2.xlsx",
        "part-2",
    ),
    *("_temporary/0/part-2.csv", "_started_1", "_delta_log/0.json", "metadata/v1.json", "month=1/part-2.csv", "README"),
)
ENCODINGS = ("utf-8", "utf-8-sig", "cp1251", "utf-16", "utf-16-le", "utf-16-be", "koi8-r", "cp866", "utf-32")
ENDINGS = (".csv", ".csv.gz", ".csv.zst", ".parquet", ".CSV", ".txt")


@dataclass
class Folder:
    """A drop in the making: file name -> bytes, or what to do with the path instead."""

    files: dict[str, bytes]
    others: dict[str, Callable[[Path], None]] = field(default_factory=dict)
    style: str = "plain"

    def write(self, folder: Path) -> None:
        """Put it on disk; of a file and a folder of the same name the later one stays."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, raw in self.files.items():
            self._free(folder, name).write_bytes(raw)
        for name, make in self.others.items():
            make(self._free(folder, name))

    @staticmethod
    def _free(folder: Path, name: str) -> Path:
        """Return a path within the folder at which there is nothing, and above which are folders."""
        path = folder / name
        for above in reversed(path.relative_to(folder).parents):
            if (folder / above).is_symlink() or (folder / above).is_file():
                (folder / above).unlink()
        path.parent.mkdir(exist_ok=True, parents=True)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        return path


def seeded(seed: int) -> Random:
    """Return random numbers that repeat."""
    return Random(seed)  # noqa: S311


def start(random: Random) -> Folder:
    """Return a whole small drop, written in one of the ways that are understood."""
    name = random.choice(list(STYLES))
    drop = make_drop(random.choice((1, 8, 30)), labelled=random.random() < 0.5)
    return Folder({f"{table}.csv": STYLES[name].bytes(rows) for table, rows in drop.items()}, style=name)


def pick(random: Random, folder: Folder) -> str:
    return random.choice(sorted(folder.files) or ["money.csv"])


def change_bytes(random: Random, folder: Folder) -> None:
    name = pick(random, folder)
    raw = bytearray(folder.files.get(name, b""))
    at = random.randrange(len(raw) + 1)
    size = random.choice((1, 1, 2, 5, 50))
    match random.randrange(6):
        case 0:
            raw[at : at + size] = random.randbytes(size)
        case 1:
            del raw[at : at + size]
        case 2:
            raw[at:at] = random.randbytes(size)
        case 3:
            raw[at:at] = raw[at : at + size] * random.choice((1, 3))
        case 4:
            del raw[at:]
        case _:
            raw[at : at + size] = bytes(size)
    folder.files[name] = bytes(raw)


def change_lines(random: Random, folder: Folder) -> None:
    name = pick(random, folder)
    lines = folder.files.get(name, b"").split(b"\n")
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(8):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[other])
        case 2:
            random.shuffle(lines)
        case 3:
            lines[at : at + 2] = [b"".join(lines[at : at + 2])]
        case 4:
            lines.insert(
                at,
                random.choice(
                    (b"", b";;;", b",,,", b"   ", b"\0" * 9, b"sep=;", b'"', b"\xef\xbb\xbf", random.randbytes(20))
                ),
            )
        case 5:
            lines[at] = lines[at][: random.randrange(len(lines[at]) + 1)]
        case 6:
            del lines[min(at, other) : max(at, other)]
        case _:
            lines = lines * 2
    folder.files[name] = b"\n".join(lines)


def change_fields(random: Random, folder: Folder) -> None:
    name = pick(random, folder)
    style = STYLES[folder.style]
    try:
        lines = folder.files.get(name, b"").decode(style.encoding).split(style.line_end)
    except UnicodeDecodeError:
        return
    at = random.randrange(len(lines))
    column = random.randrange(13)
    nasty = random.choice(NASTY)
    if style.mojibake:
        nasty = make_mojibake(nasty)
    kind = random.randrange(5)
    chosen = range(len(lines)) if random.random() < 0.2 else [at]
    for row in chosen:
        fields = lines[row].split(style.separator)
        place = column % len(fields)
        match kind:
            case 0 | 1:
                fields[place] = nasty
            case 2:
                del fields[place]
            case 3:
                fields.insert(place, nasty)
            case _:
                fields[place] = fields[place][1:] + fields[place][:1]
        lines[row] = style.separator.join(fields)
    folder.files[name] = style.line_end.join(lines).encode(style.encoding, errors="replace")


def change_encoding(random: Random, folder: Folder) -> None:
    name = pick(random, folder)
    raw = folder.files.get(name, b"")
    match random.randrange(4):
        case 0:
            text = raw.decode(STYLES[folder.style].encoding, errors="replace")
            raw = text.encode(random.choice(ENCODINGS), errors="replace")
        case 1:
            raw = make_mojibake(raw.decode(errors="replace")).encode()
        case 2:
            at = random.randrange(len(raw) + 1)
            raw = raw[:at] + random.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) + raw[at:]
        case _:
            ends = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\0\n")
            raw = raw.replace(STYLES[folder.style].line_end.encode(), random.choice(ends))
    folder.files[name] = raw


def change_files(random: Random, folder: Folder) -> None:
    name = pick(random, folder)
    raw = folder.files.get(name, b"")
    table = name.partition(".")[0]
    match random.randrange(9):
        case 0:
            folder.files.pop(name, None)
        case 1:
            folder.files[name] = b""
        case 2:
            ending = random.choice(ENDINGS)
            folder.files[table + ending] = pack(raw, random.choice(ENDINGS))
        case 3:
            ending = random.choice(ENDINGS)
            folder.files.pop(name, None)
            folder.files[table + ending] = pack(raw, ending)
        case 4:
            other = pick(random, folder)
            folder.files[name] = folder.files.get(other, b"")
        case 5:
            folder.files.pop(name, None)
            folder.others[name] = random.choice(
                (make_folder, make_socket, make_pipe, link_out, link_to_itself, link_to_nothing)
            )
        case 6:
            packed = gzip.compress(raw, mtime=0)
            folder.files.pop(name, None)
            folder.files[f"{table}.csv.gz"] = (
                packed[: random.randrange(len(packed))] if random.random() < 0.5 else packed
            )
        case _:
            folder.files["_READY"] = make_marker(random, folder)


def change_parts(random: Random, folder: Folder) -> None:
    """Let a table be a folder of parts, with what else may lie there."""
    name = pick(random, folder)
    headings, *rows = folder.files.pop(name, b"").splitlines(keepends=True) or [b""]
    table = random.choice((name.partition(".")[0], name))
    cut = random.randrange(len(rows) + 1)
    for number, some in enumerate((rows[:cut], rows[cut:])):
        folder.files[f"{table}/part-{number}.csv"] = b"".join([headings, *some])
    if random.random() < 0.7:
        folder.files[f"{table}/{random.choice(AMONG_PARTS)}"] = random.choice((b"", b"x", headings))


def make_marker(random: Random, folder: Folder) -> bytes:
    if random.random() < 0.1:
        return random.randbytes(random.randrange(30))
    if random.random() < 0.1:
        return b""
    lines = []
    for name, raw in folder.files.items():
        size = len(raw) + (random.random() < 0.2)
        lines.append(random.choice((f"{name} {size}", f"{hashlib.sha256(raw).hexdigest()} *{name}", f"{name}\t{size}")))
    return "\n".join(random.sample(lines, random.randint(max(0, len(lines) - 1), len(lines)))).encode()


def become_parquet(random: Random, folder: Folder) -> None:
    """Replace a file by a Parquet one, whole or damaged. Slow to judge: a process is started for it."""
    name, rows = random.choice(list(make_drop(8).items()))
    table = frame(rows)
    if random.random() < 0.5:
        to = random.choice(
            (pl.Float64, pl.Float32, pl.Categorical, pl.Boolean, pl.Decimal(9, 2), pl.Date, pl.Null, pl.Int8)
        )
        column = random.choice(table.columns)
        if to == pl.Null:
            table = table.with_columns(pl.lit(None).alias(column))
        else:
            with contextlib.suppress(pl.exceptions.PolarsError):
                table = table.with_columns(pl.col(column).cast(to, strict=False))
    stream = io.BytesIO()
    table.write_parquet(stream)
    for other in [file for file in folder.files if file.startswith(f"{name}.")]:
        del folder.files[other]
    folder.files[f"{name}.parquet"] = stream.getvalue()
    if random.random() < 0.7:
        only = Folder({f"{name}.parquet": folder.files[f"{name}.parquet"]})
        change_bytes(random, only)
        folder.files.update(only.files)


def make_folder(path: Path) -> None:
    path.mkdir()


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        before = os.open(".", os.O_RDONLY)
        try:
            os.chdir(path.parent)  # the path of a socket may not be long
            listener.bind(path.name)
        finally:
            os.fchdir(before)
            os.close(before)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def link_out(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


QUICK = (change_bytes, change_lines, change_fields, change_encoding, change_files, change_parts)
