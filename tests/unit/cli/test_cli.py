"""The command line: arguments, configuration mistakes, and what it must not load."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from stockpipeline import __version__
from stockpipeline.cli import main
from stockpipeline.cli.config_file import ConfigError, load_config
from stockpipeline.cli.signals import format_signal
from stockpipeline.signals.signal import Signal


def spec(**changes: Any) -> dict[str, Any]:
    return {
        "universe": {"symbols": ["IBM"]},
        "sources": [{"name": "replay", "replay": {"start": "2013-02-25", "ticksPerBar": 10}}],
        **changes,
    }


def resource(**changes: Any) -> dict[str, Any]:
    return {
        "apiVersion": "stockpipeline.dev/v1alpha1",
        "kind": "StockPipeline",
        "metadata": {"name": "demo", "labels": {"team": "desk"}},
        "spec": spec(**changes),
    }


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document) if path.suffix == ".json" else yaml.safe_dump(document))
    return path


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize("arguments", [["version"], ["--help"], ["producer"]])
def test_what_needs_no_data_loads_no_heavy_library(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom stockpipeline.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "heavy = {'confluent_kafka', 'redis', 'pandas', 'numpy', 'talib', 'pydantic'} & sys.modules.keys()\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True)


def test_the_api_loads_no_client_library() -> None:
    program = (
        "import sys, stockpipeline.api\n"
        "heavy = {'confluent_kafka', 'redis', 'pandas', 'numpy', 'talib'} & sys.modules.keys()\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
def test_a_resource_is_read_from_json_and_yaml(tmp_path: Path, suffix: str) -> None:
    config = load_config(write(tmp_path / f"demo.{suffix}", resource()))
    assert (config.namespace, config.name, config.spec.universe.symbols) == ("default", "demo", ("IBM",))


def test_what_a_cluster_mounts_is_read_back(tmp_path: Path) -> None:
    config = load_config(write(tmp_path / "demo.yaml", resource()))
    mounted = tmp_path / "pipeline.json"
    mounted.write_text(config.to_json())
    assert load_config(mounted) == config


def test_each_mistake_is_a_line_with_file_field_and_value(tmp_path: Path) -> None:
    file = write(tmp_path / "demo.yaml", resource(kafka={"partitions": 0}, universe={"symbols": ["ibm"]}))
    with pytest.raises(ConfigError) as raised:
        load_config(file)
    lines = str(raised.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{file}: spec.") for line in lines)
    assert any('universe.symbols.0 = "ibm": a symbol is' in line for line in lines)
    assert any("kafka.partitions = 0: Input should be greater" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", '{"namespace": ', "not JSON: Expecting value at line 1, column 15"),
        ("a.yaml", "a: [1", "not YAML: "),
        ("a.yaml", "just text", "expected an object with fields, found str"),
        (
            "a.yaml",
            "kind: Pod\napiVersion: v1",
            "expected apiVersion stockpipeline.dev/v1alpha1, kind StockPipeline",
        ),
        ("a.json", '{"name": "demo"}', "namespace: Field required"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, said: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    assert main(["replay", "--pipeline", str(file)]) == 2
    assert f"{file}: {said}" in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "none.json"
    assert main(["detector", "--config", str(file)]) == 2
    assert capsys.readouterr().err == f"{file}: No such file or directory\n"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"indicators": [{"name": "rsi14", "function": "RSY"}]}, "RSI"),
        ({"rules": [{"name": "odd", "side": "buy", "when": "rsi14 <"}]}, "odd"),
        ({"universe": {"symbols": ["TSLA"]}}, "TSLA"),
    ],
)
def test_what_only_the_computation_can_know_is_one_line_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    file = write(tmp_path / "demo.yaml", resource(**changes))
    assert main(["replay", "--pipeline", str(file)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{file}: ")
    assert said in error


def test_a_replay_prints_signals_as_lines_of_json(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "demo.yaml", resource())
    assert main(["replay", "--pipeline", str(file)]) == 0
    first = capfd.readouterr().out
    signals = [json.loads(line) for line in first.splitlines()]
    assert signals
    assert {signal["pipeline"] for signal in signals} == {"default/demo"}
    assert main(["replay", "--pipeline", str(file)]) == 0
    assert capfd.readouterr().out == first


def test_a_reader_that_had_enough_is_no_error(tmp_path: Path) -> None:
    file = write(tmp_path / "demo.yaml", resource())
    command = f"{sys.executable} -m stockpipeline.cli replay --pipeline {file} | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("count", ["0", "-3", "many"])
def test_a_count_must_be_positive(count: str) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["signals", "--config", "any.json", "--last", count])
    assert raised.value.code == 2


def test_a_signal_for_people() -> None:
    signal = Signal(
        "0" * 32, "default/demo", "IBM", "rsi-oversold", "buy", 200.5, 1362148200000, "2013-03-01",
        {"rsi14": 29.87654}, 0.998, "replay",
    )  # fmt: skip
    assert format_signal(signal) == (
        "2013-03-01 14:30:00Z  IBM    buy  rsi-oversold              200.50  confidence 1.00  rsi14 29.88"
    )


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (
            ["--symbol", "NOPE", "--date", "2005-02-28", "--split", "2"],
            "NOPE is not in the pipeline",
        ),
        (["--symbol", "IBM", "--date", "2005-02-28"], "give --split, --dividend or both"),
        (["--symbol", "IBM", "--date", "28.2.2005", "--split", "2"], "28.2.2005 is not a date"),
        (["--symbol", "IBM", "--date", "2005-02-28", "--split", "0"], "0 is not more than 0"),
        (["--symbol", "IBM", "--date", "2005-02-28", "--dividend", "nan"], "nan is not 0 or more"),
    ],
)
def test_an_action_that_cannot_be_is_not_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], mistake: str
) -> None:
    path = write(tmp_path / "demo.yaml", resource())
    try:
        status = main(["action", "--config", str(path), *arguments])
    except SystemExit as end:
        status = int(str(end.code))
    assert status == 2
    assert mistake in capsys.readouterr().err
