"""Application keys, read from the files of mounted Secrets. They are in no log, no status and no message."""

from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from stockpipeline.runtime.redaction import conceal


class NoCredentials(Exception):
    """A Secret, or a key of it, is not there; the message names it."""


@dataclass(frozen=True)
class AppKey:
    """One application key of the KIS Open API."""

    key: str = field(repr=False)
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        """No log has them, wherever they may turn up."""
        conceal(self.key, self.secret)

    @property
    def fingerprint(self) -> str:
        """A name that tells keys apart and gives nothing away."""
        return blake2b(self.key.encode(), digest_size=8, person=b"kis-appkey").hexdigest()


def read_app_key(folder: Path, secret: str, key_name: str, secret_name: str) -> AppKey:
    """Return the application key in the Secret that is mounted at ``folder/SECRET``.

    Raises:
        NoCredentials: a file is missing or empty.
    """
    return AppKey(_read(folder, secret, key_name), _read(folder, secret, secret_name))


def _read(folder: Path, secret: str, name: str) -> str:
    try:
        text = (folder / secret / name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise NoCredentials(f"the key {name} of Secret {secret} cannot be read: {why}") from None
    if not text:
        raise NoCredentials(f"the key {name} of Secret {secret} is empty")
    return text
