"""What the courier tells whoever counts: the names of what happens to deliveries."""

from __future__ import annotations

from typing import Literal, Protocol

from pipeline.alerts.circuit import State
from schemas.notification import Action

#: Why a try failed. refused: never will it be taken as it is. throttled: too many requests.
#: http_4xx and http_5xx: another such answer. no_answer: nothing that could be understood came.
#: timeout: not even the sender's own limit ended it. crashed: the sender failed unexpectedly.
Cause = Literal["refused", "throttled", "http_4xx", "http_5xx", "no_answer", "timeout", "crashed"]


class CourierEvents(Protocol):
    """Told of what happens, in the event loop; must not raise nor block."""

    def sent(self, destination: str, action: Action, waited: float, since: float | None) -> None:
        """A destination took a notification.

        Args:
            destination: Its id.
            action: The notification's.
            waited: Seconds since it was put into the outbox.
            since: Seconds since the first moment described became one (`occurred_at`), for
                triggers and updates that describe one.
        """

    def failed(self, destination: str, cause: Cause) -> None:
        """A try failed; whether it was the last is told apart."""

    def dead(self, destination: str, action: Action) -> None:
        """A notification was given up."""

    def superseded(self, destination: str) -> None:
        """An update was not sent, because a later notification said all of it."""

    def skipped(self, destination: str) -> None:
        """A resolve was not sent, because the destination had taken nothing of the alert."""

    def circuit(self, destination: str, state: State) -> None:
        """The circuit breaker of a destination has a new state; it begins closed."""


class NoEvents:
    """Counts nothing."""

    def sent(self, destination: str, action: Action, waited: float, since: float | None) -> None:
        """Do nothing."""

    def failed(self, destination: str, cause: Cause) -> None:
        """Do nothing."""

    def dead(self, destination: str, action: Action) -> None:
        """Do nothing."""

    def superseded(self, destination: str) -> None:
        """Do nothing."""

    def skipped(self, destination: str) -> None:
        """Do nothing."""

    def circuit(self, destination: str, state: State) -> None:
        """Do nothing."""
