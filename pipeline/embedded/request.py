"""One HTTP request of a ClickHouse client, turned into a call for the engine.

Follows ClickHouse's HTTP interface as clickhouse-connect uses it: the statement in the ``query``
parameter, in the body, or begun in one and continued in the other; settings and ``param_…``
values as URL parameters or form fields; a body compressed as Content-Encoding says. Data of an
INSERT is written to a file while it arrives and never held in memory.
"""

from __future__ import annotations

import importlib
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from pipeline.embedded.engine import (
    CANNOT_READ_ALL_DATA,
    NOT_IMPLEMENTED,
    SYNTAX_ERROR,
    TOO_MANY_BYTES,
    UNKNOWN_COMPRESSION_METHOD,
    Call,
    EngineError,
)
from pipeline.embedded.statement import HEAD_BYTES, split_insert

MAX_REQUEST_BYTES = 1 << 30  # after decompression
_STEP_BYTES = 1 << 17  # decompressed in one go: a thousand times as much can come out

# Content-Encoding: module, its streaming decompressor, arguments. clickhouse-connect sends those
# of the optional ones that are installed, and client and front share one installation.
_ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
_DECOMPRESSORS: dict[str, tuple[str, str, dict[str, int]]] = {
    "lz4": ("lz4.frame", "LZ4FrameDecompressor", {}),
    "zstd": (_ZSTD, "ZstdDecompressor", {}),
    "gzip": ("zlib", "decompressobj", {"wbits": 31}),
    "deflate": ("zlib", "decompressobj", {"wbits": 15}),
}

# Parameters that speak to ClickHouse's HTTP server and mean nothing to the engine. Sessions are
# among them: every request is a session of its own, results are whole and never compressed.
TRANSPORT_PARAMETERS = frozenset(
    {
        "query",
        "database",
        "default_format",
        "query_id",
        "quota_key",
        "role",
        "session_id",
        "session_timeout",
        "session_check",
        "close_session",
        "wait_end_of_query",
        "buffer_size",
        "compress",
        "stacktrace",
        "client_protocol_version",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "enable_http_compression",
        "http_zlib_compression_level",
        "cancel_http_readonly_queries_on_client_close",
    }
)


@asynccontextmanager
async def received(request: web.Request, temp: Path) -> AsyncIterator[Call]:
    """Receive a request; its data file, if any, lives until the block ends.

    Args:
        request: A request whose sender has been authenticated.
        temp: Directory for data files; its path holds none of the engine's wildcards.

    Raises:
        EngineError: The request cannot be understood, is too large or was cut off.
        OSError: The data cannot be written to disk.
    """
    parameters = dict(request.query)
    if request.content_type in ("multipart/form-data", "application/x-www-form-urlencoded"):
        parameters.update(await _form(request))
        body = _nothing()
    else:
        body = _decoded(request)
    if parameters.get("decompress", "0") != "0":
        raise EngineError.of(NOT_IMPLEMENTED, "NOT_IMPLEMENTED", "decompress is not supported")
    query = parameters.get("query", "").rstrip()
    head = bytearray(query.encode() + b"\n" if query else b"")
    async for chunk in body:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    insert = split_insert(bytes(head[:HEAD_BYTES]))
    if insert is None:
        async for chunk in body:
            head += chunk
        yield _call(bytes(head), request, parameters)
        return
    path = temp / f"{uuid.uuid4().hex}.data"
    try:
        with path.open("xb") as file:
            file.write(memoryview(head)[insert.data_at :])
            async for chunk in body:
                file.write(chunk)
        yield _call(insert.reading(path), request, parameters)
    finally:
        path.unlink(missing_ok=True)


def _call(sql: bytes, request: web.Request, parameters: Mapping[str, str]) -> Call:
    """Return the call for a statement and the parameters that came with it."""
    if not sql.strip():
        raise EngineError.of(SYNTAX_ERROR, "SYNTAX_ERROR", "Empty query")
    params, settings = {}, {}
    for name, value in parameters.items():
        if name.startswith("param_"):
            params[name.removeprefix("param_")] = value
        elif name not in TRANSPORT_PARAMETERS and name != "decompress":
            settings[name] = value
    headers = request.headers
    return Call(
        sql=sql,
        database=parameters.get("database") or headers.get("X-ClickHouse-Database"),
        settings=settings,
        params=params,
        default_format=parameters.get("default_format")
        or headers.get("X-ClickHouse-Format")
        or "TabSeparated",
    )


async def _form(request: web.Request) -> dict[str, str]:
    """Return the fields of a form; a file among them would be external data."""
    fields: dict[str, str] = {}
    try:
        form = await request.post()
    except web.HTTPRequestEntityTooLarge as error:
        raise EngineError.of(TOO_MANY_BYTES, "TOO_MANY_BYTES", "Form is too large") from error
    except ValueError as error:
        raise EngineError.of(SYNTAX_ERROR, "SYNTAX_ERROR", f"Bad form: {error}") from error
    for name, value in form.items():
        if not isinstance(value, str):
            raise EngineError.of(
                NOT_IMPLEMENTED, "NOT_IMPLEMENTED", "External data is not supported"
            )
        fields[name] = value
    return fields


async def _nothing() -> AsyncIterator[bytes]:
    """Yield no chunk."""
    return
    yield b""  # makes this a generator


async def _decoded(request: web.Request) -> AsyncIterator[bytes]:
    """Yield the body, decompressed, refusing one that is too large or ends too early."""
    decoder = _Decoder(request.headers.get("Content-Encoding", ""))
    total = 0
    async for raw in request.content.iter_chunked(_STEP_BYTES):
        chunk = decoder.feed(raw)
        total += len(chunk)
        if total > MAX_REQUEST_BYTES:
            raise EngineError.of(
                TOO_MANY_BYTES,
                "TOO_MANY_BYTES",
                f"Request is larger than {MAX_REQUEST_BYTES} bytes",
            )
        yield chunk
    decoder.finish()


class _Decoder:
    """Decompresses a body of one or many frames; clickhouse-connect sends one per block.

    Args:
        encoding: Value of the Content-Encoding header.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding.strip().lower()
        self._frame: Any = None
        if self._encoding not in ("", "identity"):
            self._frame = self._new_frame()

    def _new_frame(self) -> Any:
        try:
            module, name, arguments = _DECOMPRESSORS[self._encoding]
            return getattr(importlib.import_module(module), name)(**arguments)
        except (KeyError, ImportError):
            raise EngineError.of(
                UNKNOWN_COMPRESSION_METHOD,
                "UNKNOWN_COMPRESSION_METHOD",
                f"Unknown content encoding {self._encoding!r}",
            ) from None

    def feed(self, raw: bytes) -> bytes:
        """Return what a piece of the body decompresses to."""
        if self._frame is None:
            return raw
        pieces = []
        while raw:
            if self._frame.eof:
                self._frame = self._new_frame()
            try:
                pieces.append(self._frame.decompress(raw))
            except Exception as error:  # each module has its own; all mean damaged data
                raise self._damaged(str(error)) from error
            raw = self._frame.unused_data if self._frame.eof else b""
        return b"".join(pieces)

    def finish(self) -> None:
        """Check that the last frame is complete."""
        if self._frame is not None and not self._frame.eof:
            raise self._damaged("it ends too early")

    def _damaged(self, why: str) -> EngineError:
        return EngineError.of(
            CANNOT_READ_ALL_DATA,
            "CANNOT_READ_ALL_DATA",
            f"Cannot decompress the {self._encoding} body: {why}",
        )
