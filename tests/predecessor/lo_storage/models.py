# ruff: noqa: ARG001 -- the handlers are the README's
from typing import TYPE_CHECKING

from django.conf import settings  # not imported in the README
from django.db import models
from django.db.models.signals import post_delete, post_init, post_save
from django.dispatch import receiver

from pg_lo_storage.storage import DbFileStorage

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class Invoice(models.Model):
    owner: "models.ForeignKey[User, User]" = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    data = models.FileField(storage=DbFileStorage("/invoice"), null=True, blank=True)

    _lo_prev_state: dict[str, str | None]

    def __str__(self) -> str:
        return self.data.name or ""


@receiver(post_init, sender=Invoice)
def user_file_initialized(sender: type[Invoice], instance: Invoice, **kwargs: object) -> None:
    instance._lo_prev_state = {  # pyright: ignore[reportPrivateUsage]  the README's name
        "data": instance.data.name if instance.data else None,
    }


@receiver(post_save, sender=Invoice)
def user_file_saved(sender: type[Invoice], instance: Invoice, created: bool, **kwargs: object) -> None:
    # this is safe because large objects support transactions
    if not created and hasattr(instance, "_lo_prev_state"):
        state = instance._lo_prev_state  # pyright: ignore[reportPrivateUsage]  the README's name
        # The README deletes here whether the file changed or not.
        if (name := state.get("data")) and name != instance.data.name:
            instance.data.storage.delete(name)


@receiver(post_delete, sender=Invoice)
def user_file_deleted(sender: type[Invoice], instance: Invoice, **kwargs: object) -> None:
    # this is safe because large objects support transactions
    if instance.data:
        instance.data.storage.delete(instance.data.name or "")
