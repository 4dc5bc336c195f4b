"""Whether bytes are what their manifests say: of a generation in the store, and of a replica's file."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from stockpipeline.store.assemble import wrong_blocks
from stockpipeline.store.content import Content, Pages
from stockpipeline.store.errors import Damaged, Missing, NoReplica
from stockpipeline.store.index import Ref
from stockpipeline.store.log import REQUESTS_AT_ONCE, Log
from stockpipeline.store.manifest import Generation
from stockpipeline.store.object_store import ObjectStore
from stockpipeline.store.replica_folder import ReplicaFolder, Stored


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was read, and in words what is wrong with it; nothing is wrong in a list that is empty."""

    generations: list[int]
    blocks: int
    problems: list[str]

    @property
    def good(self) -> bool:
        """Whether all is as it should be."""
        return not self.problems


def verify_generations(store: ObjectStore, generations: Iterable[Generation]) -> VerifyReport:
    """Read every object of these generations once, and check it against its hash.

    Raises:
        Unavailable: the store does not answer.
    """
    content = Content(store)
    pages: Pages = {}
    problems = []
    users: dict[Ref, int] = {}
    wanted = sorted(generations)
    for one in wanted:
        try:
            index = content.index(content.manifest(one.manifest), pages)
        except (Missing, Damaged) as error:
            problems.append(f"generation {one.generation}: {error}")
            continue
        for ref in index:
            users.setdefault(ref, one.generation)
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        for ref, problem in zip(users, pool.map(lambda each: _problem(content, each), users), strict=True):
            if problem is not None:
                problems.append(f"generation {users[ref]} and later: {problem}")
    return VerifyReport(generations=[one.generation for one in wanted], blocks=len(users), problems=problems)


def verify_all(store: ObjectStore) -> VerifyReport:
    """Check all generations that can be restored."""
    return verify_generations(store, Log(store).generations())


def verify_replica(folder: ReplicaFolder) -> VerifyReport:
    """Read the file that readers open, and check it against its root.

    Raises:
        NoReplica: there is none.
    """
    current = folder.current()
    if current is None:
        raise NoReplica(f"{folder.path} has no current generation: pull first")
    return verify_stored([current])


def verify_stored(generations: Iterable[Stored]) -> VerifyReport:
    """Read whole files of a replica, and check them against their roots."""
    problems = []
    blocks = 0
    numbers = []
    for stored in generations:
        numbers.append(stored.manifest.generation)
        try:
            index = stored.index()
            wrong = wrong_blocks(stored.path, stored.manifest, index)
        except (Damaged, OSError) as error:
            problems.append(f"{stored.path}: {error}")
            continue
        blocks += len(index)
        if wrong:
            problems.append(
                f"{stored.path}: {len(wrong)} of {len(index)} blocks are damaged, the first is {wrong[0]}"
            )
    return VerifyReport(generations=numbers, blocks=blocks, problems=problems)


def _problem(content: Content, ref: Ref) -> str | None:
    try:
        content.block(ref)
    except (Missing, Damaged) as error:
        return str(error)
    return None
