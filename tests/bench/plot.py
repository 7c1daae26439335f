"""The plot: one panel a contest, one bar a contender, as SVG that is readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from tests.bench.figures import Row, Section

WIDTH, LABELS, BAR, GAP, PANEL = 860, 330, 16, 5, 34
COLOURS = {"dativo": "#2563eb", "peer": "#94a3b8", "limit": "#d97706"}
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#334155}.title{font-weight:600;font-size:13px}.ours{font-weight:600}"
    "@media(prefers-color-scheme:dark){text{fill:#cbd5e1}}"
)


def svg(sections: Sequence[Section]) -> str:
    """All sections that have contenders with a speed."""
    parts: list[str] = []
    top = 8
    for section in sections:
        rows = [row for row in section.rows if not row.missing]
        if len(rows) < 2:
            continue
        parts.append(f'<text class="title" x="0" y="{top + 14}">{escape(section.title)}, rows per second</text>')
        top += 24
        fastest = max(row.rows_s for row in rows)
        for row in sorted(rows, key=lambda one: -one.rows_s):
            parts.append(_bar(row, top, fastest))
            top += BAR + GAP
        top += PANEL - GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def _bar(row: Row, top: int, fastest: float) -> str:
    room = WIDTH - LABELS - 90
    width = max(1.0, room * row.rows_s / fastest)
    base = top + BAR - 4
    weight = ' class="ours"' if row.role == "dativo" else ""
    name = row.name if len(row.name) <= 44 else row.name[:43] + "…"
    return (
        f'<text{weight} x="{LABELS - 8}" y="{base}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LABELS}" y="{top}" width="{width:.1f}" height="{BAR}" rx="2" fill="{COLOURS[row.role]}"/>'
        f'<text x="{LABELS + width + 6:.1f}" y="{base}">{row.rows_s:,.0f}</text>'
    )
