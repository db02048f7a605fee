"""Asks a process what monitoring asks it."""

from __future__ import annotations

from http.client import HTTPConnection
from typing import NamedTuple

import orjson
from prometheus_client.parser import text_string_to_metric_families


class Answer(NamedTuple):
    """What was answered."""

    status: int
    content_type: str
    body: bytes

    def json(self) -> dict:
        return orjson.loads(self.body)


def ask(address: str, path: str, seconds: float = 10.0) -> Answer:
    """Ask for a path of ``host:port``."""
    connection = HTTPConnection(address, timeout=seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers["Content-Type"], answer.read())
    finally:
        connection.close()


def samples(address: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample that Prometheus would read, by name and labels."""
    families = text_string_to_metric_families(ask(address, "/metrics").body.decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }
