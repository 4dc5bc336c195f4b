"""The product: `stockpipeline detector` as it is, but gated before its first tick, its counter watched.

No tick is fetched before all partitions are restored, those of the processes beside it included: what was
fetched before time counts would be a head start.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from unittest.mock import patch

from stockpipeline.api import PipelineConfig
from stockpipeline.detector import main as detector_main
from stockpipeline.detector.restore import Restorer
from stockpipeline.runtime import logs
from stockpipeline.runtime.metrics import DetectorMetrics
from stockpipeline.runtime.shutdown import Shutdown
from tests.performance.detector.contenders.gate import Gate
from tests.performance.detector.contenders.job import Job, Watch

_LOOK_SECONDS = 0.02


def main() -> None:
    """Run a detector until it, and those beside it, have taken all ticks."""
    job, watch, shutdown = Job.from_arguments(), Watch(), Shutdown(20)
    gate = Gate(job.gate)
    made: list[DetectorMetrics] = []

    class Metrics(DetectorMetrics):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            made.append(self)

    restore = Restorer.restore_pending

    def restore_behind_the_gate(self: Restorer) -> str | None:
        if not gate.open.given:
            gate.here(job.group).give()
            return "the gate is closed"
        held: list[tuple[int, int]] = []
        consumer = self._consumer
        with patch.object(consumer, "begin", lambda *place: held.append(place)):
            reason = restore(self)
        if reason is None:
            gate.ready(job.group).give()
            if job.shares > 1:
                gate.all_ready.wait()
            watch.began()
        for place in held:
            consumer.begin(*place)
        return reason

    def look() -> None:
        deadline = time.monotonic() + job.stop_after
        taken = 0.0
        while time.monotonic() < deadline and not gate.over.given:
            time.sleep(_LOOK_SECONDS)
            now = made[0].ticks._value.get() if made else 0.0
            if now > taken:
                taken = now
                watch.ended()
                if taken >= job.ticks:
                    break
        watch.ticks = int(taken)
        shutdown.request()

    setattr(detector_main, "DetectorMetrics", Metrics)  # noqa: B010 - a type checker would refuse it
    Restorer.restore_pending = restore_behind_the_gate  # type: ignore[method-assign]
    logs.configure(component="bench")
    threading.Thread(target=look, daemon=True).start()
    status = detector_main.run(
        PipelineConfig.model_validate(json.loads(Path(job.config).read_text())), shutdown
    )
    watch.extra["status"] = status
    watch.report()


if __name__ == "__main__":
    main()
