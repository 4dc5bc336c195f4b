"""Where market data comes from. Credentials are only ever named: they stay in Secrets."""

import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from stockpipeline.api.base import ApiModel, Check, Matches
from stockpipeline.api.spec.texts import HOST, Duration, HttpUrl, SecretKey, SecretReference

WebsocketUrl = Annotated[
    str,
    Field(min_length=1, max_length=512),
    Matches(
        rf"wss?://{HOST}(:[0-9]{{1,5}})?(/[^\s@]*)?",
        "a websocket's URL must be ws:// or wss://HOST:PORT/PATH, without a user or password",
    ),
]


class KisAccount(StrEnum):
    """Which of KIS's systems to use."""

    REAL = "Real"
    PAPER = "Paper"


class KisSecret(SecretReference):
    """A Secret with an application key of the KIS Open API."""

    app_key: SecretKey = "appkey"
    """Key of the Secret that holds the appkey."""

    app_secret: SecretKey = "appsecret"  # noqa: S105 - the name of a key, not a secret
    """Key of the Secret that holds the appsecret."""


class KisCredentials(ApiModel):
    """One application key; each allows one websocket session."""

    secret_ref: KisSecret
    """The Secret that holds it, in the pipeline's namespace."""


class KisSource(ApiModel):
    """Trades of the Korea Investment & Securities (KIS) Open API: by websocket, and by REST for the rest."""

    account: KisAccount = KisAccount.REAL
    """Real or Paper: which hosts and limits apply."""

    credentials: Annotated[tuple[KisCredentials, ...], Field(min_length=1, max_length=16)]
    """Application keys, by Secret. Several add up: each follows up to `registrations` symbols live."""

    registrations: Annotated[int, Field(ge=0, le=41)] = 41
    """Symbols followed by websocket for each application key; KIS allows 41. The rest is polled."""

    requests_per_second: Annotated[float, Field(ge=0.01, le=1000)] | None = None
    """REST requests per second for each application key. Without it: KIS's limit, 20 (Real) or 2 (Paper)."""

    daytime: bool = False
    """Also follow the daytime session, in which Korean brokers trade US stocks."""

    stale_after: Duration = "60s"
    """How long a symbol may be silent while its exchange is open before the next source takes over."""

    rest_url: HttpUrl | None = None
    """Base URL of the REST interface, in place of KIS's own."""

    websocket_url: WebsocketUrl | None = None
    """URL of the websocket, in place of KIS's own."""


class YahooSource(ApiModel):
    """Quotes of Yahoo Finance: streamed, and polled where the stream is silent."""

    poll_interval: Duration = "15s"
    """Time between two polls of a symbol that the stream does not bring."""

    requests_per_second: Annotated[float, Field(ge=0.01, le=100)] = 2
    """Most requests per second, for all symbols together."""

    stale_after: Duration = "120s"
    """How long a symbol may be silent while its exchange is open before the next source takes over."""

    chart_url: HttpUrl | None = None
    """Base URL of the chart interface, in place of Yahoo's own."""

    websocket_url: WebsocketUrl | None = None
    """URL of the stream, in place of Yahoo's own."""


class ReplaySource(ApiModel):
    """Real daily bars, played back as ticks on a clock of their own."""

    start: datetime.date
    """First session to play, as YYYY-MM-DD. Bars before it are the history that indicators warm up from.
    Cannot change later."""

    end: datetime.date | None = None
    """Last session to play, as YYYY-MM-DD. Without it: to the end of the data."""

    speed: Annotated[float, Field(ge=0, le=1_000_000_000)] = 6000
    """Seconds of trading time played per second; nights, weekends and holidays are skipped. 0: as fast as
    possible."""

    ticks_per_bar: Annotated[int, Field(ge=4, le=100_000)] = 100
    """Ticks made from each daily bar: a path from open to close that touches high and low; volumes add up to
    the bar's. Cannot change later."""

    loop: bool = False
    """Go on after `end`: backwards, forwards again, and so on, in the sessions that follow, to the year 2049.
    Prices go on where they are. Needs `end`, which cannot change then."""

    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = 1
    """Seed of the path between the prices of a bar. The same seed gives the same ticks. Cannot change
    later."""

    checks = (
        Check(
            "!has(self.end) || self.end >= self.start",
            "replay.end must not be before replay.start",
            lambda replay: replay.end is None or replay.end >= replay.start,
        ),
        Check(
            "!self.loop || has(self.end)",
            "replay.loop needs replay.end: the session in which it turns",
            lambda replay: not replay.loop or replay.end is not None,
        ),
    )


class Source(ApiModel):
    """Where market data comes from: a name and exactly one kind."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=63),
        Matches(
            r"[a-z]([\-a-z0-9]*[a-z0-9])?",
            "a source's name is made of a-z, 0-9 and '-' and begins with a letter",
        ),
    ]
    """Name of the source, shown in metrics and in every tick. That of a replay cannot change later."""

    kis: KisSource | None = None
    """Trades of the KIS Open API."""

    yahoo: YahooSource | None = None
    """Quotes of Yahoo Finance."""

    replay: ReplaySource | None = None
    """Play back real daily bars from the past."""

    checks = (
        Check(
            "[has(self.kis), has(self.yahoo), has(self.replay)].filter(kind, kind).size() == 1",
            "a source needs exactly one kind: kis, yahoo or replay",
            lambda source: [source.kis, source.yahoo, source.replay].count(None) == 2,
        ),
    )
