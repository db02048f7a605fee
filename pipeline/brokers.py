"""How to reach Kafka, said once, for every client library that does.

kafka-python defaults to plain text and so does Faust without an SSL context; both get their
security from the same settings here.
"""

from __future__ import annotations

import ssl
from typing import Any

from pipeline.errors import SettingsError
from pipeline.settings import Settings

#: Longest look for a first broker, in milliseconds; kafka-python's own is half a minute.
BOOTSTRAP_MS = 10_000


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context of the Kafka connection, or None where it is plain text.

    Raises:
        SettingsError: A certificate or key file cannot be used.
    """
    if settings.kafka_security not in ("SSL", "SASL_SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"TOUCHLINE_KAFKA_CA_FILE: {settings.kafka_ca_file}: {error}") from None
    if settings.kafka_cert_file is not None:
        try:
            context.load_cert_chain(settings.kafka_cert_file, settings.kafka_key_file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"TOUCHLINE_KAFKA_CERT_FILE: {settings.kafka_cert_file}: {error}"
            ) from None
    return context


def bootstrap_servers(settings: Settings) -> list[str]:
    """Return the bootstrap servers as ``host:port``.

    Raises:
        SettingsError: None is configured and no embedded broker was filled in.
    """
    if not settings.kafka:
        raise SettingsError("TOUCHLINE_KAFKA: no broker configured and none embedded is running")
    return [server.strip() for server in settings.kafka.split(",") if server.strip()]


def sasl_credentials(settings: Settings) -> tuple[str, str] | None:
    """Return user name and password, or None where SASL is not used.

    Raises:
        SettingsError: SASL is asked for without them.
    """
    if not settings.kafka_security.startswith("SASL"):
        return None
    if settings.kafka_username is None or settings.kafka_password is None:
        raise SettingsError(
            "TOUCHLINE_KAFKA_SECURITY asks for SASL: set TOUCHLINE_KAFKA_USERNAME and "
            "TOUCHLINE_KAFKA_PASSWORD (or TOUCHLINE_KAFKA_PASSWORD_FILE)"
        )
    return settings.kafka_username, settings.kafka_password.get_secret_value()


def kafka_python_options(settings: Settings) -> dict[str, Any]:
    """Return the connection options that every kafka-python client takes."""
    options: dict[str, Any] = {
        "bootstrap_servers": bootstrap_servers(settings),
        "security_protocol": settings.kafka_security,
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
    }
    context = ssl_context(settings)
    if context is not None:
        options["ssl_context"] = context
    credentials = sasl_credentials(settings)
    if credentials is not None:
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"], options["sasl_plain_password"] = credentials
    return options
