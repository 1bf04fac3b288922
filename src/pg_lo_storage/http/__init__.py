"""Serving large objects by RFC 9110 without Django: what to answer, decided from data, and the body to send."""

from pg_lo_storage.http.answer import Answer, answer
from pg_lo_storage.http.facts import FileFacts
from pg_lo_storage.http.presentation import INLINE_TYPES, Presentation

__all__ = ["INLINE_TYPES", "Answer", "FileFacts", "Presentation", "answer"]
