"""POST to an address out of a catalog, and to no other place than it says.

The host is resolved once for each connection, every address found is judged
(``pipeline.alerts.addresses``), and the connection goes to one of just those: a name that changes
its mind between check and use (DNS rebinding) gains nothing. Redirects are not followed, proxies of
the environment not used, answers not read to their end. Errors name scheme and host, never a path
or a query: those hold tokens.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from pipeline.alerts.addresses import is_loopback, literal, refusal
from pipeline.alerts.answers import Answer, DeliveryError
from pipeline.alerts.wording import one_line, without
from pipeline.errors import SettingsError
from pipeline.threads import in_thread

#: So much of an answer is read, and so much of that is shown.
MOST_READ, MOST_SHOWN = 65_536, 200
#: Longest wait that a destination may ask for, seconds.
MOST_RETRY_AFTER = 3_600.0
#: The same bytes would be refused again; what a person can mend at either end is tried again.
PERMANENT = frozenset({400, 413, 422})
#: Finds the addresses of a name; blocking.
Lookup = Callable[[str, int], list[str]]


@dataclass(frozen=True)
class Endpoint:
    """An address that was allowed, with what is allowed of it.

    Attributes:
        url: Whole, with whatever secrets are in it.
        allow_private: It may be in a private network.
        allow_loopback: It may be this machine, and then by plain http.
    """

    url: URL = field(repr=False)
    allow_private: bool = False
    allow_loopback: bool = False

    @property
    def origin(self) -> str:
        """Return scheme, host and port: what may be shown."""
        return str(self.url.origin())


def endpoint(
    url: str, destination: str, *, allow_private: bool, allow_loopback_http: bool
) -> Endpoint:
    """Check an address of a destination as far as that is possible without asking for its name.

    Raises:
        SettingsError: It is no http address, plain http is not allowed, or it is an address that
            nothing may be sent to. Never shows more of it than scheme and host.
    """
    try:
        parsed = URL(url)
        host, port = parsed.host, parsed.port
        number = literal(host) if host else None
    except ValueError:
        raise SettingsError(f"destination {destination}: its url cannot be read") from None
    if parsed.scheme not in ("https", "http") or not host or port is None:
        raise SettingsError(
            f'destination {destination}: its url must look like "https://host/path"'
        )
    found = Endpoint(parsed.with_fragment(None), allow_private, allow_loopback_http)
    if parsed.scheme == "http" and not allow_loopback_http:
        raise SettingsError(
            f"destination {destination}: {found.origin} is not encrypted (fix: https; on this very "
            "machine allow_loopback_http = true)"
        )
    if number is not None and (why := _refused(number, found)):
        raise SettingsError(f"destination {destination}: {found.origin} is refused: {why}")
    return found


class SafeHttp:
    """Connections of all destinations. For one event loop.

    Args:
        lookup: Finds the addresses of a name; the system's resolver when None.
        tls: Whom to trust; the system's authorities when None (``SSL_CERT_FILE`` names others).
    """

    def __init__(self, lookup: Lookup | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._lookup = lookup or system_lookup
        self._tls = tls
        # a connection must not serve a destination that may go less far than the one it was for
        self._sessions: dict[tuple[str, bool, bool], aiohttp.ClientSession] = {}

    async def post(
        self,
        to: Endpoint,
        body: bytes,
        headers: Mapping[str, str],
        *,
        timeout: float,
        taken: Iterable[int] = range(200, 300),
        secrets: Iterable[str] = (),
    ) -> Answer:
        """Send a body once.

        Args:
            to: Where.
            body: What, JSON.
            headers: With its content type.
            timeout: Seconds for everything: name, connection, sending and the answer.
            taken: Statuses by which it was taken.
            secrets: What is not to be shown although the receiver repeats it.

        Raises:
            DeliveryError: It was not taken.
        """
        limits = aiohttp.ClientTimeout(total=timeout, ceil_threshold=timeout + 1)
        try:
            async with self._session(to).post(
                to.url, data=body, headers=headers, allow_redirects=False, timeout=limits
            ) as response:
                detail = await _excerpt(response)
                status, asked = response.status, response.headers.get("Retry-After")
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
            # not chained: the text of these errors can hold the whole address
            raise DeliveryError(f"{to.origin}: {_in_words(error, timeout)}") from None
        detail = one_line(without(detail, (*secrets, *_secrets_of(to.url))), MOST_SHOWN)
        if status in taken:
            return Answer(status, detail)
        said = "redirect refused" if 300 <= status < 400 else detail
        raise DeliveryError(
            f"{to.origin}: HTTP {status}{': ' if said else ''}{said}",
            status=status,
            permanent=status in PERMANENT,
            retry_after=retry_after(asked),
        )

    async def close(self) -> None:
        """Close every connection."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    def _session(self, to: Endpoint) -> aiohttp.ClientSession:
        key = (to.url.scheme, to.allow_private, to.allow_loopback)
        if key not in self._sessions:
            if self._tls is None:
                self._tls = ssl.create_default_context()
            connector = aiohttp.TCPConnector(
                resolver=_JudgingResolver(to, self._lookup), use_dns_cache=False, ssl=self._tls
            )
            self._sessions[key] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # a small answer can unpack to a very large one
                trust_env=False,
                headers={
                    "User-Agent": "touchline",
                    "Accept-Encoding": "identity",
                },
            )
        return self._sessions[key]


