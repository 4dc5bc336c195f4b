"""A real Postgres server for tests."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port

from .process import ServerProcess

_USER = "postgres"
"""Whom the server runs as where tests run as root, which it refuses to."""
_NAME = "airflow"
_PASSWORD = "a password: with /@"
_QUOTED = "a%20password%3A%20with%20%2F%40"


class Server(ServerProcess):
    """A running server with one database; `url` is that of SQLAlchemy."""

    def __init__(self, folder: Path, address: str, within: Sequence[str]) -> None:
        programs, data = _programs(), folder / "data"
        port = free_port()
        self.url = f"postgresql+psycopg://{_NAME}:{_QUOTED}@{address}:{port}/{_NAME}"
        self._asks = [*within, str(programs / "pg_isready"), "--host", address, "--port", str(port)]
        become: list[str] = []
        if os.geteuid() == 0:
            account = pwd.getpwnam(_USER)
            os.chown(folder, account.pw_uid, account.pw_gid)
            become = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", "--pdeathsig=KILL"]
        secret = folder / "password"
        secret.write_text(_PASSWORD)
        initdb = [str(programs / "initdb"), "--pgdata", str(data), "--username", _NAME, "--no-sync"]
        subprocess.run(
            [*become, *initdb, "--encoding=UTF8", "--auth=scram-sha-256", f"--pwfile={secret}"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with (data / "pg_hba.conf").open("a") as file:
            file.write("host all all all scram-sha-256\n")
        super().__init__(
            [*within, *become, str(programs / "postgres"), "-D", str(data), "-p", str(port),
             "-c", f"listen_addresses={address}", "-c", f"unix_socket_directories={folder}",
             "-c", "fsync=off"],
            log=folder / "postgres.log",
            ready=self._serves,
        )  # fmt: skip
        self._create = [*become, str(programs / "createdb"), "--host", str(folder), "--port", str(port)]

    def create_database(self) -> None:
        """Make the database; the server runs."""
        subprocess.run(
            [*self._create, "--username", _NAME, _NAME],
            env={**os.environ, "PGPASSWORD": _PASSWORD},
            check=True,
        )

    def stop(self, timeout: float = 20) -> None:
        """Ask the server to end without waiting for its clients (SIGINT); kill it after `timeout` seconds."""
        try:
            self._end(signal.SIGINT, timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def _serves(self) -> bool:
        return subprocess.run(self._asks, stdout=subprocess.DEVNULL, check=False).returncode == 0


@contextmanager
def running_server(address: str = "127.0.0.1", within: Sequence[str] = ()) -> Iterator[Server]:
    """Yield a server that listens on an address; stop it and remove its files after.

    `within` is a command that runs another one where the address is, as in a network namespace.
    """
    # Not a test's own folder: none but the tests' user may enter those.
    folder = Path(tempfile.mkdtemp(prefix="stockpipeline-postgres-"))
    try:
        server = Server(folder, address, within)
        server.start()
        try:
            server.create_database()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """The folder of the newest server that is installed (Debian keeps one for each version)."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if not found:
        raise FileNotFoundError("no Postgres server: install Debian's package postgresql")
    return found[-1].parent
