"""`stockpipeline replay`: the signals of a replay without any server, as fast as one core computes them."""

from typing import TextIO

from stockpipeline.api import PipelineConfig
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.signals.detector import Detector
from stockpipeline.signals.offline import detect
from stockpipeline.signals.signal import encode_signal
from stockpipeline.sources.configured import replay_source


def replay(config: PipelineConfig, out: TextIO) -> int:
    """Print the signals as lines of JSON, in the order of their ticks; return the exit status."""
    calendar = SessionCalendar(config.spec.universe.exchange)
    source = replay_source(config, calendar)
    detector = Detector(
        f"{config.namespace}/{config.name}", config.spec.indicators, config.spec.rules, calendar
    )
    histories = {symbol: source.history(symbol) for symbol in config.spec.universe.symbols}
    for signal in detect(detector, histories, source.ticks({})):
        print(encode_signal(signal).decode(), file=out)
    return 0
