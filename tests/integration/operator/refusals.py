"""One resource for each rule of the definition that the API server must refuse, with its sentence."""

from __future__ import annotations

from typing import Any

REPLAY: dict[str, Any] = {"start": "2004-01-02"}
KIS: dict[str, Any] = {"credentials": [{"secretRef": {"name": "kis"}}]}
_RSI = {"name": "rsi", "function": "RSI"}
_RULE = {"name": "r", "side": "buy", "when": "close > 1"}


def _source(**members: Any) -> dict[str, Any]:
    return {"sources": [{"name": "source", **members}]}


def _producer(**members: Any) -> dict[str, Any]:
    return {"producer": members}


def _autoscaling(**members: Any) -> dict[str, Any]:
    return {"scaling": {"detector": {"autoscaling": members}}}


# Members of a spec, and what both the API server and the models say of them.
OF_A_SPEC: list[tuple[dict[str, Any], str]] = [
    ({"universe": {"symbols": ["aapl"]}}, "a symbol is 1 to 16 characters"),
    ({"universe": {"symbols": ["IBM", "IBM"]}}, "Duplicate value"),
    ({"universe": {"symbols": []}}, "universe needs symbols, or collect"),
    (
        {"universe": {"collect": {"tiers": [{"name": "Mega", "minimumMarketCap": 1}]}}},
        "a tier's name is made of",
    ),
    (_source(), "a source needs exactly one kind: kis, yahoo or replay"),
    (_source(replay=REPLAY, yahoo={}), "a source needs exactly one kind: kis, yahoo or replay"),
    ({"sources": [{"name": "Replay", "replay": REPLAY}]}, "a source's name is made of"),
    (
        {"sources": [{"name": "a", "replay": REPLAY}, {"name": "b", "yahoo": {}}]},
        "a replay must be the only source",
    ),
    (_source(replay={**REPLAY, "end": "2003-12-31"}), "replay.end must not be before replay.start"),
    (_source(replay={**REPLAY, "loop": True}), "replay.loop needs replay.end"),
    (_source(kis={"credentials": [{"secretRef": {"name": "Kis"}}]}), "a name of a Kubernetes object is made"),
    (
        _source(kis={"credentials": [{"secretRef": {"name": "kis", "appKey": "a b"}}]}),
        "a key of a Secret is made of",
    ),
    (_source(kis={**KIS, "staleAfter": "1 minute"}), "a duration is a whole number and a unit"),
    (_source(kis={**KIS, "restUrl": "https://user:secret@host"}), "a URL must be http:// or https://"),
    (_source(yahoo={"websocketUrl": "https://host"}), "a websocket's URL must be ws:// or wss://"),
    ({"kafka": {"bootstrapServers": "kafka"}}, "kafka.bootstrapServers must be HOST:PORT"),
    ({"redis": {"url": "redis://user:secret@host"}}, "without a user or password"),
    (
        {"indicators": [{"name": "close", "function": "RSI"}]},
        "an indicator cannot have the name of a bar field",
    ),
    ({"indicators": [{"name": "lambda", "function": "RSI"}]}, "or of a Python keyword"),
    ({"indicators": [{"name": "Rsi", "function": "RSI"}]}, "an indicator's name is made of"),
    ({"indicators": [{"name": "rsi", "function": "rsi"}]}, "function is the upper-case name"),
    ({"indicators": [_RSI, {**_RSI, "function": "ADX"}]}, "Duplicate value"),
    ({"rules": [{**_RULE, "name": "r_1"}]}, "a rule's name is made of"),
    ({"rules": [{**_RULE, "sessions": ["pre", "pre"]}]}, "Duplicate value"),
    ({"performance": {"horizons": ["1w"]}}, "a horizon is trading time as a whole number"),
    ({"performance": {"benchmark": "SPY"}}, "performance.benchmark must be one of universe.symbols"),
    ({"delivery": {"commitInterval": "1ms"}}, "delivery.commitInterval must be from 10ms to 10s"),
    ({"delivery": {"commitInterval": "11s"}}, "delivery.commitInterval must be from 10ms to 10s"),
    (
        _autoscaling(minReplicas=3, maxReplicas=2),
        "autoscaling.minReplicas must not be more than autoscaling.maxReplicas",
    ),
    (_autoscaling(maxReplicas=5), "there cannot be more detectors than kafka.partitions"),
    ({"scaling": {"detector": {"replicas": 5}}}, "there cannot be more detectors than kafka.partitions"),
    (_producer(resources={"limits": {"memory": "1GB"}}), "a quantity is a number with a unit"),
    (
        _producer(resources={"requests": {"memory": "1Gi"}, "limits": {"memory": "512Mi"}}),
        "requests.memory must not be more than limits.memory",
    ),
    (
        _producer(resources={"requests": {"cpu": "1"}, "limits": {"cpu": "500m"}}),
        "requests.cpu must not be more than limits.cpu",
    ),
    (_producer(nodeSelector={"disk": "-"}), "a label's value is at most 63 letters"),
    (_producer(tolerations=[{}]), "a toleration without a key needs operator Exists"),
    (
        _producer(tolerations=[{"key": "a", "operator": "Exists", "value": "b"}]),
        "a toleration with operator Exists takes no value",
    ),
    (_producer(tolerations=[{"key": "a", "tolerationSeconds": 1}]), "tolerationSeconds needs effect"),
    (_producer(image="Services"), "an image is REPOSITORY:TAG"),
    (_producer(env=[{"name": "1", "value": "x"}]), "a variable's name is made of"),
    (_producer(env=[{"name": "A"}]), "a variable needs either value or valueFrom"),
    (
        _producer(env=[{"name": "STOCKPIPELINE_X", "value": "x"}]),
        "variables that begin with STOCKPIPELINE_ are set by the operator",
    ),
    ({"store": {"history": {"bars": "1y"}}}, "a number of days is written like 365d"),
    ({"replicaSync": {}}, "replicaSync needs store"),
    ({"store": {}, "replicaSync": {"url": "ftp://x"}}, r"replicaSync.url must be s3://"),
    ({"batch": {"lake": "file:///lake"}}, r"batch.lake must be s3://"),
]

# A spec's members before, those that are changed, and what the API server says of the change.
OF_A_CHANGE: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"kafka": {"partitions": 8}}, "kafka.partitions cannot change"),
    ({}, {"bars": {"interval": "5m"}}, "bars.interval cannot change"),
    (
        _source(yahoo={}),
        _source(replay=REPLAY),
        "sources cannot change between a replay and live data",
    ),
    (
        _source(replay=REPLAY),
        {"sources": [{"name": "another", "replay": REPLAY}]},
        "sources: name cannot change.*delete the pipeline and make it anew",
    ),
    *(
        (
            _source(replay=REPLAY),
            _source(replay={**REPLAY, field: value}),
            f"sources: replay.{field} cannot change.*delete the pipeline and make it anew",
        )
        for field, value in {"start": "2005-01-03", "ticksPerBar": 7, "seed": 2}.items()
    ),
    (
        _source(replay={**REPLAY, "end": "2012-01-03", "loop": True}),
        _source(replay={**REPLAY, "end": "2013-01-03"}),
        "sources: replay.end cannot change where replay.loop is or was set",
    ),
    ({"store": {}}, {"store": {"size": "1Ti"}}, "store.size and store.storageClassName cannot change"),
    ({"batch": {}}, {"batch": {"size": "1Ti"}}, "batch.size and batch.storageClassName cannot change"),
]
