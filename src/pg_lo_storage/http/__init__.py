"""Serving large objects by RFC 9110 without Django: what to answer, decided from data, and the body to send.

A server hands over a request's method and headers, and the facts of a file; it sends the status, the headers and the
blocks that it gets::

    made = answer(method, headers, facts)
    blocks = body(pool.connection, facts, made)
"""

from pg_lo_storage.http.answer import Answer, answer
from pg_lo_storage.http.body import AsyncConnect, Connect, abody, body
from pg_lo_storage.http.facts import FileFacts
from pg_lo_storage.http.finding import afind, afind_catalogued, find, find_catalogued
from pg_lo_storage.http.presentation import INLINE_TYPES, Presentation

__all__ = [
    "INLINE_TYPES",
    "Answer",
    "AsyncConnect",
    "Connect",
    "FileFacts",
    "Presentation",
    "abody",
    "afind",
    "afind_catalogued",
    "answer",
    "body",
    "find",
    "find_catalogued",
]
