"""A hostile object store on the loopback: it lists and gives whatever it likes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
ENDLESS = 10**12
REFUSALS = {"other host": 307, "endless refusal": 403}


class Store:
    """Objects, and how the store lies about them.

    Args:
        objects: key -> content.
        listed: key -> size, as it is listed.
        mode: `endless list`, `endless page`, `endless refusal`, `same token`, `long body`, `tag flips`, `other host`;
            empty for an honest store.
        elsewhere: the URL that requests are sent to, in mode `other host`.
    """

    def __init__(
        self,
        objects: Mapping[str, bytes],
        listed: Mapping[str, int] | None = None,
        mode: str = "",
        elsewhere: str = "",
    ) -> None:
        self.objects = objects
        self.listed = {key: len(content) for key, content in objects.items()} if listed is None else listed
        self.mode = mode
        self.elsewhere = elsewhere
        self.requests = 0

    def listing(self, query: Mapping[str, list[str]]) -> bytes:
        """Return a page of the listing."""
        page = int(query.get("continuation-token", ["0"])[0])
        listed = self.listed
        if self.mode == "endless list":
            listed = {f"d/x{page}-{number}.csv": 5 for number in range(1000)}
        token = {"endless list": page + 1, "same token": 7}.get(self.mode)
        more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
        contents = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f'<ETag>"{tag(key)}"</ETag><Size>{size}</Size></Contents>'
            for key, size in listed.items()
        )
        is_cut = str(bool(token)).lower()
        return f"<ListBucketResult><IsTruncated>{is_cut}</IsTruncated>{more}{contents}</ListBucketResult>".encode()


def tag(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _handler(store: Store) -> Callable[..., BaseHTTPRequestHandler]:  # noqa: C901 - a class
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            store.requests += 1
            address = urlsplit(self.path)
            query = parse_qs(address.query)
            if store.mode in REFUSALS:
                self._answer(REFUSALS[store.mode], b"", {"Location": f"{store.elsewhere}{self.path}"})
                return
            if "list-type" in query:
                self._answer(200, store.listing(query), {})
                return
            key = unquote(address.path).lstrip("/").partition("/")[2]
            content = store.objects.get(key)
            if content is None:
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>", {})
                return
            flipped = tag(f"{key}{store.requests}") if store.mode == "tag flips" else tag(key)
            headers = {"ETag": f'"{flipped}"', "Last-Modified": DATE}
            asked = self.headers.get("Range")
            if asked:
                first, last = (int(part) for part in asked.split("=")[1].split("-"))
                headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
                content = content[first : last + 1]
            self._answer(206 if asked else 200, content, headers)

        def do_HEAD(self) -> None:
            content = store.objects[unquote(self.path).partition("/b/")[2]]
            self._answer(200, b"", {"Content-Length": str(len(content))})

        def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            is_long = store.mode in ("endless page", "endless refusal")
            is_long |= store.mode == "long body" and "ETag" in headers
            self.send_response(status)
            for name, value in {"Content-Length": str(ENDLESS if is_long else len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(body)
                while is_long:
                    self.wfile.write(b"1" * (1 << 20))
            except OSError:  # nobody listens any more
                self.close_connection = True

    return Handler


@contextmanager
def served(store: Store) -> Iterator[str]:
    """Serve a store; gives its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(store))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
