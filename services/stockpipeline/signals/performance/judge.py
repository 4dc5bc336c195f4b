"""All books of a detector: which trades they see, and what is to be told and stored of them."""

from collections.abc import Iterable

from stockpipeline.api import Performance as PerformanceSpec
