"""An S3 server on the loopback, which can be told to fail."""

from __future__ import annotations

import io
import re
import threading
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

REFUSAL = b"<Error><Code>%s</Code><Message>as the test wants it</Message></Error>"


@dataclass
class Fault:
    """What becomes of requests: answered with an error, or (`short`) cut by so many bytes at the end of the body."""

    method: str
    path: str
    status: str = ""
    code: str = "InternalError"
    times: int = 1_000_000
    short: int = 0

    def meets(self, environ: dict[str, Any]) -> bool:
        if self.times and environ["REQUEST_METHOD"] == self.method and re.search(self.path, environ["PATH_INFO"]):
            self.times -= 1
            return True
        return False


@dataclass
class Server:
    """The server; `faults` are tried in order."""

    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    app: Any = field(default_factory=lambda: DomainDispatcherApplication(create_backend_app))

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        self.seen.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        for fault in self.faults:
            if fault.meets(environ):
                if not fault.short:
                    start(fault.status, [("Content-Type", "application/xml")])
                    return [REFUSAL % fault.code.encode()]
                body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))[: -fault.short]
                environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return self.app(environ, start)  # type: ignore[no-any-return]

    def ask(self, method: str, path: str) -> None:
        """Ask what no client does: make a bucket, forget everything."""
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}{path}", method=method)):  # noqa: S310 - loopback
            pass


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object, **__: object) -> None:
        pass


@contextmanager
def serve_s3() -> Iterator[Server]:
    server = Server()
    listening = make_server("127.0.0.1", 0, server, threaded=True, request_handler=_Quiet)
    server.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
