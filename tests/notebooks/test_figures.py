"""Figures: one per cell, each with alt text and a sentence on how to read it."""

import ast
import re

from support.notebooks import DAYS, SUMMARY, code_cells, every_day, sections


def drawing_calls(node, repeated=False):
    """[(call that draws a figure, whether it may run more than once)] below a syntax node."""
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            function = child.func
            name = getattr(function, "id", "")
            base = getattr(getattr(function, "value", None), "id", "")
            makes = base == "plt" and function.attr in ("subplots", "figure")
            if name.startswith(("plot_", "show_screenshot")) or makes:
                found.append((ast.unparse(child), repeated))
        loops = (ast.For, ast.While, ast.FunctionDef, ast.ListComp, ast.GeneratorExp, ast.DictComp)
        found += drawing_calls(child, repeated or isinstance(child, loops))
    return found


def figures(day):
    """[(cell, its drawing calls)]; figures that are closed again are frames of one animation."""
    found = []
    for cell in code_cells(day):
        calls = drawing_calls(ast.parse(cell.source))
        if "plt.close(" in cell.source:
            calls = [("an animation", False)]
        if calls:
            found.append((cell, calls))
    return found


def alt_text(cell):
    return cell.metadata.get("mystnb", {}).get("image", {}).get("alt")


@every_day
def test_day_has_figures_and_a_cell_draws_only_one(day):
    """Alt text belongs to the cell, so two figures would share it."""
    assert figures(day) or day == SUMMARY
    for _, calls in figures(day):
        assert len(calls) == 1, calls
        assert not calls[0][1], f"in a loop or a function: {calls[0][0]}"


@every_day
def test_alt_text_says_what_a_figure_shows(day):
    for cell, calls in figures(day):
        alt = alt_text(cell)
        assert alt, f"no alt text: {calls}"
        assert len(alt) >= 40, alt
        assert alt.endswith("."), alt
        assert not re.search(r"\d[.,]\d|\d\s?%|per ?cent", alt), f"a measured number in: {alt}"
    drawn = [id(cell) for cell, _ in figures(day)]
    for cell in code_cells(day):
        assert alt_text(cell) is None or id(cell) in drawn, f"alt text without a figure: {cell}"


def test_alt_texts_are_unique():
    alts = [alt_text(cell) for day in DAYS for cell, _ in figures(day)]
    assert len(alts) == len(set(alts))


@every_day
def test_every_figure_is_explained(day):
    """A "How to read" in the section, or text printed by the next cell; next to images, any text."""
    drawn = {id(cell): calls[0][0] for cell, calls in figures(day)}
    for heading, parts in sections(day):
        how_to_read = any(isinstance(part, str) and "*How to read " in part for part in parts)
        for place, part in enumerate(parts):
            call = drawn.get(id(part))
            if call is None or how_to_read:
                continue
            beside = parts[place + 1 : place + 2]
            if call.startswith("plot_images"):
                beside += parts[max(0, place - 1) : place]
                explained = any(isinstance(near, str) for near in beside)
            else:
                explained = any("Markdown(" in getattr(near, "source", "") for near in beside)
            assert explained, f"no text says how to read {call} in the section {heading!r}"
