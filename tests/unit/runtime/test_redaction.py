"""No secret is in any line of the log, whoever logs it and wherever in the line it is."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from stockpipeline.runtime import logs, redaction
from stockpipeline.runtime.redaction import conceal, redact
from stockpipeline.sources.kis.credentials import AppKey
from stockpipeline.sources.kis.grants import Grant
from tests.restored_logs import restored_logs

__all__ = ["restored_logs"]  # for every test here

# Nothing here looks like a secret by itself.
PLAIN = 'kB7 "quoted" \\ Zürich'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    redaction._known.clear()


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["json", "terminal"])
def test_a_known_secret_is_masked_in_fields_messages_and_tracebacks(stream: io.StringIO) -> None:
    logs.configure(stream)
    conceal(PLAIN)
    log = structlog.get_logger()
    log.warning(f"refused {PLAIN}", answer={"body": ["x", PLAIN]})
    logging.getLogger("http").warning("sent %s", PLAIN)
    try:
        raise ValueError(f"cannot use {PLAIN}")
    except ValueError:
        log.exception("failed")
    text = stream.getvalue()
    assert text.count("***") >= 4
    for secret in (PLAIN, json.dumps(PLAIN)[1:-1], repr(PLAIN)[1:-1]):
        assert secret not in text


def test_what_kis_gave_and_what_it_is_asked_with_is_known() -> None:
    AppKey("PSabcdef", "very/secret=")
    Grant("eyJhbGciOi.J9", 0.0, 1.0)
    assert redact("PSabcdef very/secret= eyJhbGciOi.J9") == "*** *** ***"


def test_secrets_of_the_environment_are_known_and_its_other_values_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("STOCKPIPELINE_SECRETS", "/etc/some-folder")
    stream = io.StringIO()
    logs.configure(stream)
    structlog.get_logger().info("signed with wJalrXUtnFEMI", folder="/etc/some-folder")
    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (line["event"], line["folder"]) == ("signed with ***", "/etc/some-folder")


@pytest.mark.parametrize(
    ("line", "redacted"),
    [
        ("redis://user:pass@redis:6379/0 does not answer", "redis://***@redis:6379/0 does not answer"),
        ('{"access_token": "eyJ0", "expires_in": 86400}', '{"access_token": "***", "expires_in": 86400}'),
        (r'{"why": "{\"appsecret\":\"abc\"}"}', r'{"why": "{\"appsecret\":\"***\"}"}'),
        ("Authorization: Bearer eyJ0.e30", "Authorization: Bearer ***"),
        ("appkey=PS12&appsecret=zz+/=", "appkey=***&appsecret=***"),
        ("https://s3/bucket?X-Amz-Signature=0af3&part=1", "https://s3/bucket?X-Amz-Signature=***&part=1"),
        ("{'password': 'hunter2'}", "{'password': '***'}"),
    ],
)
def test_what_stands_where_only_secrets_do_is_masked(line: str, redacted: str) -> None:
    assert redact(line) == redacted


@pytest.mark.parametrize(
    "line",
    [
        "the key appsecret of Secret kis cannot be read: No such file or directory",
        "a grant of KIS could not be renewed",
        "redis://redis.stockpipeline-backends.svc:6379/0",
        '{"event": "a signal", "signal_id": "00112233445566778899aabbccddeeff", "price": 1.5}',
        "mail to desk@example.com",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert redact(line) == line


def test_short_values_are_no_secrets() -> None:
    conceal("IBM", "")
    assert redact("IBM") == "IBM"
