"""What readers need of the schema: a contract names tables and columns, and a generation keeps it or not.

A contract is a JSON file, `{"name": "console", "tables": {"bars": {"symbol": "VARCHAR", "close":
"DOUBLE"}}}`. A table or column more than the contract names breaks nothing; one less, or one of another
type, does.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from stockpipeline.store.errors import ContractBroken
from stockpipeline.store.manifest import Schema


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tables and columns, with their DuckDB types, that one kind of reader needs."""

    name: str
    tables: Schema


def load_contract(path: Path) -> Contract:
    """Return the contract in a JSON file.

    Raises:
        ValueError: it is none; the message names the file.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Contract)
    except (OSError, msgspec.MsgspecError) as error:
        raise ValueError(f"{path}: {error}") from error


def violations(contract: Contract, schema: Schema) -> list[str]:
    """Return in words what of the contract the schema does not keep; empty if it keeps all."""
    found = []
    for table, columns in contract.tables.items():
        if table not in schema:
            found.append(f"there is no table {table}")
            continue
        for column, kind in columns.items():
            actual = schema[table].get(column)
            if actual is None:
                found.append(f"{table} has no column {column}")
            elif actual != kind:
                found.append(f"{table}.{column} is {actual}, not {kind}")
    return found


def check(contracts: Iterable[Contract], schema: Schema, what: str) -> None:
    """Raise ContractBroken, naming all that is broken, if `what` with this schema breaks a contract."""
    broken = [
        f"{contract.name}: {'; '.join(found)}"
        for contract in contracts
        if (found := violations(contract, schema))
    ]
    if broken:
        raise ContractBroken(
            f"{what} breaks what readers rely on ({' | '.join(broken)}): the generation before it stays "
            "in use; change the readers' contract first, or the schema back"
        )
