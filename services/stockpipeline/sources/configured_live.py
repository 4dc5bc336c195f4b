"""The live sources that a pipeline's configuration asks for."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from stockpipeline.api import KisAccount, PipelineConfig, duration
from stockpipeline.api import KisSource as KisSpec
from stockpipeline.api import YahooSource as YahooSpec
from stockpipeline.runtime.settings import secrets_folder
from stockpipeline.runtime.source_metrics import SourceMetrics
from stockpipeline.sources.chain import SourceTerms
from stockpipeline.sources.kis.credentials import AppKey, read_app_key
from stockpipeline.sources.kis.grants import GrantStore
from stockpipeline.sources.kis.shared_grants import RedisGrants
from stockpipeline.sources.kis.source import KisSource, KisTerms
from stockpipeline.sources.live import LiveSource
from stockpipeline.sources.session_kind import SessionKind
from stockpipeline.sources.yahoo.source import YahooSource, YahooTerms

# REST, websocket and requests per second of each of KIS's systems.
_KIS = {
    KisAccount.REAL: (
        "https://openapi.koreainvestment.com:9443",
        "ws://ops.koreainvestment.com:21000/tryitout",
        20.0,
    ),
    KisAccount.PAPER: (
        "https://openapivts.koreainvestment.com:29443",
        "ws://ops.koreainvestment.com:31000/tryitout",
        2.0,
    ),
}


def live_sources(
    config: PipelineConfig, symbols: Sequence[str], session_kind: SessionKind, metrics: SourceMetrics
) -> list[LiveSource]:
    """Return the sources in their order, for these symbols.

    Raises:
        NoCredentials: the Secret of an appkey is not there.
        UnknownExchange: KIS has no trades of the pipeline's exchange.
    """

    def stores(app_key: AppKey) -> GrantStore:
        return RedisGrants(config.redis_url, app_key)

    sources: list[LiveSource] = []
    for source in config.spec.sources:
        if source.kis is not None:
            sources.append(_kis(source.name, source.kis, config, symbols, stores, session_kind, metrics))
        elif source.yahoo is not None:
            terms = _yahoo_terms(source.yahoo)
            sources.append(YahooSource(source.name, terms, symbols, session_kind, metrics))
    return sources


def source_terms(config: PipelineConfig) -> list[SourceTerms]:
    """Return what the fallback chain has to know of each source."""
    return [
        SourceTerms(source.name, int(duration(kind.stale_after).total_seconds() * 1000))
        for source in config.spec.sources
        if (kind := source.kis or source.yahoo) is not None
    ]


def is_live(config: PipelineConfig) -> bool:
    """Return whether the pipeline's sources are live ones; a replay is always the only source."""
    return config.spec.sources[0].replay is None


def _kis(
    name: str,
    spec: KisSpec,
    config: PipelineConfig,
    symbols: Sequence[str],
    stores: Callable[[AppKey], GrantStore],
    session_kind: SessionKind,
    metrics: SourceMetrics,
) -> KisSource:
    rest_url, websocket_url, requests_per_second = _KIS[spec.account]
    terms = KisTerms(
        rest_url=spec.rest_url or rest_url,
        websocket_url=spec.websocket_url or websocket_url,
        registrations=spec.registrations,
        requests_per_second=spec.requests_per_second or requests_per_second,
        daytime=spec.daytime,
    )
    folder = secrets_folder()
    keys = (
        read_app_key(folder, one.secret_ref.name, one.secret_ref.app_key, one.secret_ref.app_secret)
        for one in spec.credentials
    )
    app_keys = {key.fingerprint: key for key in keys}
    exchange = config.spec.universe.exchange
    return KisSource(name, terms, app_keys, exchange, symbols, stores, session_kind, metrics)


def _yahoo_terms(spec: YahooSpec) -> YahooTerms:
    return YahooTerms(
        stream_url=spec.websocket_url,
        chart_url=spec.chart_url,
        poll_seconds=duration(spec.poll_interval).total_seconds(),
        requests_per_second=spec.requests_per_second,
        cache=Path(tempfile.mkdtemp(prefix="yahoo-")),
    )
