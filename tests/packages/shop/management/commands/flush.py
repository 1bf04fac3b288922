"""As in the suite: Django's own flush takes longer than most tests."""

from tests.invoices.management.commands.flush import Command

__all__ = ["Command"]
