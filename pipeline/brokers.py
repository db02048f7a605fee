"""How to reach Kafka, said once, for every client library that does.

kafka-python defaults to plain text and so does Faust without an SSL context; both get their
security from the same settings here.
"""

from __future__ import annotations

import ssl
from typing import Any

from kafka.errors import (
    AuthorizationError,
    InvalidReplicationFactorError,
    KafkaError,
    SaslAuthenticationFailedError,
)

from pipeline.errors import FatalError, RetryableError, SettingsError, TouchlineError
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
            # without a password OpenSSL would ask the terminal for that of an encrypted key
            context.load_cert_chain(settings.kafka_cert_file, settings.kafka_key_file, lambda: "")
        except (OSError, ssl.SSLError) as error:
            key = "" if settings.kafka_key_file is None else f" with {settings.kafka_key_file}"
            raise SettingsError(
                f"TOUCHLINE_KAFKA_CERT_FILE: {settings.kafka_cert_file}{key}: {error} (fix: PEM "
                "files of a certificate and of its key, which TOUCHLINE_KAFKA_KEY_FILE names where "
                "it is not in the same file, without a password)"
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


def explained(error: KafkaError, settings: Settings, what: str) -> TouchlineError:
    """Return an error of kafka-python as ours: whether trying again can help, and what to mend.

    Args:
        error: As it was raised.
        settings: Of the connection.
        what: What did not succeed, to begin the message with.
    """
    if isinstance(error, SaslAuthenticationFailedError):
        return refused(settings)
    if isinstance(error, AuthorizationError):
        user = settings.kafka_username or "who the certificate names"
        return FatalError(f"{what}: Kafka does not allow it to {user}: {error} (fix: its ACLs)")
    if isinstance(error, InvalidReplicationFactorError):
        return SettingsError(
            f"TOUCHLINE_REPLICATION: {settings.replication} is not what Kafka can do: {error} "
            "(fix: at most the number of brokers)"
        )
    return RetryableError(f"{what}: {error}", "kafka")


def refused(settings: Settings) -> SettingsError:
    """Return what to say when user name and password are not those of anybody."""
    return SettingsError(
        f"TOUCHLINE_KAFKA_USERNAME, TOUCHLINE_KAFKA_PASSWORD: Kafka at {settings.kafka} refuses "
        f"user {settings.kafka_username!r} with this password, by {settings.kafka_sasl_mechanism} "
        "(fix: a user that the brokers know by that mechanism, and the right password)"
    )
