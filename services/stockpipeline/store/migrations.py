"""The master's schema, by version: each migration is applied once, in order, in a transaction of its own.

Tables of rows by session have no primary key and are appended in the order of sessions. Measured on 371 MB: a
day of 4,000 rows changes 3 to 4 blocks so, and 35 to 40 with a primary key, whose index is spread over the
file. That no key comes twice is what `loads` sees to.
"""

from dataclasses import dataclass
from hashlib import blake2b

import duckdb

from stockpipeline.store.errors import MasterUnusable


@dataclass(frozen=True)
class Migration:
    """One step of the schema; never edited once released: a correction is a new one."""

    version: int
    name: str
    statements: tuple[str, ...]

    def digest(self) -> str:
        """Return 32 hex digits over the statements."""
        return blake2b("\0".join(self.statements).encode(), digest_size=16).hexdigest()


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        1,
        "bars, indicators, watchlist, quality, signals and performance",
        (
            "CREATE TABLE meta.commits (number BIGINT, id VARCHAR, batch VARCHAR, committed_at TIMESTAMPTZ)",
            "CREATE TABLE meta.offsets (topic VARCHAR, partition INTEGER, next_offset BIGINT)",
            "CREATE TABLE bars (session DATE, symbol VARCHAR, open DOUBLE, high DOUBLE, low DOUBLE,"
            " close DOUBLE, volume DOUBLE, basis VARCHAR)",
            "CREATE TABLE indicators (session DATE, symbol VARCHAR, name VARCHAR, value DOUBLE)",
            "CREATE TABLE watchlist (session DATE, symbol VARCHAR, rule VARCHAR, side VARCHAR, price DOUBLE)",
            "CREATE TABLE quality (session DATE, symbol VARCHAR, problem VARCHAR, detail VARCHAR)",
            # `bar` is the session; `bar_opened` is NULL where the bar is the whole of it.
            "CREATE TABLE signals (id VARCHAR, pipeline VARCHAR, symbol VARCHAR, rule VARCHAR, side VARCHAR,"
            " price DOUBLE, ts TIMESTAMPTZ, bar DATE, bar_opened TIMESTAMPTZ,"
            " indicator_values MAP(VARCHAR, DOUBLE), confidence DOUBLE, source VARCHAR, strength DOUBLE)",
            "CREATE TABLE performance (signal_id VARCHAR, recorded_at TIMESTAMPTZ, record VARCHAR)",
        ),
    ),
    Migration(
        2,
        "splits and dividends; why a symbol is on the watchlist",
        (
            "CREATE TABLE actions (session DATE, symbol VARCHAR, split DOUBLE, dividend DOUBLE)",
            "ALTER TABLE watchlist ADD COLUMN position INTEGER",
            "ALTER TABLE watchlist ADD COLUMN tier VARCHAR",
            "ALTER TABLE watchlist ADD COLUMN reason VARCHAR",
        ),
    ),
    Migration(
        3,
        "how good each session's run of the batch was",
        ("CREATE TABLE runs (session DATE, measure VARCHAR, value DOUBLE)",),
    ),
    Migration(
        4,
        "bars in the terms of the newest one",
        # As market.corporate_actions: a factor is of the close before its action, and counts for all before.
        (
            """
            CREATE VIEW adjusted_bars AS
            WITH factors AS (
                SELECT actions.symbol, actions.session, actions.split,
                    (1 - actions.dividend / bars.close) / actions.split AS factor
                FROM actions ASOF JOIN (FROM bars WHERE basis = 'traded') bars
                    ON actions.symbol = bars.symbol AND actions.session > bars.session
            ),
            since AS (
                SELECT symbol, session, product(factor) OVER later AS factor,
                    product(split) OVER later AS split
                FROM factors WINDOW later AS (PARTITION BY symbol ORDER BY session DESC)
            ),
            chosen AS (
                SELECT bars.*, coalesce(since.factor, 1) AS factor, coalesce(since.split, 1) AS split
                FROM (FROM bars WHERE basis = 'traded') bars ASOF LEFT JOIN since
                    ON bars.symbol = since.symbol AND bars.session < since.session
            )
            SELECT session, symbol, open * factor AS open, high * factor AS high, low * factor AS low,
                close * factor AS close, volume * split AS volume, 'adjusted' AS basis
            FROM chosen
            UNION ALL FROM bars WHERE basis = 'adjusted'
            """,
        ),
    ),
)


def migrate(
    connection: duckdb.DuckDBPyConnection, migrations: tuple[Migration, ...] = MIGRATIONS
) -> list[int]:
    """Bring the schema to the newest version; return the versions that were applied now.

    Raises:
        MasterUnusable: the file was made by a newer program, or by one whose migrations differ.
    """
    connection.execute("CREATE SCHEMA IF NOT EXISTS meta")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS meta.migrations"
        " (version INTEGER, name VARCHAR, digest VARCHAR, applied_at TIMESTAMPTZ)"
    )
    rows = connection.execute("SELECT version, digest FROM meta.migrations ORDER BY version").fetchall()
    applied: dict[int, str] = dict(rows)
    known = {migration.version: migration for migration in migrations}
    for version, digest in applied.items():
        if version not in known:
            raise MasterUnusable(
                f"the master has schema version {version}, this program knows up to {max(known)}: "
                "use a newer one"
            )
        if known[version].digest() != digest:
            raise MasterUnusable(
                f"the master's schema version {version} was made by other statements than ours"
            )
    done = []
    for migration in sorted(migrations, key=lambda one: one.version):
        if migration.version not in applied:
            _apply(connection, migration)
            done.append(migration.version)
    return done


def _apply(connection: duckdb.DuckDBPyConnection, migration: Migration) -> None:
    connection.execute("BEGIN")
    try:
        for statement in migration.statements:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO meta.migrations VALUES (?, ?, ?, now())",
            [migration.version, migration.name, migration.digest()],
        )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
