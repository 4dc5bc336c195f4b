"""Reading a pipeline's configuration: `pipeline.json`, or a StockPipeline resource in YAML or JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stockpipeline.api import PipelineConfig, parse_document

_SHOWN_CHARACTERS = 60


class ConfigError(Exception):
    """The configuration cannot be used; the message has one line per mistake: file, field, value, reason."""


def load_config(path: Path) -> PipelineConfig:
    """Return the configuration in a file.

    Raises:
        ConfigError: the file cannot be read, or something in it is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from error
    document = _parse(path, text)
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: expected an object with fields, found {type(document).__name__}")
    try:
        return parse_document(document)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in _mistakes(error))) from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def _parse(path: Path, text: str) -> Any:
    if path.suffix == ".json":
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            place = f"line {error.lineno}, column {error.colno}"
            raise ConfigError(f"{path}: not JSON: {error.msg} at {place}") from error
    # Imported here: the services in a cluster read JSON only.
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error


def _mistakes(error: ValidationError) -> Iterator[str]:
    mistakes = error.errors(include_url=False)
    places = [mistake["loc"] for mistake in mistakes]
    for mistake in mistakes:
        depth = len(mistake["loc"])
        if any(len(place) > depth and place[:depth] == mistake["loc"] for place in places):
            # "too few symbols", because those that are there are wrong: the inner mistake says it all.
            continue
        field = ".".join(str(part) for part in mistake["loc"]) or "the document"
        if mistake["type"] == "missing" or not mistake["loc"]:
            yield f"{field}: {mistake['msg']}"
        else:
            value = json.dumps(mistake["input"], default=str, ensure_ascii=False)
            if len(value) > _SHOWN_CHARACTERS:
                value = value[: _SHOWN_CHARACTERS - 1] + "…"
            yield f"{field} = {value}: {mistake['msg']}"
