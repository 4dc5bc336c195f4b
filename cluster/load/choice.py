"""What `make load` is asked for, from the environment: PROFILE, RATE, READS and MINUTES."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from cluster.settings import SettingsError, number

Profile = Literal["steady", "faults", "replaced"]

MAX_RATE = 50_000
MAX_MINUTES = 120


@dataclass(frozen=True)
class Choice:
    """One load.

    `rate` is in ticks a second, `reads` in SQL queries a second over all readers; 0: each reader asks again
    as soon as it is answered.
    """

    profile: Profile
    rate: float
    reads: float
    minutes: float

    @property
    def seconds(self) -> float:
        """How long it takes without the preparations and the count at the end."""
        return self.minutes * 60

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Choice:
        """Read it; what is not said is 1,000 ticks and 20 reads a second for 5 minutes, without faults.

        Raises:
            SettingsError: a value that cannot be; says which, and what it may be.
        """
        env = os.environ if environment is None else environment
        profile = env.get("PROFILE") or "steady"
        if profile not in get_args(Profile):
            raise SettingsError(f"PROFILE={profile!r}: use one of {', '.join(get_args(Profile))}")
        # The replaced system's test asked as fast as it was answered.
        reads = "0" if profile == "replaced" else "20"
        return cls(
            profile=cast("Profile", profile),
            rate=number(env, "RATE", "1000", "ticks a second", 10, MAX_RATE),
            reads=number(env, "READS", reads, "reads a second (0: as fast as they are answered)", 0, 1000),
            minutes=number(env, "MINUTES", "5", "minutes", 1, MAX_MINUTES),
        )
