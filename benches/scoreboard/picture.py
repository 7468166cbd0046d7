"""Draws the share of events that were silently lost: a row for each fault, a column for each system."""

from html import escape

LEFT, TOP, WIDE, HIGH = 210, 150, 92, 30
INK, NONE, ABSENT = "#1f2933", "#d7ecd9", "#eeeeee"


def colour(share: float | None) -> str:
    if share is None:
        return ABSENT
    if share == 0:
        return NONE
    depth = min(share / 60, 1) ** 0.5  # the small ones differ visibly, too
    return f"rgb(255,{round(214 - 150 * depth)},{round(194 - 150 * depth)})"


def label(share: float | None) -> str:
    if share is None:
        return "–"
    return "0" if share == 0 else f"{share:.1f} %" if share >= 0.05 else "< 0.1 %"


def picture(faults: list[str], systems: list[str], shares: list[list[float | None]]) -> str:
    width, height = LEFT + WIDE * len(systems) + 60, TOP + HIGH * len(faults) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="{INK}">',
        "<title>Share of events silently lost, by fault and system</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for n, name in enumerate(systems):
        x = LEFT + WIDE * n + WIDE / 2
        parts.append(f'<text transform="translate({x - 20:.0f},{TOP - 8}) rotate(-32)">{escape(name)}</text>')
    for row, (fault, line) in enumerate(zip(faults, shares)):
        y = TOP + HIGH * row
        parts.append(f'<text x="{LEFT - 10}" y="{y + 20}" text-anchor="end">{escape(fault)}</text>')
        for n, share in enumerate(line):
            x = LEFT + WIDE * n
            parts.append(f'<rect x="{x}" y="{y}" width="{WIDE - 3}" height="{HIGH - 3}" fill="{colour(share)}"/>')
            parts.append(f'<text x="{x + WIDE / 2 - 1:.0f}" y="{y + 19}" text-anchor="middle">{escape(label(share))}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
