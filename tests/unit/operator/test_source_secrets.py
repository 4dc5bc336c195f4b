"""Which Secrets the sources of a pipeline need."""

from __future__ import annotations

from stockpipeline.api import StockPipelineSpec
from stockpipeline_operator.reconcile.source_secrets import source_secrets


def test_each_secret_once_with_all_keys_that_are_used() -> None:
    credentials = [
        {"secretRef": {"name": "desk"}},
        {"secretRef": {"name": "other", "appKey": "id", "appSecret": "pass"}},
        {"secretRef": {"name": "desk", "appKey": "appkey2", "appSecret": "appsecret2"}},
    ]
    sources = [{"name": "kis", "kis": {"credentials": credentials}}, {"name": "yahoo", "yahoo": {}}]
    spec = StockPipelineSpec.model_validate({"universe": {"symbols": ["IBM"]}, "sources": sources})
    assert source_secrets(spec) == [
        {"name": "desk", "keys": ["appkey", "appsecret", "appkey2", "appsecret2"]},
        {"name": "other", "keys": ["id", "pass"]},
    ]