class _JudgingResolver(AbstractResolver):
    """Resolves names for one policy; a name of which any address is refused is refused."""

    def __init__(self, policy: Endpoint, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host; aiohttp connects to these and asks no one else."""
        found = await in_thread(lambda: self._lookup(host, port))
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        for address in found:
            if why := _refused(address, self._policy):
                raise _Refused(why)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Nothing is kept."""


class _Refused(ValueError):
    """The address of a name is one that nothing may be sent to."""


def system_lookup(host: str, port: int) -> list[str]:
    """Return the addresses that the system finds for a name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def retry_after(value: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` asks to wait, an hour at most (RFC 9110, 10.2.3).

    Args:
        value: A number of seconds, or an HTTP date.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MOST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=timezone.utc)
    wait = (at - datetime.now(timezone.utc)).total_seconds()
    return min(max(wait, 0.0), MOST_RETRY_AFTER)


def _refused(address: str, policy: Endpoint) -> str | None:
    """Say why an address is refused for a destination; None when it is not."""
    if policy.url.scheme == "http" and not is_loopback(address):
        return "plain http goes to this machine only"
    return refusal(
        address, allow_private=policy.allow_private, allow_loopback=policy.allow_loopback
    )


async def _excerpt(response: aiohttp.ClientResponse) -> str:
    """Return the beginning of an answer.

    The status has come by now: an answer that then stalls or breaks off changes nothing of it. A
    connection that is left before the end of an answer is closed by aiohttp.
    """
    data = b""
    until = time.monotonic() + 1.0  # what is worth showing comes at once
    with suppress(aiohttp.ClientError, asyncio.TimeoutError, OSError):
        while len(data) < MOST_READ and (left := until - time.monotonic()) > 0:
            part = await asyncio.wait_for(response.content.read(MOST_READ - len(data)), left)
            if not part:
                break
            data += part
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return ""
    return data.decode("utf-8", errors="replace")


def _secrets_of(url: URL) -> Iterable[str]:
    """Yield the parts of an address that can be secret."""
    yield from (url.raw_path_qs, url.path_qs, url.raw_query_string, url.query_string)
    # short ones are words such as "v2", and starring them out would leave nothing to read
    yield from (part for part in (url.password, url.user) if part and len(part) >= 4)
    yield from (value for value in url.query.values() if len(value) >= 6)
    yield from (part for part in url.parts if len(part) >= 12)


def _in_words(error: Exception, timeout: float) -> str:
    """Say what went wrong, without the address."""
    if isinstance(error, _Refused):
        return f"refused: {error}"
    if isinstance(error, asyncio.TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        inner = error.certificate_error
        return f"certificate refused: {getattr(inner, 'verify_message', type(inner).__name__)}"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "TLS failed"
    if isinstance(error, (aiohttp.ClientConnectorDNSError, socket.gaierror)):
        return "its name was not found"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return f"the connection failed ({type(error).__name__})"
