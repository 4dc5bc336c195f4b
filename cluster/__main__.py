"""The verbs of the Makefile: `python3 -m cluster up|status|down|dev|test|bench`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from cluster.prerequisites import PrerequisiteError
from cluster.progress import Progress
from cluster.settings import Settings, SettingsError
from cluster.shell import terminate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit code: 0 done, 1 failed, 2 the machine or the call is not right."""
    parser = argparse.ArgumentParser(
        prog="python3 -m cluster", description="Local clusters for StockPipeline"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="bring up cluster, backends, operator and the example")
    verbs.add_parser("status", help="show the pipelines and where to look")
    usage = verbs.add_parser("usage", help="show the memory and CPU that the embedded cluster uses")
    usage.add_argument("--seconds", type=float, default=30.0, help="how long to watch")
    verbs.add_parser("down", help="remove the cluster")
    verbs.add_parser("dev", help="make .venv")
    verbs.add_parser("pictures", help="draw the dashboards over the running cluster's Prometheus")
    verbs.add_parser("load", help="put the running cluster under load and write a report")
    verbs.add_parser("spark-local", help="run the batch's engine Spark on this machine")
    test = verbs.add_parser("test", help="run test suites")
    suites = ("lint", "unit", "integration", "e2e", "kind", "spark", "airflow", "alerts")
    test.add_argument("suites", nargs="+", choices=suites)
    bench = verbs.add_parser("bench", help="run benchmarks")
    bench.add_argument("names", nargs="*", help="which; all of them by default")
    bench.add_argument("--quick", action="store_true", help="short runs, to try them out")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen)
    except (SettingsError, PrerequisiteError) as error:
        print(f"Cannot start:\n{error}", file=sys.stderr)
        return 2
    except (RuntimeError, LookupError, OSError, ValueError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nStopped. The same command goes on from here; `make down` removes what there is.",
            file=sys.stderr,
        )
        return 130


def _run(chosen: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    progress = Progress()
    match chosen.verb:
        case "up":
            from cluster.up import up

            up(settings, progress)
        case "status":
            from cluster.up import status

            return status(settings)
        case "usage":
            from cluster.up import show_usage

            return show_usage(settings, chosen.seconds)
        case "down":
            from cluster.up import down

            down(settings, progress)
        case "dev":
            from cluster import environment, prerequisites

            prerequisites.install((), progress)
            environment.ensure(settings, progress)
        case "pictures":
            from cluster.pictures import pictures

            return pictures(settings, progress)
        case "load":
            from cluster.load.choice import Choice
            from cluster.load.run import load

            return load(settings, Choice.from_environment(), progress)
        case "spark-local":
            from cluster.spark_local import spark_local

            return spark_local(settings, progress)
        case "test":
            from cluster.testing import run_suites

            return run_suites(settings, chosen.suites, progress)
        case "bench":
            from cluster.benchmarks import BENCHMARKS, run_benchmarks

            return run_benchmarks(settings, chosen.names or BENCHMARKS, chosen.quick, progress)
    return 0


if __name__ == "__main__":
    # Debian gives root a PATH without these when it was become by `su`; ip, nft and runc are there.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    signal.signal(signal.SIGTERM, terminate)
    raise SystemExit(main())
