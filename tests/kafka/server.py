"""Apache Kafka as a process of a test: one node in KRaft mode, on free ports of this machine.

Its jars are what ``make test-kafka`` fetched (see ``pom.xml``). Java is started without any of
Kafka's scripts, so that the process here is the broker and not a shell around it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from pipeline.embedded.broker import HOST, die_with_parent

ROOT = Path(__file__).resolve().parents[2]
#: Where ``make test-kafka`` puts the jars.
JARS = ROOT / ".kafka" / "jars"

START_SECONDS = 90.0
_FORMAT_SECONDS = 90.0
_ATTEMPTS = 3
# Short-lived and small: what the second compiler and parallel collectors gain is never earned back.
_JAVA = ["java", "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
_LOGGING = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1}: %m%n%throwable
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""
# One broker holds one replica, nobody waits for more members of a group, and topics are made by
# who knows how many partitions they need.
_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAIN",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    "log.index.size.max.bytes": "1048576",
}


@dataclass(frozen=True)
class Listener:
    """One more door of the broker.

    Attributes:
        protocol: Kafka's name of its security protocol.
        options: Properties of this listener, without the prefix that names it.
    """

    protocol: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Apache:
    """A running broker; what tests do with the embedded one, they can do with it.

    Attributes:
        process: The Java process; dies with the process that started it.
        ports: Port of every listener by its name; ``PLAIN`` is there always.
        log: File with everything that it printed.
    """

    process: subprocess.Popen[bytes]
    ports: dict[str, int]
    log: Path

    @classmethod
    def start(
        cls,
        directory: Path,
        listeners: Mapping[str, Listener] | None = None,
        users: Mapping[str, str] | None = None,
        advertised: int | None = None,
    ) -> Apache:
        """Start a broker and wait until it accepts connections.

        Args:
            directory: A directory that is not there yet, for its files.
            listeners: Listeners beside the plain one, by names of capital letters.
            users: Passwords by user name, for both SCRAM mechanisms.
            advertised: Port that clients are told instead of that of the plain listener.
        """
        for attempt in range(_ATTEMPTS):
            ports = _free_ports(["CONTROLLER", "PLAIN", *(listeners or ())])
            place = directory / str(attempt)
            place.mkdir(parents=True)
            (place / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")
            properties = _properties(place, ports, listeners or {}, advertised)
            (place / "server.properties").write_text(properties, encoding="utf-8")
            _format(place, users or {})
            broker = cls(_spawn(place), ports, place / "kafka.log")
            if broker._wait():
                return broker
        raise AssertionError(f"Apache Kafka ended: {broker.log_tail()}")

    @property
    def address(self) -> str:
        """Bootstrap server of the plain listener, ``host:port``."""
        return self.address_of("PLAIN")

    def address_of(self, listener: str) -> str:
        """Return the bootstrap server of a listener, ``host:port``."""
        return f"{HOST}:{self.ports[listener]}"

    def again(self) -> Apache:
        """Start a broker that ended once more, on its ports and its data."""
        broker = Apache(_spawn(self.log.parent), self.ports, self.log)
        assert broker._wait(), f"Apache Kafka ended: {broker.log_tail()}"
        return broker

    def alive(self) -> bool:
        """Return whether the broker still runs."""
        return self.process.poll() is None

    def log_tail(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-4_000:]

    def stop(self) -> None:
        """End it at once: nobody wants its records any more. Calling it again does nothing."""
        if self.alive():
            self.process.kill()
        self.process.wait()

    def _wait(self) -> bool:
        """Wait until every port answers; return False when the broker ended first."""
        deadline = time.monotonic() + START_SECONDS
        try:
            while self.alive():
                if all(_listening(port) for port in self.ports.values()):
                    return True
                assert time.monotonic() < deadline, f"Apache Kafka is silent: {self.log_tail()}"
                time.sleep(0.05)
            return False
        except BaseException:
            self.stop()
            raise


def _properties(
    place: Path,
    ports: Mapping[str, int],
    listeners: Mapping[str, Listener],
    advertised: int | None,
) -> str:
    protocols = {"CONTROLLER": "PLAINTEXT", "PLAIN": "PLAINTEXT"}
    protocols |= {name: listener.protocol for name, listener in listeners.items()}
    addresses = {name: f"{name}://{HOST}:{port}" for name, port in ports.items()}
    told = {name: address for name, address in addresses.items() if name != "CONTROLLER"}
    if advertised is not None:
        told["PLAIN"] = f"PLAIN://{HOST}:{advertised}"
    found = {
        **_PROPERTIES,
        "controller.quorum.voters": f"1@{HOST}:{ports['CONTROLLER']}",
        "listeners": ",".join(addresses.values()),
        "advertised.listeners": ",".join(told.values()),
        "listener.security.protocol.map": ",".join(":".join(item) for item in protocols.items()),
        "log.dirs": str(place / "data"),
    }
    for name, listener in listeners.items():
        prefix = f"listener.name.{name.lower()}."
        found |= {prefix + option: value for option, value in listener.options.items()}
    return "".join(f"{name}={value}\n" for name, value in found.items())


def _java(place: Path, program: str, *arguments: str) -> list[str]:
    logging = f"-Dlog4j2.configurationFile={place / 'log4j2.properties'}"
    return [*_JAVA, logging, "-cp", str(JARS / "*"), program, *arguments]


def _format(place: Path, users: Mapping[str, str]) -> None:
    # an id that begins with a dash, as one in 64 would, is taken for an option
    cluster = urlsafe_b64encode(b"\0" + uuid4().bytes[1:]).decode().rstrip("=")
    arguments = ["format", "--cluster-id", cluster, "--config", str(place / "server.properties")]
    for user, password in users.items():
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            arguments += ["--add-scram", f"{mechanism}=[name={user},password={password}]"]
    done = subprocess.run(
        _java(place, "kafka.tools.StorageTool", *arguments),
        capture_output=True, text=True, timeout=_FORMAT_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def _spawn(place: Path) -> subprocess.Popen[bytes]:
    with (place / "kafka.log").open("wb") as log:
        return subprocess.Popen(
            _java(place, "kafka.Kafka", str(place / "server.properties")),
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            preexec_fn=die_with_parent(signal.SIGKILL),
        )


def _free_ports(names: list[str]) -> dict[str, int]:
    """Return a loopback port for each name, all free a moment ago."""
    probes = {name: socket.socket() for name in names}
    try:
        for probe in probes.values():
            probe.bind((HOST, 0))
        return {name: int(probe.getsockname()[1]) for name, probe in probes.items()}
    finally:
        for probe in probes.values():
            probe.close()


def _listening(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1.0):
        return True
    return False
