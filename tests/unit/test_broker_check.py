"""What is made of a broker's first words; TLS is tested where there is a broker that has it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from kafka import errors

from pipeline.broker_check import check
from pipeline.brokers import explained, ssl_context
from pipeline.errors import FatalError, RetryableError, SettingsError
from pipeline.settings import Settings
from tests.kafka.certificates import Authority

METADATA = pack(">h", 3)
PASSWORD = "nobody-may-see-it"
#: Makes a broker that answers each request of a connection with the next of these, then closes it;
#: a request for metadata only with what it is given for that.
Scripted = Callable[..., str]


def answered(content: bytes) -> bytes:
    return pack(">ii", 4 + len(content), 1) + content


def handshake(code: int, *mechanisms: str) -> bytes:
    told = b"".join(pack(">h", len(each)) + each.encode() for each in mechanisms)
    return answered(pack(">hi", code, len(mechanisms)) + told)


def authenticated(code: int, content: bytes = b"") -> bytes:
    return answered(pack(">hhi", code, -1, len(content)) + content)


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    servers: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(server: socket.socket, answers: tuple[bytes, ...], metadata: bytes) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return  # closed: the test is over
            with connection:
                for answer in answers:
                    if not (request := connection.recv(4_096)):
                        break
                    if request[4:6] == METADATA:
                        connection.sendall(metadata)
                        break
                    connection.sendall(answer)

    def make(*answers: bytes, metadata: bytes = b"") -> str:
        server = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=serve, args=(server, answers, metadata))
        servers.append(server)
        threads.append(thread)
        thread.start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield make
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def plain(address: str, **changes: Any) -> Settings:
    return Settings(kafka=address, **changes)


def with_user(address: str, **changes: Any) -> Settings:
    user = {"kafka_username": "me", "kafka_password": PASSWORD, "kafka_sasl_mechanism": "PLAIN"}
    return Settings(kafka=address, kafka_security="SASL_PLAINTEXT", **{**user, **changes})


def test_who_is_taken_is_told_nothing(scripted: Scripted) -> None:
    check(plain(scripted(handshake(34))))
    check(with_user(scripted(handshake(0, "PLAIN"), authenticated(0))))


def test_who_takes_a_handshake_and_answers_without_one_takes_us(scripted: Scripted) -> None:
    check(plain(scripted(handshake(0, "PLAIN"), metadata=answered(pack(">iii", 0, 0, 0)))))


def test_one_broker_that_can_be_reached_is_enough(scripted: Scripted) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{probe.getsockname()[1]}"
    check(plain(nobody))  # that nobody answers is said by the client
    asked = scripted(handshake(0, "PLAIN"), authenticated(58))
    with pytest.raises(SettingsError, match="TOUCHLINE_KAFKA_USERNAME, TOUCHLINE_KAFKA_PASSWORD"):
        check(with_user(f"{nobody},{asked}"))


def test_a_password_that_is_refused_is_not_shown(scripted: Scripted) -> None:
    settings = with_user(scripted(handshake(0, "PLAIN"), authenticated(58)))
    with pytest.raises(SettingsError, match="refuses user 'me'") as told:
        check(settings)
    assert PASSWORD not in str(told.value)


def test_a_mechanism_is_named_with_those_that_would_do(scripted: Scripted) -> None:
    settings = with_user(scripted(handshake(33, "SCRAM-SHA-256", "SCRAM-SHA-512")))
    with pytest.raises(SettingsError, match=r"MECHANISM: .* SCRAM-SHA-256, SCRAM-SHA-512\)"):
        check(settings)


def test_a_user_where_none_is_asked_for_and_none_where_one_is(scripted: Scripted) -> None:
    with pytest.raises(SettingsError, match=r"SECURITY: .* asks for no user name.*PLAINTEXT\)"):
        check(with_user(scripted(handshake(34))))
    with pytest.raises(SettingsError, match="SECURITY: .* asks for user name .*SASL_PLAINTEXT"):
        check(plain(scripted(handshake(33, "SCRAM-SHA-512"))))


def test_plain_text_where_tls_was_meant(scripted: Scripted) -> None:
    # what Kafka does with the first bytes of TLS: they are no length of a request of its own
    answers = (handshake(34),)
    settings = plain(scripted(*answers), kafka_security="SSL")
    with pytest.raises(SettingsError, match=r"SECURITY: .* speaks plain text and SSL does not"):
        check(settings)


@pytest.mark.parametrize("said", [b"", b"\x15\x03\x03\x00\x02", b"\x00\x00\x00\x02\x00"])
def test_who_hangs_up_may_be_starting_and_is_tried_again(scripted: Scripted, said: bytes) -> None:
    with pytest.raises(RetryableError, match="without an answer .*TOUCHLINE_KAFKA_SECURITY"):
        check(plain(scripted(said)))


def test_an_answer_that_nobody_understands_is_left_to_the_client(scripted: Scripted) -> None:
    check(plain(scripted(answered(b"\x00"))))


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (errors.SaslAuthenticationFailedError("x"), SettingsError, "TOUCHLINE_KAFKA_PASSWORD"),
        (errors.TopicAuthorizationFailedError("x"), FatalError, "does not allow it to me"),
        (errors.InvalidReplicationFactorError("x"), SettingsError, "TOUCHLINE_REPLICATION: 1"),
        (errors.CoordinatorNotAvailableError("x"), RetryableError, "asked: "),
    ],
)
def test_errors_of_the_client(error: errors.KafkaError, kind: type[Exception], told: str) -> None:
    found = explained(error, with_user("k:9092"), "asked")
    assert type(found) is kind
    assert told in str(found)
    assert PASSWORD not in str(found)


def test_an_encrypted_key_asks_no_terminal(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("client", password=PASSWORD.encode())
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    settings = Settings(kafka="k:9092", kafka_security="SSL", kafka_cert_file=both)
    with pytest.raises(SettingsError, match="TOUCHLINE_KAFKA_CERT_FILE: .*without a password"):
        ssl_context(settings)
