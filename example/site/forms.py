"""What users send: a file that is not too large, and how long a link is to work."""

from typing import TYPE_CHECKING

from django import forms
from django.core.exceptions import ValidationError
from django.core.files import File
from django.template.defaultfilters import filesizeformat

from example.site.models import MAX_SIZE, Invoice

if TYPE_CHECKING:
    InvoiceModelForm = forms.ModelForm[Invoice]
else:
    InvoiceModelForm = forms.ModelForm


class UploadForm(InvoiceModelForm):
    """A file, for a new invoice or in the place of another file."""

    class Meta:
        model = Invoice
        fields = ("data",)

    def clean_data(self) -> "File[bytes]":
        """Refuse what is larger than a file may be."""
        upload: File[bytes] = self.cleaned_data["data"]
        if upload.size > MAX_SIZE:
            raise ValidationError(f"{upload.name} is larger than {filesizeformat(MAX_SIZE)}.")
        return upload


class ShareForm(forms.Form):
    """How long a link is to work, in seconds."""

    max_age = forms.TypedChoiceField(
        label="Works for",
        coerce=int,
        choices=[(600, "10 minutes"), (86_400, "a day"), (604_800, "a week")],
    )
