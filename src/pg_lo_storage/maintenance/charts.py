"""Charts of bars: as lines of text, of plain Unicode blocks, and as SVG, without a library or a script.

The SVG has no ``style``, which a Content-Security-Policy may forbid: in a page it takes the colour of the page's text.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, NamedTuple

__all__ = ["Bar", "plain", "svg", "text"]

_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_PLAIN: Final = str.maketrans(_EIGHTHS[1:], "---#####")
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML cannot have, not even as an entity."""

_LINE: Final = 24
_LETTER: Final = 7.5
_BARS: Final = 260
_LONGEST: Final = 28
"""How many letters of a label there is room for."""


class Bar(NamedTuple):
    """A bar as long as ``value``, between what it is and what it says."""

    label: str
    value: int
    figures: str


def text(bars: Sequence[Bar], width: int = 24) -> Iterator[str]:
    """Yield a line for each bar; the longest bar is ``width`` blocks long."""
    most = max((bar.value for bar in bars), default=0)
    room = max((len(bar.label) for bar in bars), default=0)
    for label, value, figures in bars:
        eighths = round(value / most * width * 8) if most else 0
        blocks = _EIGHTHS[8] * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
        yield f"{label:{room}}  {blocks:{width}}  {figures}".rstrip()


def plain(line: str) -> str:
    """Return a line of a chart, or any other, with ASCII for the blocks."""
    return line.translate(_PLAIN)


def _xml(text: str) -> str:
    return escape(_NO_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def svg(bars: Sequence[Bar], title: str, background: str | None = None) -> str:
    """Return the chart as SVG: an image on a background, or a part of a page, where it shrinks to the room there is."""
    most = max((bar.value for bar in bars), default=0)
    labels = round(min(max((len(bar.label) for bar in bars), default=0), _LONGEST) * _LETTER) + 16
    figures_room = round(max((len(bar.figures) for bar in bars), default=0) * _LETTER) + 16
    width = max(labels + _BARS + figures_room, round(len(title) * _LETTER) + 16)
    height = _LINE * (len(bars) + 1) + 8
    shown_width = f'"{width}"' if background is not None else '"100%" preserveAspectRatio="xMinYMin"'
    size = f'viewBox="0 0 {width} {height}" height="{height}" width={shown_width}'
    look = 'role="img" fill="currentColor" font-family="sans-serif" font-size="13"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {look}><title>{_xml(title)}</title>']
    if background is not None:
        parts.append(f'<rect width="{width}" height="{height}" fill="{_xml(background)}"/>')
    parts.append(f'<text x="8" y="{_LINE - 6}" font-weight="bold">{_xml(title)}</text>')
    for n, (label, value, figures) in enumerate(bars, 1):
        top, length = n * _LINE + 4, value / most * _BARS if most else 0
        shown = label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
        parts.append(
            f'<text x="{labels - 8}" y="{top + 14}" text-anchor="end">{_xml(shown)}</text>'
            f'<rect x="{labels}" y="{top}" width="{length:.1f}" height="{_LINE - 6}" opacity="0.6"/>'
            f'<text x="{labels + length + 8:.1f}" y="{top + 14}">{_xml(figures)}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])
