"""One stylesheet for a page, with the rules that the site uses.

The theme and its extensions bring ten, and a page shows nothing before the last of them has
come. Nine tenths of their rules are for classes that no page has and no script gives.
"""

import hashlib
import os
import re
from pathlib import Path

import tinycss2

LINK = re.compile(r'<link [^>]*href="([^"?]+\.css)(?:\?[^"]*)?"[^>]*>\s*')
# An address relative to its file, as in url("../webfonts/fa-solid-900.woff2").
ADDRESS = re.compile(r"""url\((["']?)(?!data:|https?:|[#/])([^"')]+)\1\)""")
AROUND_RULES = ("media", "supports", "layer", "container")


def setup(app):
    app.connect("build-finished", join_the_styles, priority=900)  # when all others are written
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def join_the_styles(app, exception):
    """Put one stylesheet in the place of all that a page names."""
    static = Path(app.outdir) / "_static"
    if exception is not None or app.builder.format != "html":
        return
    pages = {path: path.read_text(encoding="utf-8") for path in Path(app.outdir).rglob("*.html")}
    scripts = [path.read_text(encoding="utf-8") for path in static.rglob("*.js")]
    words = {word for text in (*pages.values(), *scripts) for word in re.findall(r"[\w-]+", text)}
    joined = {}  # {the stylesheets that a page names: the one in their place}
    for path, text in pages.items():
        links = list(LINK.finditer(text))
        files = tuple(Path(os.path.normpath(path.parent / link[1])) for link in links)
        if len(files) < 2 or not all(file.is_file() for file in files):
            continue  # written by an earlier build, which has done it; or a template
        if files not in joined:
            style = "".join(kept(file, static, words) for file in files)
            names = ", ".join(file.relative_to(static).as_posix() for file in files)
            name = f"styles-{hashlib.sha256(style.encode()).hexdigest()[:12]}.css"
            joined[files] = static / name
            joined[files].write_text(
                f"/* The rules in use of {names} */\n{style}", encoding="utf-8"
            )
        address = os.path.relpath(joined[files], path.parent).replace(os.sep, "/")
        start, text = links[0].start(), LINK.sub("", text)
        text = text[:start] + f'<link rel="stylesheet" href="{address}">\n' + text[start:]
        path.write_text(text, encoding="utf-8")


def kept(file, folder, words):
    """Return the rules of a stylesheet that may match, to stand in a file of this folder.

    Args:
        file: the stylesheet; what it imports is put in its place.
        folder: where the result will lie, for the addresses in it.
        words: all words of the pages and scripts; a class that is none of them matches nothing.
    """

    def moved(found):
        address = os.path.relpath(file.parent / found[2], folder).replace(os.sep, "/")
        return f'url("{address}")'

    def of(rules):
        for rule in rules:
            if rule.type == "qualified-rule":
                if selectors := [s for s in split(rule.prelude) if classes(s) <= words]:
                    selectors = ",".join(tinycss2.serialize(s).strip() for s in selectors)
                    yield f"{selectors}{{{tinycss2.serialize(rule.content).strip()}}}\n"
            elif rule.type != "at-rule" or rule.lower_at_keyword == "charset":
                continue
            elif rule.lower_at_keyword == "import":
                address = next(t.value for t in rule.prelude if t.type in ("string", "url"))
                yield kept(file.parent / address, folder, words)
            elif rule.lower_at_keyword in AROUND_RULES:
                inner = tinycss2.parse_rule_list(rule.content, skip_comments=True)
                if inner := "".join(of(inner)):
                    yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{inner}}}\n"
            else:
                yield rule.serialize() + "\n"

    text = ADDRESS.sub(moved, file.read_text(encoding="utf-8"))
    rules = tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True)
    return "".join(of(rules))


def split(prelude):
    """The selectors of a rule, which commas part."""
    selectors = [[]]
    for token in prelude:
        if token == ",":
            selectors.append([])
        else:
            selectors[-1].append(token)
    return selectors


def classes(selector):
    """The words in the classes that an element must have; not those within :not(), :is() and so on."""
    pairs = zip(selector, selector[1:], strict=False)
    names = [name.value for dot, name in pairs if dot == "." and name.type == "ident"]
    return {word for name in names for word in re.findall(r"[\w-]+", name)}
