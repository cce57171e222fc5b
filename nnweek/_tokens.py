"""The look of the week in one place: colours, fonts, sizes and spaces, by name.

The site's stylesheet gets them as CSS variables (`css`), light and dark; the figures, the PDF
and the tests read the same dictionaries. A name is the CSS variable without its `--`.
"""

# Colour: {name: (on a light page, on a dark page)}. Text on its ground has a contrast of at least
# 4.5, a mark of a figure at least 3 (tests/site/test_look.py).
COLORS = {
    "bg": ("#ffffff", "#10151c"),
    "surface": ("#f5f7fa", "#1a212b"),  # the ground of code and of what is quiet
    "line": ("#dde3ea", "#2d3744"),
    "ink": ("#1c2430", "#dfe5ec"),
    "muted": ("#566173", "#9aa7b8"),
    "accent": ("#1d5fc4", "#7fb0ff"),  # the one colour of links, buttons, focus and exercises
    "soft": ("#eaf1fc", "#182740"),  # the accent as a ground
    "ok": ("#0b7a4b", "#5cc795"),
    "ok-soft": ("#e8f5ee", "#12281f"),
    "not-yet": ("#b3450b", "#f2a065"),
    "not-yet-soft": ("#fdf1e8", "#2b2016"),
    # The series of figures. Which name has which of them all week: nnweek/plots.py.
    "s1": ("#1f6fc9", "#6aaeff"),
    "s2": ("#c2500a", "#ff9a4d"),
    "s3": ("#12805c", "#4fd0a0"),
    "s4": ("#8a4bb5", "#c79bf0"),
    "s5": ("#8f6a00", "#e0b84a"),
    "s6": ("#c02a5c", "#ff86ad"),
}
LIGHT = {name: light for name, (light, dark) in COLORS.items()}
DARK = {name: dark for name, (light, dark) in COLORS.items()}
SERIES = ("s1", "s2", "s3", "s4", "s5", "s6")

# Everything that is the same on a light and a dark page.
FIXED = {
    # `system-ui` alone is no text font on every system; these are, and all of similar width.
    "font": '-apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif',
    "mono": 'ui-monospace, "Cascadia Code", "Source Code Pro", Menlo, Consolas, "DejaVu Sans Mono",'
    " monospace",
    "size-code": "0.85rem",  # 13.6 px
    "size-small": "0.9375rem",  # 15 px: labels, the sidebars
    "size-note": "1rem",  # 16 px: captions, tables
    "size-body": "1.0625rem",  # 17 px
    "size-deck": "clamp(1.125rem, 1.05rem + 0.35vw, 1.22rem)",
    "size-h1": "clamp(1.75rem, 1.45rem + 1.5vw, 2.25rem)",  # 28 to 36 px
    "size-h2": "clamp(1.375rem, 1.25rem + 0.6vw, 1.625rem)",  # 22 to 26 px
    "size-h3": "1.1875rem",  # 19 px
    "size-hero": "clamp(2rem, 1.4rem + 3vw, 3.125rem)",  # 32 to 50 px
    "leading": "1.62",
    "measure": "36em",  # words; about 80 characters in Arial
    "measure-deck": "34em",
    "column": "44rem",  # code, tables and figures
    "page": "70rem",  # the landing page
    "space-1": "0.25rem",
    "space-2": "0.5rem",
    "space-3": "0.75rem",
    "space-4": "1rem",
    "space-5": "1.5rem",
    "space-6": "2.25rem",
    "space-7": "3.5rem",
    "radius-inline": "4px",
    "radius": "8px",  # code, verdicts, predictions
    "radius-card": "10px",
    "quick": "150ms",  # how long a colour or a border takes to change
}


def css(theme=None):
    """Return the variables as CSS: for both themes, or for one alone ("light" or "dark")."""

    def block(selector, values):
        return f"{selector}{{{''.join(f'--{name}:{value};' for name, value in values.items())}}}\n"

    if theme:
        return block(":root", {**(DARK if theme == "dark" else LIGHT), **FIXED})
    return (
        block(":root", {**LIGHT, **FIXED})
        + block('html[data-theme="dark"]', DARK)
        + "@media print{"
        + block("html[data-theme]", LIGHT)
        + "}\n"  # ink on white
    )
