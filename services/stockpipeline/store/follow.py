"""Following: pull again and again; what goes wrong is said once, and tried again."""

from collections.abc import Callable

from stockpipeline.runtime.shutdown import Shutdown
from stockpipeline.store.errors import StoreError
from stockpipeline.store.pull import Puller, PullReport


def follow(
    puller: Puller,
    shutdown: Shutdown,
    interval_seconds: float,
    *,
    on_report: Callable[[PullReport], None],
    on_trouble: Callable[[Exception], None],
    accept_fork: bool = False,
) -> bool:
    """Pull until the end is asked for; return whether the last pull was good.

    `on_report` is called for the first pull and for each that advanced, `on_trouble` for an error that is
    another one than before.
    """
    good = False
    said: str | None = None
    reported = False
    while True:
        try:
            report = puller.pull(accept_fork=accept_fork)
        except (StoreError, OSError) as error:
            good = False
            if str(error) != said:
                said = str(error)
                on_trouble(error)
        else:
            # A fork is adopted once, as was asked for; the next one is another decision.
            good, said, accept_fork = True, None, False
            if report.advanced or not reported:
                reported = True
                on_report(report)
        if shutdown.wait(interval_seconds):
            return good
