"""A chart of groups of bars, as SVG: for a README."""

from html import escape

BAR, GAP, LABEL, WIDTH, VALUE = 16, 12, 150, 420, 60
COLOURS = {True: "#1a7f5a", False: "#9aa5b1"}


def draw(title, groups, ours):
    """groups: {title: {name: value}}. Bars are as long as their share of the group's largest value."""
    y = 34
    parts = []
    for group, values in groups.items():
        parts.append(f'<text x="0" y="{y}" font-weight="bold">{escape(group)}</text>')
        y += 8
        most = max(values.values())
        for name, value in values.items():
            length = WIDTH * value / most
            middle = y + BAR - 4
            parts.append(f'<text x="{LABEL - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>')
            parts.append(
                f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR - 3}" fill="{COLOURS[name == ours]}"/>'
            )
            parts.append(f'<text x="{LABEL + length + 6:.1f}" y="{middle}">{value:.1f}</text>')
            y += BAR
        y += GAP + BAR
    size = f'width="{LABEL + WIDTH + VALUE}" height="{y - BAR}"'
    style = 'font-family="sans-serif" font-size="12" fill="#24292f"'
    head = f'<text x="0" y="14" font-size="14" font-weight="bold">{escape(title)}</text>'
    background = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join([background, head, *parts]) + "\n</svg>\n"
