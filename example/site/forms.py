"""What users send: a file, and how long a link is to work."""

from typing import TYPE_CHECKING

from django import forms

from example.site.models import Invoice

if TYPE_CHECKING:
    InvoiceModelForm = forms.ModelForm[Invoice]
else:
    InvoiceModelForm = forms.ModelForm


class UploadForm(InvoiceModelForm):
    """A file, for a new invoice or in the place of another file."""

    class Meta:
        model = Invoice
        fields = ("data",)


class ShareForm(forms.Form):
    """How long a link is to work, in seconds."""

    max_age = forms.TypedChoiceField(
        label="Works for",
        coerce=int,
        choices=[(600, "10 minutes"), (86_400, "a day"), (604_800, "a week")],
    )
