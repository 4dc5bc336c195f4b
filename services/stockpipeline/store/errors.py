"""What can go wrong, named by what to do about it.

Every message names the object, the value and the remedy.
"""


class StoreError(Exception):
    """Base of everything that the store raises on purpose."""


class Unavailable(StoreError):
    """The object store did not answer, or not in time: what is there stays; try again later."""


class Missing(StoreError):
    """An object that should be in the object store is not there."""


class AlreadyExists(StoreError):
    """An object could not be created, because there is one with its key."""


class Damaged(StoreError):
    """Bytes are not those that their name or manifest says."""


class NothingPublished(StoreError):
    """The object store has no generation, or not the one that was asked for."""


class MasterBusy(StoreError):
    """The master is open in another process, or was not closed cleanly."""


class MasterUnusable(StoreError):
    """The file is no master: no database, or one that the writer of this project did not make."""


class MasterChanged(StoreError):
    """The master changed while it was read, although it was locked."""


class Fenced(StoreError):
    """A newer writer has taken over: this one must not publish any more."""


class Forked(StoreError):
    """Two histories that do not contain one another; a person has to choose."""


class ContractBroken(StoreError):
    """A new generation lacks a table or a column that a reader needs."""


class ReplicaBusy(StoreError):
    """Another process is pulling into the replica's folder."""


class NoReplica(StoreError):
    """The folder holds no generation that could be read."""


class NoSpace(StoreError):
    """The disk is full."""


class OnHold(StoreError):
    """A replica does not follow HEAD by itself, and says why."""


class TooStale(StoreError):
    """The newest data is older than the reader allows."""
