"""The way to a store, on which it can neither send the job elsewhere nor answer for ever.

The client library follows redirects, with the session's token, and reads pages of a listing and refusals whole, however
long they are; no option of it bounds either. But it goes through the HTTP proxy that it is told. This one, on the
loopback, connects to the store's own host and to nobody else, and breaks off answers that are longer than any that was
asked for. Encryption is between the library and the store, as before.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from typing import Final
from urllib.parse import urlsplit

from job.errors import printable, shorten

MOST_BYTES: Final = 32 << 20
"""Of one answer: twice what is asked for of an object at a time, and ten times a page of the longest names."""

REQUEST_BYTES: Final = 100  # what is shorter is no request, but what encryption says in between
READ_BYTES: Final = 1 << 18
HEAD_BYTES: Final = 1 << 14  # of an answer
CONNECT_SECONDS: Final = 10.0

ENDPOINTS: Final = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
)
_OF_CREDENTIALS: Final = (
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AZURE_AUTHORITY_HOST",
    "IDENTITY_ENDPOINT",
)
_PROXIES: Final = ("AWS_PROXY_URL", "AZURE_PROXY_URL")
_GIVES_CREDENTIALS: Final = re.compile(
    r"169\.254\.\d+\.\d+|sts(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?|login\.microsoftonline\.com"
)
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,20})", re.IGNORECASE)
_MISDIRECTED: Final = b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def relay_of_endpoint(bucket: str) -> Relay | None:
    """Return a relay to the store that the environment names for a bucket.

    None if it names none, and so one of the cloud itself is meant, or has a proxy for it, which decides then.
    """
    from urllib.request import getproxies_environment, proxy_bypass  # noqa: PLC0415 - it loads what speaks HTTP

    kind = "AWS_" if bucket.startswith("s3") else "AZURE_" if bucket.startswith("a") else "none"
    named = (os.environ.get(name) for name in ENDPOINTS if name.startswith(kind))
    endpoint = next((urlsplit(url) for url in named if url), None)
    if endpoint is None or not endpoint.hostname or any(os.environ.get(name) for name in _PROXIES):
        return None
    proxies = getproxies_environment()
    if (endpoint.scheme in proxies or "all" in proxies) and not proxy_bypass(endpoint.hostname):
        return None
    others = (urlsplit(os.environ[name]).hostname for name in _OF_CREDENTIALS if os.environ.get(name))
    return Relay(endpoint.hostname, *(host for host in others if host))


class Relay:
    """An HTTP proxy on the loopback, for as long as its owner lives: to a store's host, its subdomains, and others."""

    def __init__(self, host: str, *others: str) -> None:
        self.host = host
        self.others = others
        self.refusal = ""
        """What the store tried, as a phrase; nothing passes from then on."""

        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def allows(self, host: str) -> bool:
        """Return whether a host is the store's, or one that gives credentials."""
        is_store = host == self.host or host.endswith(f".{self.host}")
        return is_store or host in self.others or _GIVES_CREDENTIALS.fullmatch(host) is not None

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:  # closed
                return
            with contextlib.suppress(RuntimeError):  # no more threads may be had: the library tries again
                threading.Thread(target=self._serve, args=(client,), name="relay", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, EOFError, ValueError):
            request = _head(client)
            method, target = request.split(maxsplit=2)[:2]
            is_tunnel = method == b"CONNECT"
            address = urlsplit((b"//" * is_tunnel + target).decode())
            host = (address.hostname or "").rstrip(".")
            if not self.allows(host):
                self.refusal = self.refusal or f"the store sends to another host: {printable(shorten(host))}"
            if self.refusal:
                client.sendall(_MISDIRECTED)
                return
            with socket.create_connection((host, address.port or 80), CONNECT_SECONDS) as store:
                store.settimeout(None)
                for end in (client, store):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                prefix = b"" if is_tunnel else b"http://" + address.netloc.encode()
                if is_tunnel:
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                else:
                    store.sendall(_as_to_servers(request, prefix))
                self._pump(client, store, request, prefix)

    def _pump(self, client: socket.socket, store: socket.socket, request: bytes, prefix: bytes) -> None:
        """Pass on what either says, until one has nothing more to say, or the store says too much.

        The library makes room for the bytes that a listing is said to have, and dies where there is none. So what is
        said, and not encrypted, counts as well.
        """
        asked, said = [request], [0]  # the last request, and bytes of the answer to it

        def ask() -> None:
            with contextlib.suppress(OSError):
                while more := client.recv(READ_BYTES):
                    if len(more) >= REQUEST_BYTES:
                        asked[0], said[0] = more, 0
                    store.sendall(_as_to_servers(more, prefix))
            with contextlib.suppress(OSError):
                store.shutdown(socket.SHUT_RDWR)

        asking = threading.Thread(target=ask, name="relay", daemon=True)
        asking.start()
        begin = b""
        with contextlib.suppress(OSError):
            while answer := store.recv(READ_BYTES):
                begin = (begin[-HEAD_BYTES:] if said[0] else b"") + answer if prefix and said[0] < HEAD_BYTES else b""
                lengths = [int(length) for length in _LENGTH.findall(begin)] if asked[0][:5] != b"HEAD " else []
                said[0] += len(answer)
                if max(said[0], *lengths, 0) > MOST_BYTES:
                    self.refusal = self.refusal or f"the store answers with more than {MOST_BYTES:,} bytes"
                    break
                client.sendall(answer)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        asking.join()


def _as_to_servers(request: bytes, prefix: bytes) -> bytes:
    """Return what a client says to a proxy as it would say it to the server: paths, not addresses."""
    method, blank, rest = request.partition(b" ")
    return method + blank + rest.removeprefix(prefix) if prefix and len(method) <= len(b"OPTIONS") else request


def _head(client: socket.socket) -> bytes:
    """Return what a client says first, at least to the end of a request's head."""
    request = b""
    while b"\r\n\r\n" not in request:
        piece = client.recv(READ_BYTES)
        if not piece or len(request) > READ_BYTES:
            raise EOFError
        request += piece
    return request
