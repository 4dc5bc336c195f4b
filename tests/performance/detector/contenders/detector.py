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
from tests.performance.detector.contenders.job import Job, Watch

_LOOK_SECONDS = 0.02
_GATE_SECONDS = 0.005


def main() -> None:
    """Run a detector until it, and those beside it, have taken all ticks."""
    job, watch, shutdown = Job.from_arguments(), Watch(), Shutdown(20)
    made: list[DetectorMetrics] = []

    class Metrics(DetectorMetrics):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            made.append(self)

    restore = Restorer.restore_pending

    def restore_behind_the_gate(self: Restorer) -> str | None:
        if not Path(job.gate).exists():
            Path(f"{job.gate}.{job.group}").touch()
            return "the gate is closed"
        held: list[tuple[int, int]] = []
        consumer = self._consumer
        with patch.object(consumer, "begin", lambda *place: held.append(place)):
            reason = restore(self)
        if reason is None:
            Path(f"{job.gate}.{job.group}.restored").touch()
            while job.shares > 1 and not Path(f"{job.gate}.go").exists():
                time.sleep(_GATE_SECONDS)
            watch.began()
        for place in held:
            consumer.begin(*place)
        return reason

    def look() -> None:
        deadline = time.monotonic() + job.stop_after
        taken = 0.0
        while time.monotonic() < deadline and not Path(f"{job.gate}.end").exists():
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
