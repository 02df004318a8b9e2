from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import obstore
import pytest

from job.errors import DropError, DropIncompleteError
from job.intake.drop import wait_for_files
from job.settings import Arrival
from job.storage import bucket as bucket_module
from job.storage.address import Address
from job.storage.drop import Copy, drop_at_hand
from tests.storage.conftest import SHOP, put_folder
from tests.storage.server import Fault, Server

DROP = Address(SHOP, "in")


def copies(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copy_follows_the_store(store: Any, small_drop: Path, tmp_path: Path, server: Server) -> None:
    put_folder(store, small_drop, "in")
    obstore.put(store, "in/notes.txt", b"hello")
    obstore.put(store, "in/_READY", b"")
    copy = Copy(DROP, tmp_path / "copy")
    copy.refresh()
    assert copies(tmp_path / "copy") == {**copies(small_drop), "_READY": b""}
    server.seen.clear()
    copy.refresh()
    assert server.seen == [("GET", "/shop")]  # nothing is copied twice
    obstore.put(store, "in/money.csv", b"other")
    obstore.delete(store, "in/_READY")
    with pytest.raises(DropIncompleteError) as caught:
        copy.check_unchanged()
    told = "found one that changed while it was read, expected a file that nobody writes any more"
    assert caught.value.problems == (f"s3://shop/in/_READY: {told}", f"s3://shop/in/money.csv: {told}")
    copy.refresh()
    copy.check_unchanged()
    assert copies(tmp_path / "copy") == {**copies(small_drop), "money.csv": b"other"}


def test_large_objects_come_in_pieces(
    store: Any, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_module, "PIECE_BYTES", 1000)
    obstore.put(store, "in/money.csv", b"0123456789" * 250)
    server.seen.clear()
    copy = Copy(DROP, tmp_path / "copy")
    copy.refresh()
    assert copies(tmp_path / "copy") == {"money.csv": b"0123456789" * 250}
    assert server.seen.count(("GET", "/shop/in/money.csv")) == 3


def test_an_object_that_is_replaced_while_it_is_copied(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    obstore.put(store, "in/money.csv", b"first")
    copy = Copy(DROP, tmp_path / "copy")
    listing = copy._bucket.entries
    times = iter([b"second", b"third"])

    def list_then_replace(below: str = "") -> Any:
        listed = listing(below)
        if (new := next(times, None)) is not None:
            obstore.put(store, "in/money.csv", new)
        return listed

    monkeypatch.setattr(copy._bucket, "entries", list_then_replace)
    copy.refresh()
    assert copies(tmp_path / "copy") == {"money.csv": b"third"}
    obstore.put(store, "in/money.csv", b"4")
    times = iter([b"5", b"6", b"7"])
    with pytest.raises(DropIncompleteError, match="changed while it was read"):
        copy.refresh()
    assert copies(tmp_path / "copy") == {}


def test_a_drop_is_waited_for(store: Any, small_drop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files come one by one, then the marker that names them."""
    coming = sorted(small_drop.iterdir())
    ticks = [0.0]

    def deliver(seconds: float) -> None:
        ticks[0] += seconds
        if coming:
            path = coming.pop()
            obstore.put(store, f"in/{path.name}", path)
        else:
            sizes = "".join(f"{path.name} {path.stat().st_size}\n" for path in small_drop.iterdir())
            obstore.put(store, "in/_READY", sizes.encode())

    copy = tmp_path / "copy"
    copy.mkdir()
    wait = partial(wait_for_files, clock=lambda: ticks[0], sleep=deliver)
    monkeypatch.setattr("job.storage.drop.wait_for_files", wait)
    with drop_at_hand(DROP, copy, arrival=Arrival(1, 30)) as folder:
        assert {path.name for path in folder.iterdir()} == {"_READY", *(path.name for path in small_drop.iterdir())}
    assert ticks[0] == 5


def test_errors_of_the_block_name_objects(store: Any, small_drop: Path, tmp_path: Path) -> None:
    put_folder(store, small_drop, "in")
    with (
        pytest.raises(DropError) as caught,
        drop_at_hand(DROP, tmp_path, arrival=Arrival()) as folder,
    ):
        raise DropError([f"{folder}: bad", "something else"])
    assert caught.value.problems == ("s3://shop/in: bad", "something else")


def test_a_store_that_has_trouble_is_waited_for(
    store: Any, server: Server, small_drop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also longer than a request is repeated: the wait goes on."""
    put_folder(store, small_drop, "in")
    server.faults.append(Fault("GET", "^/shop", "503 Slow Down", "SlowDown"))
    ticks = [0.0]

    def sleep(seconds: float) -> None:
        ticks[0] += seconds
        if ticks[0] > 100:
            server.faults.clear()

    monkeypatch.setattr("job.storage.bucket.RETRIES", 0)
    copy = tmp_path / "copy"
    copy.mkdir()
    wait = partial(wait_for_files, clock=lambda: ticks[0], sleep=sleep)
    monkeypatch.setattr("job.storage.drop.wait_for_files", wait)
    with drop_at_hand(DROP, copy, arrival=Arrival(5, 10)) as folder:
        assert {path.name for path in folder.iterdir()} == {path.name for path in small_drop.iterdir()}
    assert 100 < ticks[0] < 120
    server.faults.append(Fault("GET", "^/shop", "503 Slow Down", "SlowDown"))
    with (
        pytest.raises(DropIncompleteError, match=r"cannot be read: the store has trouble \(503 SlowDown\)"),
        drop_at_hand(DROP, tmp_path, arrival=Arrival()),
    ):
        pass


SIGNS = {
    "_delta_log/000.json": "found a Delta Lake table (_delta_log), expected the table's rows as CSV or Parquet, "
    "exported (the files here may hold deleted and older rows)",
    "_temporary/0/task/part-1.csv": "found _temporary, expected files that are whole",
}


@pytest.mark.parametrize("name", SIGNS)
def test_names_that_are_not_copied_are_seen(name: str, store: Any, small_drop: Path, tmp_path: Path) -> None:
    put_folder(store, small_drop, "in")
    obstore.delete(store, "in/market_file.csv")
    obstore.put(store, "in/market_file/part-0.csv", (small_drop / "market_file.csv").read_bytes())
    obstore.put(store, f"in/market_file/{name}", b"{}")
    for folder in ("with", "without"):
        (tmp_path / folder).mkdir()
    with (
        pytest.raises((DropError, DropIncompleteError)) as caught,
        drop_at_hand(DROP, tmp_path / "with", arrival=Arrival()),
    ):
        pass
    assert caught.value.problems == (f"s3://shop/in/market_file/: {SIGNS[name]}",)
    obstore.delete(store, f"in/market_file/{name}")
    with drop_at_hand(DROP, tmp_path / "without", arrival=Arrival()) as folder:
        assert (folder / "market_file" / "part-0.csv").exists()


def test_a_sign_goes_with_its_object(store: Any, small_drop: Path, tmp_path: Path) -> None:
    put_folder(store, small_drop, "in")
    obstore.put(store, "in/money/_temporary/0/part", b"{}")
    copy = Copy(DROP, tmp_path / "copy")
    copy.refresh()
    assert (tmp_path / "copy" / "money" / "_temporary").exists()
    obstore.delete(store, "in/money/_temporary/0/part")
    copy.refresh()
    assert not (tmp_path / "copy" / "money" / "_temporary").exists()


def test_a_table_in_another_format_is_named(store: Any, small_drop: Path, tmp_path: Path) -> None:
    put_folder(store, small_drop, "in")
    obstore.delete(store, "in/money.csv")
    obstore.put(store, "in/2026-10 money.xlsx", b"PK")
    (tmp_path / "copy").mkdir()
    with pytest.raises(DropError) as caught, drop_at_hand(DROP, tmp_path / "copy", arrival=Arrival()):
        pass
    assert caught.value.problems == (
        "s3://shop/in: found 2026-10 money.xlsx, expected money.* ending in .csv or .csv.gz or .csv.zst or .parquet: "
        "export it so, under this name",
    )
