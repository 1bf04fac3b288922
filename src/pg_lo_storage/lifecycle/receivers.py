"""Receivers of Django's signals about one model's rows."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias
from weakref import WeakKeyDictionary

from django.db import models
from django.db.models.signals import ModelSignal

__all__ = ["connect"]

_Receiver: TypeAlias = Callable[..., object]

# A receiver is its model's own, and goes with it: Django never forgets one for a model that is gone, as those of
# migrations are by the thousand, and looks through all of them whenever one is connected.
_own: WeakKeyDictionary[type[models.Model], dict[_Receiver, _Receiver]] = WeakKeyDictionary()


def connect(signal: ModelSignal, receiver: _Receiver, model: type[models.Model]) -> None:
    """Have a signal's receiver called for that very class, once however often it is connected."""
    own = _own.setdefault(model, {})
    if receiver not in own:
        own[receiver] = partial(receiver)
        signal.connect(own[receiver], sender=model)
