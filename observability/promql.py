"""What a query uses, and what of that nobody exports: metrics, labels in selectors, groupings and matches."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from promql_parser import (
    AggModifierType,
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    StringLiteral,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
    parse,
    walk,
)

_SET_OPERATORS = ("and", "or", "unless")
# What Grafana puts into a query before Prometheus sees it.
_GRAFANA = {"$__rate_interval": "5m", "$__interval": "1m", "$__range": "1h"}


class UnknownName(ValueError):
    """A query uses a metric or a label that nobody exports."""


def as_promql(query: str) -> str:
    """Return a panel's query as Prometheus gets it, for some time range."""
    for variable, value in _GRAFANA.items():
        query = query.replace(variable, value)
    return query


def metrics_of(query: str) -> set[str]:
    """Return the names of the series that a query reads."""
    names: set[str] = set()

    def visit(expr: Expr) -> None:
        if isinstance(expr, VectorSelector):
            names.add(expr.name or "")

    walk(parse(as_promql(query)), visit)
    return names


def labels_of(query: str, known: Mapping[str, AbstractSet[str]]) -> frozenset[str]:
    """Return the labels that the result of a query may have; `known` has those of each series.

    Raises:
        UnknownName: the query names a series, or a label of one, that is not known. An aggregation or a match
            by a label that its operand lost counts as well.
    """
    return _labels(parse(as_promql(query)), known, query)


def _labels(expr: Expr, known: Mapping[str, AbstractSet[str]], query: str) -> frozenset[str]:
    def inner(one: Expr) -> frozenset[str]:
        return _labels(one, known, query)

    if isinstance(expr, VectorSelector):
        return _of_selector(expr, known, query)
    if isinstance(expr, MatrixSelector):
        return _of_selector(expr.vector_selector, known, query)
    if isinstance(expr, (ParenExpr, UnaryExpr, SubqueryExpr)):
        return inner(expr.expr)
    if isinstance(expr, AggregateExpr):
        return _of_aggregation(expr, inner(expr.expr), query)
    if isinstance(expr, BinaryExpr):
        return _of_operation(expr, inner(expr.lhs), inner(expr.rhs), query)
    if isinstance(expr, Call):
        return _of_call(expr, [inner(one) for one in expr.args if not isinstance(one, StringLiteral)])
    if isinstance(expr, NumberLiteral):
        return frozenset()
    raise NotImplementedError(f"{type(expr).__name__} in {query}")


def _of_selector(
    selector: VectorSelector, known: Mapping[str, AbstractSet[str]], query: str
) -> frozenset[str]:
    name = selector.name or ""
    if name not in known:
        raise UnknownName(f"nobody exports {name!r}, which is in: {query}")
    labels = frozenset(known[name])
    _require({matcher.name for matcher in selector.matchers.matchers}, labels, f"{name} has", query)
    return labels


def _of_aggregation(expr: AggregateExpr, labels: frozenset[str], query: str) -> frozenset[str]:
    operator = str(expr.op)
    if expr.modifier is None:
        return labels if operator in ("topk", "bottomk") else frozenset()
    wanted = frozenset(expr.modifier.labels)
    _require(wanted, labels, f"what {operator} works on has", query)
    if operator in ("topk", "bottomk"):
        return labels
    return wanted if expr.modifier.type == AggModifierType.By else labels - wanted


def _of_operation(
    expr: BinaryExpr, left: frozenset[str], right: frozenset[str], query: str
) -> frozenset[str]:
    operator = str(expr.op)
    matching = expr.modifier.matching if expr.modifier else None
    for side, labels in (("left", left), ("right", right)):
        if matching is not None and matching.labels:
            _require(set(matching.labels), labels, f"the {side} of {operator} has", query)
    if operator == "or":
        return left | right
    if operator in _SET_OPERATORS or not right:
        return left
    return left | frozenset(expr.modifier.group_labels or ()) if left and expr.modifier else left or right


def _of_call(expr: Call, arguments: list[frozenset[str]]) -> frozenset[str]:
    name = expr.func.name
    labels: frozenset[str] = frozenset().union(*arguments)
    if name in ("label_replace", "label_join"):
        target = expr.args[1]
        assert isinstance(target, StringLiteral)
        return labels | {target.val}
    return labels - {"le"} if name == "histogram_quantile" else labels


def _require(wanted: AbstractSet[str], there: AbstractSet[str], who: str, query: str) -> None:
    if missing := wanted - there:
        raise UnknownName(f"{who} no label {', '.join(sorted(missing))} in: {query}")
