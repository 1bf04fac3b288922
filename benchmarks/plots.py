"""Bar charts in SVG, readable on light and dark pages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABELS, VALUES = 860, 270, 130
LINE, BAR, HEADING = 19, 12, 30
PLOT = WIDTH - LABELS - VALUES
STYLE = """
text{font:12px system-ui,sans-serif;fill:#24292f}.h{font-weight:600}.t{font-size:15px;font-weight:600}
.own{fill:#0969da}.other{fill:#9aa4ae}.ref{fill:#57606a}line{stroke:#57606a}.grid{stroke:#d0d7de}.whisker{stroke:#24292f}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.own{fill:#4493f8}.other{fill:#6e7681}.ref{fill:#b1bac4}
line{stroke:#9198a1}.grid{stroke:#30363d}.whisker{stroke:#e6edf3}}
"""


@dataclass(frozen=True)
class Bar:
    """One bar, with a whisker from ``low`` to ``high``."""

    label: str
    value: float
    low: float
    high: float
    kind: str
    """``own``, ``ref`` or ``other``."""
    text: str


@dataclass(frozen=True)
class Group:
    """Bars under one heading."""

    heading: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Scale:
    """Where a value is drawn: ratios begin at 1 and go both ways, on a logarithmic scale; amounts begin at 0."""

    low: float
    high: float
    ratios: bool

    @classmethod
    def of(cls, groups: Sequence[Group], *, ratios: bool) -> "Scale":
        """Return the scale that holds all bars."""
        bars = [bar for group in groups for bar in group.bars]
        high = max([1.0, *(bar.high for bar in bars)])
        if not ratios:
            return cls(0, high, ratios)
        low = min([1.0, *(bar.low for bar in bars)])
        return cls(low / 1.2, high * 1.2, ratios)

    @property
    def ticks(self) -> list[float]:
        """Return the values that get a line."""
        if not self.ratios:
            step = 10 ** math.floor(math.log10(self.high))
            step = step if self.high / step >= 3 else step / 4
            return [step * number for number in range(int(self.high / step) + 1)]
        steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
        return [step for step in steps if self.low <= step <= self.high]

    def x(self, value: float) -> float:
        """Return where a value is, in pixels."""
        if not self.ratios:
            return LABELS + PLOT * value / self.high
        share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return LABELS + PLOT * share


def chart(title: str, groups: Sequence[Group], *, ratios: bool = True) -> str:
    """Return an SVG file; ``ratios`` are drawn from 1, to the right where they are greater, amounts from 0."""
    scale = Scale.of(groups, ratios=ratios)
    height = HEADING + sum(LINE * (len(group.bars) + 1) + 6 for group in groups) + 24
    parts = [f'<text x="8" y="20" class="t">{escape(title)}</text>']
    for tick in scale.ticks:
        x, kind = scale.x(tick), "" if ratios and tick == 1 else ' class="grid"'
        parts.append(f'<line x1="{x:.1f}" y1="{HEADING}" x2="{x:.1f}" y2="{height - 22}"{kind}/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle">{tick:g}</text>')
    y = HEADING
    for group in groups:
        y += LINE
        parts.append(f'<text x="8" y="{y - 5}" class="h">{escape(group.heading)}</text>')
        for bar in group.bars:
            parts += _bar(bar, y, scale)
            y += LINE
        y += 6
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            *parts,
            "</svg>\n",
        ]
    )


def _bar(bar: Bar, top: int, scale: Scale) -> list[str]:
    base, end = scale.x(1 if scale.ratios else 0), scale.x(bar.value)
    low, high, middle = scale.x(bar.low), scale.x(bar.high), top + BAR / 2
    left, width = min(base, end), max(1.0, abs(end - base))
    return [
        f'<text x="{LABELS - 8}" y="{top + 10}" text-anchor="end">{escape(bar.label)}</text>',
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" class="{bar.kind}"/>',
        f'<line x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}" class="whisker"/>',
        f'<text x="{LABELS + PLOT + 8}" y="{top + 10}">{escape(bar.text)}</text>',
    ]
