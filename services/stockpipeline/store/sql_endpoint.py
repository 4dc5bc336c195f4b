"""Read-only SQL over HTTP on a replica, for Grafana, the console and analysts.

`POST /query` with `{"sql": "SELECT …", "parameters": […], "maxLagSeconds": 60}`, or `GET /query?sql=…`. The
answer is JSON, `{"generation", "lagSeconds", "columns": [{"name", "type"}], "rows": [[…]]}`, or an Arrow
stream for `Accept: application/vnd.apache.arrow.stream`; whole or an error. NaN is null in JSON.
`GET /readyz` says which generation is read.
"""

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pyarrow as pa

from stockpipeline.store.errors import NoReplica, StoreError, TooStale
from stockpipeline.store.query import (
    Answer,
    Busy,
    FailedQuery,
    QueryError,
    QueryService,
    RefusedStatement,
    TimedOut,
    TooLarge,
)

ARROW = "application/vnd.apache.arrow.stream"
_MAX_BODY_BYTES = 1024 * 1024
# DuckDB's sums of integers are decimals. What JSON has no notation for, such as nanoseconds, is text.
_JSON = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
_STATUS: dict[type[Exception], HTTPStatus] = {
    RefusedStatement: HTTPStatus.FORBIDDEN,
    FailedQuery: HTTPStatus.BAD_REQUEST,
    TimedOut: HTTPStatus.REQUEST_TIMEOUT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Busy: HTTPStatus.SERVICE_UNAVAILABLE,
    TooStale: HTTPStatus.SERVICE_UNAVAILABLE,
    NoReplica: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The body of a request."""

    sql: str
    parameters: list[str | int | float | bool | None] = []
    max_lag_seconds: float | None = None


Response = tuple[HTTPStatus, dict[str, str], bytes]
"""Status, headers and body."""


class SqlEndpoint:
    """Serves queries from threads of its own."""

    def __init__(self, service: QueryService, address: tuple[str, int]) -> None:
        """Listen; port 0 lets the system choose.

        Raises:
            OSError: the address cannot be listened on.
        """
        self._service = service
        self._server = ThreadingHTTPServer(address, self._handler())
        self._server.daemon_threads = True

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return str(self._server.server_address[0]), self._server.server_address[1]

    def start(self) -> None:
        """Serve until `stop`."""
        threading.Thread(target=self._server.serve_forever, name="sql-endpoint", daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._service.replica.close()

    def respond(self, path: str, body: bytes | None, accept: str) -> Response:
        """Return the answer to a GET (no body) or POST."""
        parts = urlsplit(path)
        try:
            match parts.path, body:
                case "/query", None:
                    return self._answer(Query(parse_qs(parts.query).get("sql", [""])[0]), accept)
                case "/query", bytes():
                    return self._answer(msgspec.json.decode(body, type=Query), accept)
                case "/readyz", None:
                    return self._ready()
        except msgspec.MsgspecError as error:
            return _failure(HTTPStatus.BAD_REQUEST, "BadRequest", str(error))
        except (QueryError, StoreError) as error:
            status = _STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
            return _failure(status, type(error).__name__, str(error))
        return _failure(HTTPStatus.NOT_FOUND, "NotFound", "try POST /query or GET /readyz")

    def _answer(self, query: Query, accept: str) -> Response:
        answer = self._service.run(query.sql, query.parameters, query.max_lag_seconds)
        headers = {
            "X-Generation": str(answer.generation),
            "X-Lag-Seconds": f"{answer.lag_seconds:.3f}",
        }
        if ARROW in accept:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, answer.table.schema) as stream:
                stream.write_table(answer.table)
            return HTTPStatus.OK, {**headers, "Content-Type": ARROW}, sink.getvalue().to_pybytes()
        return HTTPStatus.OK, {**headers, "Content-Type": "application/json"}, _as_json(answer)

    def _ready(self) -> Response:
        with self._service.replica.read() as snapshot:
            lag = snapshot.lag_seconds if snapshot.lag_seconds != float("inf") else None
            body = msgspec.json.encode({"generation": snapshot.generation, "lagSeconds": lag})
        return HTTPStatus.OK, {"Content-Type": "application/json"}, body

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        respond = self.respond

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else a body waits for the acknowledgement of its headers, which clients delay by 40 ms.
            disable_nagle_algorithm = True
            timeout = 60  # seconds that a client may keep a thread waiting

            def do_GET(self) -> None:
                self._send(*respond(self.path, None, self.headers.get("Accept", "")))

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if not length.isdigit() or int(length) > _MAX_BODY_BYTES:
                    self.close_connection = True
                    text = f"send a Content-Length of at most {_MAX_BODY_BYTES} bytes"
                    self._send(*_failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "TooLarge", text))
                    return
                body = self.rfile.read(int(length))
                self._send(*respond(self.path, body, self.headers.get("Accept", "")))

            def _send(self, status: HTTPStatus, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None:
                """Queries are not worth a log line each."""

        return Handler


def _as_json(answer: Answer) -> bytes:
    columns = [{"name": field.name, "type": str(field.type)} for field in answer.table.schema]
    try:
        values = [column.to_pylist() for column in answer.table.columns]
        return _JSON.encode(
            {
                "generation": answer.generation,
                "lagSeconds": answer.lag_seconds if answer.lag_seconds != float("inf") else None,
                "columns": columns,
                "rows": list(zip(*values, strict=True)),
            }
        )
    except (OverflowError, ValueError, TypeError) as error:
        raise FailedQuery(
            f"the result has no form in JSON: {error}; ask for Arrow, or cast it to VARCHAR"
        ) from error


def _failure(status: HTTPStatus, name: str, message: str) -> Response:
    body = json.dumps({"error": name, "message": message}).encode()
    return status, {"Content-Type": "application/json"}, body
