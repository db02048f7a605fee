"""What can be configured, in one frozen model: environment, TOML file, then defaults.

Nothing is read at import. With nothing configured, every command runs on the embedded broker and
engine below ``./.touchline``.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from pipeline.errors import CatalogError, SettingsError
from pipeline.toml_lines import TomlSource, read_text

DEFAULT_FILE = "touchline.toml"
PREFIX = "TOUCHLINE_"


class Settings(BaseSettings):
    """Every setting of Touchline.

    Sources, strongest first: arguments, ``TOUCHLINE_…`` environment variables, the TOML file
    (``TOUCHLINE_CONFIG`` or ``./touchline.toml``), the defaults here. Unknown keys are refused.
    Secrets can also be read from a file: ``TOUCHLINE_…_FILE`` names it.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    # --- where things are -------------------------------------------------------------------
    home: Path = Field(
        Path(".touchline"), description="Directory of the embedded stack's data and run files."
    )
    catalog: Path | None = Field(
        None, description="Catalog TOML file; the default catalog when unset."
    )

    # --- Kafka ------------------------------------------------------------------------------
    kafka: str | None = Field(
        None, description="Kafka bootstrap servers, host:port,…; the embedded broker when unset."
    )
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Security protocol of the Kafka connection."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="SASL mechanism."
    )
    kafka_username: str | None = Field(None, description="SASL user name.")
    kafka_password: SecretStr | None = Field(None, description="SASL password.")
    kafka_ca_file: Path | None = Field(None, description="PEM file of the trusted authorities.")
    kafka_cert_file: Path | None = Field(None, description="PEM client certificate (mTLS).")
    kafka_key_file: Path | None = Field(None, description="PEM private key of the certificate.")
    kafka_group: str = Field("touchline", description="Consumer group of the workers.")
    topic_prefix: str = Field("", description="Put before every topic name, e.g. 'prod.'.")
    partitions: int = Field(12, ge=1, le=10_000, description="Partitions of each new topic.")
    replication: int = Field(1, ge=1, le=10, description="Replication factor of new topics.")

    # --- ClickHouse -------------------------------------------------------------------------
    clickhouse: str | None = Field(
        None,
        description="ClickHouse DSN without password, e.g. clickhouse://user@host:8123/touchline "
        "(or clickhouses:// for TLS); the embedded engine when unset.",
    )
    clickhouse_password: SecretStr | None = Field(None, description="ClickHouse password.")
    clickhouse_ca_file: Path | None = Field(None, description="PEM file of trusted authorities.")
    database: str = Field(
        "touchline", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$", description="ClickHouse database."
    )
    cluster: str | None = Field(
        None, description="ClickHouse cluster to migrate ON; a single server when unset."
    )

    # --- how long rows are kept, applied by `touchline migrate`; for ever when unset ---------
    keep_interactions_days: int | None = Field(
        None, ge=1, le=36_500, description="Days after it happened that an interaction is kept."
    )
    keep_moments_days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        description="Days after their cause that moments, and promises after they were made, are "
        "kept.",
    )
    keep_rejections_days: int | None = Field(
        None, ge=1, le=36_500, description="Days that the reason of a rejection is kept."
    )
    keep_alerts_days: int | None = Field(
        None,
        ge=7,
        le=36_500,
        description="Days that alerts, decisions on moments and deliveries are kept.",
    )

    # --- limits of the role of readers, for `touchline migrate --roles` ----------------------
    reader_seconds: int = Field(
        300, ge=1, description="Longest query of a reader, seconds; see `migrate --roles`."
    )
    reader_memory_bytes: int = Field(
        8_589_934_592, ge=1_048_576, description="Most memory of a reader's query, bytes."
    )
    reader_result_rows: int = Field(
        10_000_000,
        ge=10_000,  # a client that connects asks for all of the server's settings
        description="Most rows that a query returns to a reader.",
    )
    reader_queries_per_hour: int = Field(
        10_000, ge=1, description="Most queries of one reader in an hour."
    )

    # --- worker -----------------------------------------------------------------------------
    batch_rows: int = Field(20_000, ge=1, le=1_000_000, description="Flush at this many records.")
    batch_bytes: int = Field(
        67_108_864,
        ge=1_048_576,
        description="Flush at this many bytes; twice as many wait at most.",
    )
    batch_seconds: float = Field(1.0, gt=0, le=60, description="Flush at the latest this late.")
    max_record_bytes: int = Field(
        262_144, ge=1_024, le=16_777_216, description="Larger records are rejected."
    )
    reject_ratio_limit: float = Field(
        0.5, gt=0, le=1, description="Stop when more than this share of a window is rejected."
    )
    reject_window: int = Field(
        1_000, ge=1, description="Records over which the reject ratio is measured."
    )
    lateness: float = Field(
        300.0,
        ge=0,
        le=86_400,
        description="How much later than others an event may arrive, in seconds of event time, "
        "before terms are taken for over.",
    )
    idle: float = Field(
        60.0,
        ge=1,
        le=86_400,
        description="After so many seconds without events the wall clock ends terms.",
    )
    clock_tolerance: float = Field(
        300.0,
        ge=0,
        le=86_400,
        description="An event further in the future than this many seconds is taken as of now.",
    )
    journeys_every: float = Field(
        5.0,
        ge=0.1,
        le=3_600,
        description="Seconds between two refreshes of the journeys; what a batch changes is in "
        "them so much later.",
    )
    session_timeout: float = Field(
        45.0, ge=6, le=300, description="Kafka consumer session timeout, seconds."
    )
    max_poll_interval: float = Field(
        21_600.0,
        ge=300,
        le=86_400,
        description="Longest outage of ClickHouse, in seconds, after which a worker that waits for "
        "it still keeps its partitions.",
    )

    # --- metrics, health and alarms ----------------------------------------------------------
    status_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address on which /metrics, /healthz and /readyz are answered.",
    )
    status_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="Port for that; 0 takes a free one and logs it. Not answered when unset.",
    )
    alerter_status_port: int | None = Field(
        None, ge=0, le=65_535, description="The same for the alerter, on status_host."
    )
    alarm_lag_seconds: float = Field(
        300.0, gt=0, le=604_800, description="A worker further behind than this raises an alarm."
    )
    alarm_stuck_seconds: float = Field(
        120.0,
        gt=0,
        le=86_400,
        description="A worker that has something to do and gets nothing done for so long raises "
        "an alarm.",
    )

    # --- privacy ----------------------------------------------------------------------------
    pepper: SecretStr | None = Field(
        None,
        min_length=16,
        description="Secret key of the identifier hashes. Required with a real ClickHouse; the "
        "embedded stack makes one and keeps it in its home directory.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, secret files, TOML file."""
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        sources.append(_SecretFiles(settings_cls))
        source = _file()
        if source is not None:
            sources.append(InitSettingsSource(settings_cls, source.data))
        return tuple(sources)

    @cached_property
    def embedded_kafka(self) -> bool:
        """Whether the embedded broker is used."""
        return self.kafka is None

    @cached_property
    def embedded_clickhouse(self) -> bool:
        """Whether the embedded engine is used."""
        return self.clickhouse is None


class _SecretFiles(PydanticBaseSettingsSource):
    """Reads ``TOUCHLINE_<SECRET>_FILE``: the path of a file that holds the secret."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Return the secret of one field from its file, if its variable is set."""
        variable = f"{PREFIX}{field_name.upper()}_FILE"
        path = os.environ.get(variable)
        if path is None or field_name not in secrets():
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except OSError as error:
            raise SettingsError(f"{variable}: cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError:
            raise SettingsError(f"{variable}: {path} is not UTF-8") from None

    def __call__(self) -> dict[str, Any]:
        """Return every secret that a file provides."""
        found: dict[str, Any] = {}
        for name, info in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(info, name)
            if value is not None:
                found[key] = value
        return found


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment that makes another process load these settings."""
    found = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if value is None:
            continue
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        found[f"{PREFIX}{name.upper()}"] = text
    return found


def secrets() -> list[str]:
    """Return the names of the settings that are secret, which can be read from files."""
    return [
        name
        for name, info in Settings.model_fields.items()
        if SecretStr in getattr(info.annotation, "__args__", ())
    ]


def load(**overrides: Any) -> Settings:
    """Read the settings now.

    Args:
        overrides: Values that beat every other source; ``None`` values are ignored.

    Raises:
        SettingsError: A setting is unknown or invalid, or the TOML file cannot be used; names the
            setting, or file and line, and never shows a secret's value.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    source = _file()
    unknown = [*_unknown_variables(), *(_unknown_keys(source) if source else ())]
    if unknown:
        raise SettingsError("\n".join(unknown))
    try:
        settings = Settings(**given)
    except ValidationError as error:
        lines = [
            f"{_place(str(item['loc'][0]), given, source)}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise SettingsError("\n".join(lines)) from None
    if not settings.embedded_clickhouse and settings.pepper is None:
        raise SettingsError(
            f"{PREFIX}PEPPER: required with a real ClickHouse (fix: set {PREFIX}PEPPER or "
            f"{PREFIX}PEPPER_FILE to a secret of 16 characters or more, the same for every worker)"
        )
    return settings


def _file() -> TomlSource | None:
    """Return the TOML file of the settings; None where there is none and none was asked for.

    Raises:
        SettingsError: It cannot be read, or is not TOML; names file and line.
    """
    config = os.environ.get(f"{PREFIX}CONFIG")
    path = Path(DEFAULT_FILE if config is None else config)
    if config is None and not os.path.lexists(path):
        return None
    try:
        return TomlSource(str(path), read_text(path))
    except CatalogError as error:
        asked = "" if config is None else f" (fix: see {PREFIX}CONFIG, which names it)"
        raise SettingsError(f"{error}{asked}") from None


def _unknown_variables() -> list[str]:
    known = [name.upper() for name in Settings.model_fields]
    known += [f"{name.upper()}_FILE" for name in secrets()]
    known.append("CONFIG")
    names = [name.removeprefix(PREFIX) for name in sorted(os.environ) if name.startswith(PREFIX)]
    return [
        f"{PREFIX}{name}: unknown setting in the environment ({_guess(name, known, PREFIX)})"
        for name in names
        if name not in known
    ]


def _unknown_keys(source: TomlSource) -> list[str]:
    known = list(Settings.model_fields)
    return [
        f"{source.name}:{source.lines.find((name,))}: {name}: unknown setting "
        f"({_guess(name.lower().removeprefix(PREFIX.lower()), known)})"
        for name in source.data
        if name.lower() not in known
    ]


def _guess(name: str, known: list[str], prefix: str = "") -> str:
    near = get_close_matches(name, known, 1)
    if not near:
        return "see `touchline settings` for the names"
    return f"did you mean '{prefix}{near[0]}'?"


def _place(name: str, given: dict[str, Any], source: TomlSource | None) -> str:
    """Return where the value of a setting comes from, as its author would name it."""
    variable = f"{PREFIX}{name.upper()}"
    if name in given or variable in os.environ:
        return variable
    if name in secrets() and f"{variable}_FILE" in os.environ:
        return f"{variable}_FILE"
    for key in source.data if source else ():
        if source and key.lower() == name:
            return f"{source.name}:{source.lines.find((key,))}: {key}"
    return variable
