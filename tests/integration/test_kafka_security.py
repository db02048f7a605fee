"""Apache Kafka with TLS, SASL/SCRAM and client certificates: who may, may by settings alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from jobs.drain import start_worker
from pipeline.embedded.stack import Stack
from pipeline.settings import Settings
from pipeline.simulator import Plan
from tests.integration.command import ROOT
from tests.kafka import choice
from tests.kafka.certificates import Authority
from tests.kafka.server import Apache, Listener
from tests.line import running_line
from tests.unit.events import event
from tests.waiting import until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.kafka,
    pytest.mark.skipif(
        not choice.is_apache(), reason="the embedded broker has no security: make test-kafka"
    ),
]

PASSWORD = "a-password-that-nobody-may-see"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
#: Longest that a refusal may take.
REFUSAL_SECONDS = 45


@dataclass
class Secured:
    """A broker with every kind of listener, and what it takes to connect to them.

    Attributes:
        broker: With the listeners SCRAM, MUTUAL, ELSEWHERE (its certificate is for another host)
            and EXPIRED beside the plain one.
        directory: Where files are.
        authority: PEM file of who signed the brokers' certificates.
    """

    broker: Apache
    directory: Path
    authority: Path

    def environment(self, listener: str, **changes: str) -> dict[str, str]:
        """Return the settings of a client of a listener, as the environment gives them."""
        found = {"KAFKA": self.broker.address_of(listener), "PARTITIONS": "2"}
        if listener != "PLAIN":
            found |= {"KAFKA_SECURITY": "SSL", "KAFKA_CA_FILE": str(self.authority)}
        if listener == "SCRAM":
            found |= {"KAFKA_SECURITY": "SASL_SSL", "KAFKA_USERNAME": "touchline"}
            found |= {"KAFKA_PASSWORD_FILE": str(self.directory / "password")}
        if listener == "MUTUAL":
            found |= {"KAFKA_CERT_FILE": str(self.directory / "client.pem")}
            found |= {"KAFKA_KEY_FILE": str(self.directory / "client.key")}
        for name, value in changes.items():
            found[name] = value.format(d=self.directory, b=self.broker)
        return {f"TOUCHLINE_{name}": value for name, value in found.items() if value}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    path = tmp_path_factory.mktemp("secured")
    authority, stranger = Authority(path, "authority"), Authority(path, "stranger")
    authority.issue("client", "client.example")
    stranger.issue("impostor", "client.example")
    names = ("localhost", "127.0.0.1")
    server = _presented(path, "server", *authority.issue("server", *names))
    elsewhere = _presented(path, "far", *authority.issue("far", "kafka.example"))
    expired = _presented(path, "old", *authority.issue("old", *names, valid=-timedelta(hours=1)))
    required = {
        "ssl.client.auth": "required",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.file),
    }
    scram = {
        "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
        "scram-sha-256.sasl.jaas.config": SCRAM,
        "scram-sha-512.sasl.jaas.config": SCRAM,
    }
    listeners = {
        "SCRAM": Listener("SASL_SSL", {**server, **scram}),
        "MUTUAL": Listener("SSL", {**server, **required}),
        "ELSEWHERE": Listener("SSL", elsewhere),
        "EXPIRED": Listener("SSL", expired),
    }
    (path / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    (path / "wrong").write_text(f"not-{PASSWORD}\n", encoding="utf-8")
    broker = Apache.start(path / "kafka", listeners, {"touchline": PASSWORD})
    try:
        yield Secured(broker, path, authority.file)
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a running engine, which a worker needs before it looks at Kafka."""
    home = tmp_path_factory.mktemp("engine") / "home"
    with Stack.start(Settings(home=home), broker=False, lasting=True):
        yield home


def _presented(path: Path, name: str, certificate: Path, key: Path) -> dict[str, str]:
    """Return the options of a listener that shows a certificate."""
    both = path / f"{name}.both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(both)}


