"""What all models of the resource share: wire names, and checks that hold for Python and the API server.

A check is written as a CEL rule (it goes into the CRD as `x-kubernetes-validations`, so that `kubectl apply`
refuses a bad resource with a sentence) together with the same predicate in Python (for the CLI, which reads
resources without a cluster). Both give the same message.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True)
class Check:
    """A condition on a whole object.

    `holds` is None for rules that compare with the stored object (`oldSelf`): only the API server has it.
    """

    rule: str
    message: str
    holds: Callable[[Any], bool] | None = None

    def as_validation(self) -> dict[str, str]:
        """The entry of `x-kubernetes-validations`."""
        return {"rule": self.rule, "message": self.message}


@dataclass(frozen=True)
class Matches:
    """An annotation for strings: must match the whole `pattern` (RE2 and Python syntax), else `message`."""

    pattern: str
    message: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._validate, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        json_schema = handler(schema)
        rule = f"self.matches(r'^({self.pattern})$')"
        json_schema[VALIDATIONS] = [{"rule": rule, "message": self.message}]
        return json_schema

    def _validate(self, value: str) -> str:
        if re.fullmatch(self.pattern, value) is None:
            raise PydanticCustomError("matches", "{text}", {"text": self.message})
        return value


@dataclass(frozen=True)
class Unique:
    """An annotation for lists: values (`key` None) or the named field of the items must not repeat."""

    key: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._validate, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        json_schema = handler(schema)
        if self.key is None:
            json_schema["x-kubernetes-list-type"] = "set"
        else:
            json_schema["x-kubernetes-list-type"] = "map"
            json_schema["x-kubernetes-list-map-keys"] = [self.key]
        return json_schema

    def _validate(self, items: Iterable[Any]) -> Iterable[Any]:
        seen = set()
        for item in items:
            value = item if self.key is None else getattr(item, self.key)
            if value in seen:
                raise PydanticCustomError("unique", "Duplicate value: {value}", {"value": repr(value)})
            seen.add(value)
        return items


class ApiModel(BaseModel):
    """Base of the resource's models: camelCase on the wire, unknown fields refused, values immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    checks: ClassVar[tuple[Check, ...]] = ()

    @model_validator(mode="after")
    def _run_checks(self) -> Self:
        for check in self.checks:
            if check.holds is not None and not check.holds(self):
                raise PydanticCustomError("check", "{text}", {"text": check.message})
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        json_schema = handler(schema)
        if cls.checks:
            handler.resolve_ref_schema(json_schema)[VALIDATIONS] = [c.as_validation() for c in cls.checks]
        return json_schema

    def to_wire(self) -> dict[str, Any]:
        """The JSON object as users write it: camelCase names, no nulls."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
