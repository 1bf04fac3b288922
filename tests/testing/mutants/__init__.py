"""Drivers that break one promise each, and the test of the kit that has to notice."""

from tests.testing.mutants import drivers, lifetime, objects, transactions
from tests.testing.mutants.base import Mutant, MutantSession

__all__ = ["MUTANTS", "Mutant", "MutantSession"]

MUTANTS = [*objects.MUTANTS, *drivers.MUTANTS, *transactions.MUTANTS, *lifetime.MUTANTS]
