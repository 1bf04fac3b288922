"""What modeltranslation translates."""

from modeltranslation.translator import TranslationOptions, register

from tests.packages.shop.models import Leaflet


@register(Leaflet)
class LeafletOptions(TranslationOptions):
    """One file for each language."""

    fields = ("file",)
