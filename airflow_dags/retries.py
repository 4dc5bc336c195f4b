"""How often a step is tried again and after what time, by what stopped it.

- The API server, the store, Redis, a list: what may be back soon. After 1, 2, 4 minutes and so on.
- A source refuses so many requests. After it was left alone for ten minutes, for two hours.
- Some symbols' downloads fail otherwise. As the first; but then the gate judges what is missing.
- Everything else, as a broken file or too low a coverage. Not at all (`AirflowFailException`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowException


class SourceRefused(AirflowException):
    """A source answers no more requests for now; what was downloaded is kept."""


class SomeFailed(AirflowException):
    """Some symbols' downloads failed; what was downloaded is kept."""


@dataclass
class ByCause(RetryPolicy):
    """Decides in the task that has failed; the task's own `retries` are the most that there are."""

    usual: int
    """How often a step is tried again whose failure may pass."""
    refused_wait: timedelta
    """How long a source is left alone that refuses."""

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002 - as Airflow calls it
        context: Any = None,  # noqa: ARG002 - as Airflow calls it
    ) -> RetryDecision:
        """Decide after the try of that number, from 1."""
        if isinstance(exception, SourceRefused):
            return RetryDecision.retry(self.refused_wait, "the source is left alone for a while")
        if isinstance(exception, SomeFailed) and try_number > self.usual:
            return RetryDecision.fail("asked often enough; the gate judges what is missing")
        return RetryDecision.default()
