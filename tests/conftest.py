"""What every test shares."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.kafka import choice
from tests.kafka.server import JARS, Apache

# Timing is not what these tests test, and machines are noisy.
settings.register_profile(
    "touchline", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("touchline")

_ADDRESS = "kafka_address"
_BROKER = pytest.StashKey[Apache]()
_DIRECTORY = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run choose its broker."""
    parser.addoption(
        "--kafka",
        choices=["embedded", "apache"],
        default="embedded",
        help="Broker of the tests marked kafka; make test-kafka fetches and chooses Apache's.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start Apache Kafka once for all of pytest's processes, where it was chosen."""
    given = getattr(config, "workerinput", None)
    if given is not None:
        choice.choose(given.get(_ADDRESS, choice.EMBEDDED))
    elif config.getoption("--kafka") == "apache" and not config.getoption("collectonly"):
        if not JARS.is_dir():
            fix = "`make test-kafka` fetches it"
            raise pytest.UsageError(f"no Apache Kafka in {JARS} (fix: {fix})")
        config.stash[_DIRECTORY] = Path(mkdtemp(prefix="touchline-kafka-"))
        broker = config.stash[_BROKER] = Apache.start(config.stash[_DIRECTORY] / "shared")
        choice.choose(broker.address)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist where the broker is."""
    if _BROKER in node.config.stash:
        node.workerinput[_ADDRESS] = node.config.stash[_BROKER].address


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the broker, whatever became of the tests."""
    if _BROKER in config.stash:
        config.stash[_BROKER].stop()
    if _DIRECTORY in config.stash:
        rmtree(config.stash[_DIRECTORY])


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs a line: it uses a broker, whether its author thought of it or not."""
    for item in items:
        names = vars(getattr(item, "module", None) or object)
        if "running_line" in names or "alert_line" in names:
            item.add_marker(pytest.mark.kafka)
