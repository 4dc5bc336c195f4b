"""What the tests of the batch share."""

from tests.restored_logs import restored_logs

__all__ = ["restored_logs"]