def run(
    directory: Path, given: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TOUCHLINE_")}
    return subprocess.run(
        [sys.executable, "-m", "jobs.cli", *arguments],
        cwd=directory, env={**kept, **given, "PYTHONPATH": os.pathsep.join(paths())},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def paths() -> list[str]:
    return [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]


@pytest.mark.parametrize(
    ("listener", "changes"),
    [
        ("SCRAM", {"kafka_sasl_mechanism": "SCRAM-SHA-512"}),
        ("SCRAM", {"kafka_sasl_mechanism": "SCRAM-SHA-256"}),
        ("MUTUAL", {}),
    ],
    ids=["scram-512", "scram-256", "mutual"],
)
def test_the_whole_line_by_settings_alone(
    secured: Secured, tmp_path: Path, listener: str, changes: dict[str, Any]
) -> None:
    wanted: dict[str, Any] = {
        name.removeprefix("TOUCHLINE_").lower(): value
        for name, value in secured.environment(listener).items()
    }
    if wanted.pop("kafka_password_file", None):
        wanted["kafka_password"] = PASSWORD
    wanted |= {**choice.names(tmp_path), **changes}
    # the default catalog tells of every pain on the alerter's standard output
    with running_line(tmp_path / "home", **wanted) as line:
        line.produce(Plan(customers=20, days=20, seed=3))
        worker = line.worker()
        line.drain(worker)
        found = line.account()
        alerter = start_worker(line.settings, "alerter")
        line.workers.append(alerter)
        until(lambda: b"ALERT " in alerter.log_file.read_bytes() or alerter.check(), 60, "alerts")
        said = [each.log_file.read_text(encoding="utf-8") for each in line.workers]
    assert found.balanced
    assert found.stored == len(line.truth)
    assert sum(found.rejected.values()) == len(line.values) - len(line.events) > 0
    assert not [text for text in said if PASSWORD in text]


@pytest.mark.parametrize(
    ("listener", "mechanism"),
    [("SCRAM", "SCRAM-SHA-512"), ("SCRAM", "SCRAM-SHA-256"), ("MUTUAL", "")],
)
def test_produce_by_the_environment_alone(
    secured: Secured, tmp_path: Path, listener: str, mechanism: str
) -> None:
    lines = [orjson.dumps(event(event_id=f"e-{n}")) for n in range(20)]
    (tmp_path / "in.ndjson").write_bytes(b"\n".join(lines))
    given = secured.environment(listener, KAFKA_SASL_MECHANISM=mechanism)
    done = run(tmp_path, given, "produce", "web", "in.ndjson")
    assert (done.returncode, done.stdout) == (0, "20 of 20 lines delivered\n"), done.stderr
    assert PASSWORD not in done.stderr


REFUSALS = {
    "wrong password": (
        "SCRAM",
        {"KAFKA_PASSWORD_FILE": "{d}/wrong"},
        "TOUCHLINE_KAFKA_USERNAME, TOUCHLINE_KAFKA_PASSWORD: ",
    ),
    "unknown user": (
        "SCRAM",
        {"KAFKA_USERNAME": "nobody"},
        "refuses user 'nobody' with this password",
    ),
    "no password": (
        "SCRAM",
        {"KAFKA_PASSWORD_FILE": ""},
        "set TOUCHLINE_KAFKA_USERNAME and TOUCHLINE_KAFKA_PASSWORD",
    ),
    "another mechanism": (
        "SCRAM",
        {"KAFKA_SASL_MECHANISM": "PLAIN"},
        "TOUCHLINE_KAFKA_SASL_MECHANISM: ",
    ),
    "unknown authority of the broker": (
        "SCRAM",
        {"KAFKA_CA_FILE": "{d}/stranger.pem"},
        "TOUCHLINE_KAFKA_CA_FILE: the certificate of 127.0.0.1:",
    ),
    "the system's authorities": (
        "MUTUAL",
        {"KAFKA_CA_FILE": ""},
        "is signed by nobody in the authorities that this system trusts",
    ),
    "no authority file": (
        "SCRAM",
        {"KAFKA_CA_FILE": "{d}/none.pem"},
        "TOUCHLINE_KAFKA_CA_FILE: ",
    ),
    "no client certificate": (
        "MUTUAL",
        {"KAFKA_CERT_FILE": "", "KAFKA_KEY_FILE": ""},
        "asks for a client certificate",
    ),
    "untrusted client certificate": (
        "MUTUAL",
        {"KAFKA_CERT_FILE": "{d}/impostor.pem", "KAFKA_KEY_FILE": "{d}/impostor.key"},
        "TOUCHLINE_KAFKA_CERT_FILE: ",
    ),
    "the key of another": (
        "MUTUAL",
        {"KAFKA_KEY_FILE": "{d}/impostor.key"},
        "TOUCHLINE_KAFKA_CERT_FILE: ",
    ),
    "a certificate of another host": ("ELSEWHERE", {}, "IP address mismatch"),
    "an expired certificate": ("EXPIRED", {}, "certificate has expired"),
    "no security at a TLS port": (
        "MUTUAL",
        {"KAFKA_SECURITY": "PLAINTEXT"},
        "TOUCHLINE_KAFKA_SECURITY",
    ),
    "TLS at a plain port": (
        "MUTUAL",
        {"KAFKA": "{b.address}"},
        "TOUCHLINE_KAFKA_SECURITY",
    ),
    "no user at a SASL port": (
        "SCRAM",
        {"KAFKA_SECURITY": "SSL"},
        "TOUCHLINE_KAFKA_SECURITY: ",
    ),
    "a user at a port without SASL": (
        "MUTUAL",
        {"KAFKA_SECURITY": "SASL_SSL", "KAFKA_USERNAME": "x", "KAFKA_PASSWORD_FILE": "{d}/wrong"},
        "TOUCHLINE_KAFKA_SECURITY: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS)
def test_produce_that_is_refused_names_the_setting(
    secured: Secured, tmp_path: Path, refusal: str
) -> None:
    listener, changes, wanted = REFUSALS[refusal]
    (tmp_path / "in.ndjson").write_bytes(orjson.dumps(event()))
    given = secured.environment(listener, **changes)
    assert check_refused(tmp_path, given, wanted, "produce", "web", "in.ndjson") == []


@pytest.mark.parametrize(
    "refusal",
    [
        "wrong password",
        "unknown authority of the broker",
        "no client certificate",
        "a certificate of another host",
        "no security at a TLS port",
    ],
)
def test_a_worker_that_is_refused_ends_and_names_the_setting(
    secured: Secured, tmp_path: Path, engine: Path, refusal: str
) -> None:
    listener, changes, wanted = REFUSALS[refusal]
    given = {**secured.environment(listener, **changes), "TOUCHLINE_HOME": str(engine)}
    check_refused(tmp_path, given, wanted, "worker")


def test_an_alerter_that_is_refused_ends_and_names_the_setting(
    secured: Secured, tmp_path: Path, engine: Path
) -> None:
    listener, changes, wanted = REFUSALS["wrong password"]
    given = {**secured.environment(listener, **changes), "TOUCHLINE_HOME": str(engine)}
    check_refused(tmp_path, given, wanted, "alerter")


def check_refused(
    directory: Path, given: dict[str, str], wanted: str, *arguments: str
) -> list[str]:
    """Run a command that must be refused in one line, in time; return what it said before."""
    since = time.monotonic()
    done = run(directory, given, *arguments)
    assert done.returncode == 1, done.stderr
    assert time.monotonic() - since < REFUSAL_SECONDS, done.stderr
    assert "Traceback" not in done.stderr
    *before, last = done.stderr.splitlines()
    assert last.startswith("touchline: "), done.stderr
    assert wanted in last, done.stderr
    assert PASSWORD not in done.stderr + done.stdout
    return before
