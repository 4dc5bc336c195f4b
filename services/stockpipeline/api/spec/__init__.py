"""The `spec` of a StockPipeline: what a user writes.

The CRD is generated from these models, so a field's docstring is its text in `kubectl explain`.
Whether an indicator exists and a rule makes sense is checked later, by `stockpipeline.indicators.catalog` and
`stockpipeline.signals.rules`: that needs more than a schema can say.
"""

from stockpipeline.api.spec.batch import Batch, Engine, SparkSize
from stockpipeline.api.spec.delivery import Delivery, Guarantee, Scaling
from stockpipeline.api.spec.indicators import (
    BAR_FIELDS,
    DEFAULT_INDICATORS,
    RULE_FUNCTIONS,
    BarInterval,
    Bars,
    Indicator,
)
from stockpipeline.api.spec.lifecycle import DeletionPolicy, Mode, Rollout, UpgradePolicy, Window
from stockpipeline.api.spec.pipeline import StockPipelineSpec
from stockpipeline.api.spec.rules import DEFAULT_RULES, Costs, MarketSession, Performance, Rule, Side
from stockpipeline.api.spec.servers import Kafka, Redis
from stockpipeline.api.spec.sources import KisAccount, KisSource, ReplaySource, Source, YahooSource
from stockpipeline.api.spec.store import Console, ReplicaSync, Store
from stockpipeline.api.spec.texts import duration
from stockpipeline.api.spec.universe import Collection, Exchange, Tier, Universe
from stockpipeline.api.spec.workloads import (
    LogLevel,
    Resources,
    Toleration,
    Tracing,
    Variable,
    Workload,
    quantity,
)

__all__ = [
    "BAR_FIELDS",
    "DEFAULT_INDICATORS",
    "DEFAULT_RULES",
    "RULE_FUNCTIONS",
    "BarInterval",
    "Bars",
    "Batch",
    "Collection",
    "Console",
    "Costs",
    "DeletionPolicy",
    "Delivery",
    "Engine",
    "Exchange",
    "Guarantee",
    "Indicator",
    "Kafka",
    "KisAccount",
    "KisSource",
    "LogLevel",
    "MarketSession",
    "Mode",
    "Performance",
    "Redis",
    "ReplaySource",
    "ReplicaSync",
    "Resources",
    "Rollout",
    "Rule",
    "Scaling",
    "Side",
    "Source",
    "SparkSize",
    "StockPipelineSpec",
    "Store",
    "Tier",
    "Toleration",
    "Tracing",
    "Universe",
    "UpgradePolicy",
    "Variable",
    "Window",
    "Workload",
    "YahooSource",
    "duration",
    "quantity",
]
