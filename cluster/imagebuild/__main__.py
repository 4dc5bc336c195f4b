"""`python3 -m cluster.imagebuild`: build images and print their references and archives."""

from __future__ import annotations

import argparse
import sys

from cluster import prerequisites
from cluster.imagebuild import DEBIAN_PACKAGES, REPOSITORY, build_all
from cluster.imagebuild.recipes import NAMES
from cluster.progress import Progress
from cluster.settings import Settings
from cluster.shell import CommandError


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m cluster.imagebuild", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"images to build, of {', '.join(NAMES)} (all)"
    )
    parser.add_argument("--base", metavar="REF", help="Debian bookworm image to build on (one is made here)")
    parser.add_argument(
        "--tag", default=REPOSITORY, metavar="PREFIX", help="what references begin with (%(default)s)"
    )
    arguments = parser.parse_args()
    progress = Progress(sys.stderr)
    try:
        settings = Settings.from_environment()
        prerequisites.install(DEBIAN_PACKAGES, progress)
        images = build_all(
            settings,
            progress,
            arguments.names or NAMES,
            base=arguments.base,
            repository=arguments.tag,
        )
    except (CommandError, LookupError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    for image in images:
        print(f"{image.reference}\t{image.tar}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
