"""Requests to the API server: JSON objects in and out, errors as exceptions. May be used by many threads."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import urllib3
from kopf import ConnectionInfo

from stockpipeline_operator.kube.credentials import Authorization

Object = dict[str, Any]
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
_CONNECT_SECONDS, _READ_SECONDS = 5.0, 15.0
_PAGE = 500
# A 429 or 503 is an answer: the pass is retried, and its message is worth showing.
_READS = urllib3.Retry(
    total=2, read=1, redirect=0, status=0, backoff_factor=0.1, respect_retry_after_header=False
)
# A write that goes out later than it was allowed to could meet that of another leader.
_WRITES = urllib3.Retry(total=0)
_JSON = "application/json"
# Of an object, only its metadata: all that tells of most objects whether they are as they were made.
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_CHUNK = 64 * 1024


class ApiError(Exception):
    """The API server refused a request. `status` is the HTTP status, the text is the server's."""

    reason = "KubernetesRefused"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NotFound(ApiError):
    """The object, its namespace or its kind does not exist (404)."""


class Conflict(ApiError):
    """The object changed in the meantime, exists already, or a field belongs to another manager (409)."""


class Gone(ApiError):
    """What was changed since that resourceVersion is not known any more (410)."""


class ApiUnreachable(ApiError):
    """No answer from the API server."""

    reason = "KubernetesUnreachable"


class KubeClient:
    """A connection pool to one API server.

    `before_write` is called ahead of each request that changes something, and may raise to prevent it.
    """

    def __init__(
        self,
        info: ConnectionInfo,
        connections: int,
        *,
        before_write: Callable[[], None] = lambda: None,
        timeout_seconds: float = _READ_SECONDS,
    ) -> None:
        if info.insecure:
            # The kubeconfig says so; once per request would be too often to be reminded.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._server = info.server.rstrip("/")
        self._authorization = Authorization(info)
        self._before_write = before_write
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=connections,
            ssl_context=info.as_ssl_context(),
            timeout=urllib3.Timeout(
                connect=min(_CONNECT_SECONDS, timeout_seconds), read=timeout_seconds, total=timeout_seconds
            ),
        )

    def get(self, path: str, *, metadata_only: bool = False) -> Object | None:
        """The object, or None where it does not exist."""
        try:
            return self._request("GET", path, accept=_METADATA if metadata_only else _JSON)
        except NotFound:
            return None

    def list(
        self,
        path: str,
        label_selector: str | None = None,
        *,
        metadata_only: bool = False,
        page: int = _PAGE,
    ) -> Iterator[Object]:
        """The objects of a collection, fetched in pages of so many."""
        query = _selecting(label_selector) | {"limit": str(page)}
        while True:
            answer = self._request(
                "GET", path, query=query, accept=_METADATA_LIST if metadata_only else _JSON
            )
            # An empty list of metadata has no list at all.
            yield from answer["items"] or ()
            token = answer["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    def current_version(self, path: str, label_selector: str | None = None) -> str:
        """The resourceVersion of a collection, from which a watch of it can begin."""
        query = _selecting(label_selector) | {"limit": "1"}
        page = self._request("GET", path, query=query, accept=_METADATA_LIST)
        return str(page["metadata"]["resourceVersion"])

    def watch(
        self, path: str, label_selector: str, version: str, *, seconds: int, silence: float
    ) -> Iterator[Object]:
        """The events of a collection since `version`, objects with their metadata only; for so many seconds.

        Raises:
            Gone: `version` is too old.
            ApiUnreachable: nothing came for `silence` seconds, not even a bookmark.
        """
        query = _selecting(label_selector) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        response = self._open(
            "GET",
            path,
            query=query,
            accept=_METADATA,
            preload_content=False,
            retries=False,
            timeout=urllib3.Timeout(connect=5, read=silence),
        )
        try:
            if response.status >= 400:
                raise _error(response.status, response.read())
            for line in _lines(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _error(int(event["object"].get("code", 500)), json.dumps(event["object"]).encode())
                yield event
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error
        finally:
            # Not given back to the pool: the server may still be sending.
            response.close()

    def create(self, path: str, body: Object) -> Object:
        """Make an object in the collection."""
        return self._request("POST", path, body=body)

    def replace(self, path: str, body: Object) -> Object:
        """Write an object as it is given; its resourceVersion must be the current one."""
        return self._request("PUT", path, body=body)

    def merge(self, path: str, body: Object) -> Object:
        """Change the members given; with a resourceVersion among them, only if that is the current one."""
        return self._request("PATCH", path, body=body, content_type=MERGE_PATCH)

    def delete(self, path: str) -> None:
        """Delete an object; fine if it is gone."""
        with suppress(NotFound):
            self._request("DELETE", path)

    def apply(
        self, path: str, body: Object, field_manager: str, *, force: bool = True, dry_run: bool = False
    ) -> Object:
        """Server-side apply; return the object as it is then.

        With `force`, fields that others have changed are taken over. With `dry_run` nothing is stored, but
        all is checked and filled in.

        Raises:
            Conflict: without `force`, others have changed some of the fields.
        """
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        return self._request("PATCH", path, query=query, body=body, content_type=APPLY_PATCH)

    def _request(self, method: str, path: str, *, accept: str = _JSON, **details: Any) -> Object:
        response = self._open(method, path, accept=accept, **details)
        if response.status >= 400:
            raise _error(response.status, response.data)
        answer: Object = json.loads(response.data)
        return answer

    def _open(
        self,
        method: str,
        path: str,
        *,
        accept: str,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        content_type: str = _JSON,
        **options: Any,
    ) -> urllib3.BaseHTTPResponse:
        url = self._server + path + (f"?{urlencode(query)}" if query else "")
        headers = {**self._authorization.headers(), "Accept": accept, "Content-Type": content_type}
        data = None if body is None else json.dumps(body).encode()
        reads = method == "GET"
        if not reads:
            self._before_write()
        options.setdefault("retries", _READS if reads else _WRITES)
        try:
            return self._pool.request(method, url, body=data, headers=headers, **options)
        except urllib3.exceptions.HTTPError as error:
            # The connections that wait in the pool may be as dead as this one, and each would cost a timeout.
            self._pool.clear()
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> ApiUnreachable:
        return ApiUnreachable(0, f"the API server at {self._server} does not answer: {error}")


def _selecting(label_selector: str | None) -> dict[str, str]:
    return {"labelSelector": label_selector} if label_selector else {}


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    pending = b""
    for chunk in response.stream(_CHUNK):
        *lines, pending = (pending + chunk).split(b"\n")
        yield from lines


def _error(status: int, data: bytes) -> ApiError:
    try:
        message = str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        message = data.decode(errors="replace") or f"HTTP status {status}"
    return {404: NotFound, 409: Conflict, 410: Gone}.get(status, ApiError)(status, message)
