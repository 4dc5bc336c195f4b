"""A real S3-compatible server for tests: SeaweedFS, from its package in the development environment."""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.ports import free_port

from .process import ServerProcess

_KEY, _SECRET = "test-key", "test-secret"


class Server(ServerProcess):
    """A running server with one bucket, made by the first write; `environment` is what clients read."""

    def __init__(self, directory: Path) -> None:
        # Each part listens on its port plus 10000 as well.
        ports = {name: free_port(room=10_000) for name in ("master", "volume", "filer", "s3")}
        self.port = ports["s3"]
        identities = directory / "s3.json"
        identities.write_text(
            json.dumps(
                {
                    "identities": [
                        {
                            "name": "test",
                            "credentials": [{"accessKey": _KEY, "secretKey": _SECRET}],
                            "actions": ["Admin", "Read", "Write", "List"],
                        }
                    ]
                }
            )
        )
        self.environment = {
            "AWS_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }
        super().__init__(
            [
                str(Path(sys.executable).with_name("weed")), "server", "-s3", f"-dir={directory}",
                "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.raftBootstrap",
                "-master.volumeSizeLimitMB=64", "-volume.max=0", f"-s3.config={identities}",
                *(f"-{name}.port={port}" for name, port in ports.items()),
                # Others of its parts have fixed ports, so that two servers would meet there.
                "-s3.port.iceberg=0", "-s3.port.lance=0",
            ],
            log=directory / "seaweedfs.log",
            ready=self._serves,
        )  # fmt: skip

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status", timeout=1):
                return True
        except urllib.error.HTTPError:
            return True


@contextlib.contextmanager
def running_server(directory: Path) -> Iterator[Server]:
    """Yield a server with its files in `directory`; stop it after."""
    server = Server(directory)
    server.start()
    try:
        yield server
    finally:
        server.kill()
