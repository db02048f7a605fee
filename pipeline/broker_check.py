"""Why a broker refuses us, found out by asking it, so that the error names the setting to mend.

Client libraries take every failure to connect for a passing one: they try again until a time is up,
and then say that no broker answered. Here one connection is made by hand, with the settings' own
security, and the requests are sent that open a session (SaslHandshake, and SaslAuthenticate where
there is a user; https://kafka.apache.org/protocol). What breaks on the way, or what is answered,
tells a wrong certificate or password from a broker that is not there.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack, suppress
from struct import error as StructError
from struct import pack, unpack_from

from kafka.net.sasl import get_sasl_mechanism

from pipeline.brokers import bootstrap_servers, refused, sasl_credentials, ssl_context
from pipeline.errors import RetryableError, SettingsError, TouchlineError
from pipeline.settings import Settings

#: Seconds to wait for each step of one broker.
SECONDS = 5.0

_SASL_HANDSHAKE, _SASL_AUTHENTICATE, _METADATA = (17, 1), (36, 0), (3, 1)
_NO_ERROR, _UNSUPPORTED_MECHANISM, _AUTHENTICATION_FAILED = 0, 33, 58
_LARGEST_ANSWER = 65_536
# https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error
_NOT_YET_VALID, _EXPIRED, _OTHER_HOST, _OTHER_ADDRESS = 9, 10, 62, 64


def check(settings: Settings) -> None:
    """Ask the first bootstrap server that can be reached whether it takes us.

    Returns when it does, and when none can be reached: that the client says who connects next.

    Raises:
        SettingsError: It never will, as the settings are; names the one to change.
        RetryableError: It closed the connection without a word.
    """
    context = ssl_context(settings)
    sasl_credentials(settings)
    for server in bootstrap_servers(settings):
        host, port = _address(server)
        try:
            connection = socket.create_connection((host, port), SECONDS)
        except OSError:
            continue
        with connection:
            _ask(connection, context, host, server, settings)
        return


def _ask(
    connection: socket.socket,
    context: ssl.SSLContext | None,
    host: str,
    server: str,
    settings: Settings,
) -> None:
    try:
        if context is not None:
            connection = context.wrap_socket(connection, server_hostname=host)
        with connection:
            code, mechanisms = _handshake(connection, settings.kafka_sasl_mechanism)
            _judge(code, mechanisms, server, settings)
            credentials = sasl_credentials(settings)
            if credentials is not None:
                _authenticate(connection, *credentials, settings)
    except ssl.SSLCertVerificationError as error:
        raise _distrusted(error, server, settings) from None
    except (TimeoutError, StructError, ValueError):
        return  # busy, or of another make: the client finds out
    except (OSError, EOFError) as error:
        raise _broken(error, server, settings) from None


def _handshake(connection: socket.socket, mechanism: str) -> tuple[int, list[str]]:
    """Return the error code and the mechanisms that the broker offers."""
    asked = mechanism.encode()
    answer = _exchange(connection, _SASL_HANDSHAKE, pack(">h", len(asked)) + asked)
    code, count = unpack_from(">hi", answer)
    at, mechanisms = 6, list[str]()
    for _ in range(count):
        (length,) = unpack_from(">h", answer, at)
        mechanisms.append(answer[at + 2 : at + 2 + length].decode())
        at += 2 + length
    return code, mechanisms


def _judge(code: int, mechanisms: list[str], server: str, settings: Settings) -> None:
    security = settings.kafka_security
    with_user = security.startswith("SASL")
    if code not in (_NO_ERROR, _UNSUPPORTED_MECHANISM):
        if with_user:
            raise SettingsError(
                f"TOUCHLINE_KAFKA_SECURITY: {server} asks for no user name, and {security} gives "
                f"one (fix: another port; or {'SSL' if security == 'SASL_SSL' else 'PLAINTEXT'})"
            )
    elif not with_user:
        if _answers(server, settings):
            return  # it also takes a handshake that nobody needs
        wanted = "SASL_SSL" if security == "SSL" else "SASL_PLAINTEXT"
        raise SettingsError(
            f"TOUCHLINE_KAFKA_SECURITY: {server} asks for user name and password (fix: {wanted}, "
            "with TOUCHLINE_KAFKA_USERNAME and TOUCHLINE_KAFKA_PASSWORD_FILE; or another port)"
        )
    elif code == _UNSUPPORTED_MECHANISM:
        raise SettingsError(
            f"TOUCHLINE_KAFKA_SASL_MECHANISM: {server} does not take "
            f"{settings.kafka_sasl_mechanism} (fix: say one of {', '.join(mechanisms)})"
        )


def _answers(server: str, settings: Settings) -> bool:
    """Return whether a broker answers a request of which no user was said before."""
    host, port = _address(server)
    context = ssl_context(settings)
    with suppress(OSError, EOFError), ExitStack() as closing:
        connection = closing.enter_context(socket.create_connection((host, port), SECONDS))
        if context is not None:
            wrapped = context.wrap_socket(connection, server_hostname=host)
            connection = closing.enter_context(wrapped)
        _exchange(connection, _METADATA, pack(">i", 0))
        return True
    return False


def _authenticate(
    connection: socket.socket, username: str, password: str, settings: Settings
) -> None:
    name = settings.kafka_sasl_mechanism
    mechanism = get_sasl_mechanism(name)(
        sasl_mechanism=name, sasl_plain_username=username, sasl_plain_password=password
    )
    while not mechanism.is_done():
        token = mechanism.auth_bytes()
        answer = _exchange(connection, _SASL_AUTHENTICATE, pack(">i", len(token)) + token)
        code, length = unpack_from(">hh", answer)
        if code == _AUTHENTICATION_FAILED:
            raise refused(settings)
        if code != _NO_ERROR:
            return
        at = 4 + max(length, 0)  # behind the error message, which may be none
        (length,) = unpack_from(">i", answer, at)
        mechanism.receive(answer[at + 4 : at + 4 + length])


def _exchange(connection: socket.socket, request: tuple[int, int], content: bytes) -> bytes:
    """Send a request and return the answer behind its header.

    Raises:
        EOFError: There is none: the connection ended, or another protocol is spoken.
    """
    client = b"touchline"
    body = pack(">hhih", *request, 1, len(client)) + client + content
    connection.sendall(pack(">i", len(body)) + body)
    (length,) = unpack_from(">i", _exactly(connection, 4))
    if not 4 <= length <= _LARGEST_ANSWER:
        raise EOFError
    return _exactly(connection, length)[4:]


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = connection.recv(count - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


def _address(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":")
    if not host or not port.isdigit():
        return server.strip("[]"), 9092
    return host.strip("[]"), int(port)


def _distrusted(
    error: ssl.SSLCertVerificationError, server: str, settings: Settings
) -> SettingsError:
    if error.verify_code in (_OTHER_HOST, _OTHER_ADDRESS):
        return SettingsError(
            f"TOUCHLINE_KAFKA: {server}: {error.verify_message.rstrip('.')} (fix: name the brokers "
            "as their certificates do)"
        )
    if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
        return SettingsError(
            f"TOUCHLINE_KAFKA: {server}: {error.verify_message} (fix: the broker needs another "
            "certificate, or this machine's clock is wrong)"
        )
    trusted = settings.kafka_ca_file or "the authorities that this system trusts"
    return SettingsError(
        f"TOUCHLINE_KAFKA_CA_FILE: the certificate of {server} is signed by nobody in {trusted}: "
        f"{error.verify_message} (fix: the PEM file of the authority that signed it)"
    )


def _broken(error: Exception, server: str, settings: Settings) -> TouchlineError:
    reason = getattr(error, "reason", None) or ""
    if "_ALERT_" not in reason:
        return _wordless(server, settings)
    said = reason.partition("_ALERT_")[2].lower().replace("_", " ")
    if "certificate" not in said and "unknown ca" not in said:
        return SettingsError(f"TOUCHLINE_KAFKA_SECURITY: {server} ends the TLS handshake: {said}")
    if settings.kafka_cert_file is None:
        return SettingsError(
            f"TOUCHLINE_KAFKA_CERT_FILE: {server} asks for a client certificate: {said} (fix: set "
            "it and TOUCHLINE_KAFKA_KEY_FILE)"
        )
    return SettingsError(
        f"TOUCHLINE_KAFKA_CERT_FILE: {server} refuses {settings.kafka_cert_file}: {said} (fix: a "
        "certificate of an authority that the broker trusts)"
    )


def _wordless(server: str, settings: Settings) -> TouchlineError:
    """Return why a connection may have been closed without an answer."""
    security = settings.kafka_security
    is_tls = security.endswith("SSL")
    if _speaks_plain(server) if is_tls else _speaks_tls(server):
        found = "plain text" if is_tls else "TLS"
        fixed = (
            security.replace("SSL", "PLAINTEXT")
            if is_tls
            else (security.replace("PLAINTEXT", "SSL"))
        )
        return SettingsError(
            f"TOUCHLINE_KAFKA_SECURITY: {server} speaks {found} and {security} does not (fix: "
            f"another port; or {fixed})"
        )
    return RetryableError(
        f"{server} closed the connection without an answer (fix: if it goes on, look at "
        f"TOUCHLINE_KAFKA_SECURITY, which is {security})"
    )


def _speaks_plain(server: str) -> bool:
    with (
        suppress(OSError, EOFError, StructError, ValueError),
        socket.create_connection(_address(server), SECONDS) as connection,
    ):
        _handshake(connection, "PLAIN")  # a question, not a password
        return True
    return False


def _speaks_tls(server: str) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent
    with (
        suppress(OSError),
        socket.create_connection(_address(server), SECONDS) as connection,
        context.wrap_socket(connection),
    ):
        return True
    return False
