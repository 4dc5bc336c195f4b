"""Pipelines on the shared servers, and their services as processes that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from stockpipeline.api import PipelineConfig
from tests.integration.services.support import Service, service

StartService = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartService]:
    """A function that starts a service of a pipeline; whatever it started is ended after the test."""
    started: list[Service] = []

    def start_service(
        command: str,
        config: PipelineConfig,
        name: str = "",
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        at: float | None = None,
    ) -> Service:
        directory = tmp_path / (name or command)
        directory.mkdir()
        instance = {"STOCKPIPELINE_INSTANCE": f"{config.name}-{name or command}"}
        one = service(command, config, directory, {**instance, **(environment or {})}, arguments, at)
        one.process.start()
        started.append(one)
        return one

    yield start_service
    for one in started:
        one.process.kill()
