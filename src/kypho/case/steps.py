"""How a stage marks its steps: a progress bar and the timings of a manifest need only this."""

from collections.abc import Callable
from contextlib import AbstractContextManager

__all__ = ["Stepper"]

Stepper = Callable[[str], AbstractContextManager[None]]
"""Called with a step's name; the step lasts as long as the context."""
