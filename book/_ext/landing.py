"""The landing page: the build counts its facts, runs its check and crops its figures.

What a day or the checks know is not typed again: the days' titles, minutes and numbers of
exercises come from their notebooks, and the verdict is what the check says when the build
calls it. A name that does not exist, or a line that the program lacks, fails the build.
"""

import inspect
import os
import re
from html import escape

from directives import day_pages, read_again_with_the_checks
from docutils import nodes
from docutils.parsers.rst.directives import unchanged_required
from execution_cache import ROOT
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole
from tasks import element
from wayfinding import facts

from nnweek import results
from nnweek.checks import EXERCISES, progress_store, solutions
from nnweek.mnist import load_mnist


def setup(app):
    app.add_directive("verdict-on", VerdictOn)
    app.add_directive("day-card", DayCard)
    app.add_role("count", Count())
    app.add_role("measured", Measured())
    app.add_node(figure_of)
    app.add_node(measured)
    app.connect("doctree-resolved", insert_from_days)
    app.connect("html-page-context", describe_to_networks, priority=901)  # after `finish`
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def week_facts():
    """Return the sums over the days: exercises, questions and hours."""
    days = [facts(page)[0] for page in day_pages()]
    exercises, questions, minutes = (
        sum(day[name] for day in days) for name in ("exercises", "questions", "minutes")
    )
    return {"exercises": exercises, "questions": questions, "hours": round(minutes / 60)}


class Count(SphinxRole):
    """The number of exercises, questions or hours of the week."""

    def run(self):
        for page in day_pages():
            self.env.note_dependency(str(ROOT / f"{page}.ipynb"))
        return [nodes.Text(str(week_facts()[self.text]))], []


class measured(nodes.Inline, nodes.Element):
    """A placeholder for a result that a day records when the build runs it."""


class Measured(SphinxRole):
    """A share that a day of this build measured, by the name under which it was recorded."""

    def run(self):
        self.env.note_reread()  # the day may have measured it again
        return [measured(name=self.text)], []


class VerdictOn(SphinxDirective):
    """The solution of an exercise with one of its mistakes, and what the check says about it.

    The content is the part of this program that the page shows; a line `...` stands for the
    lines left out, and the last line calls the check.
    """

    required_arguments = 2  # an exercise, and the id of a mistake with a `slip`
    has_content = True

    def run(self):
        read_again_with_the_checks(self.env)
        try:
            verdict = verdict_on(*self.arguments, list(self.content))
        except (ValueError, KeyError) as error:
            raise self.error(str(error)) from None
        # Verdicts on the days' pages link to this folder as "..".
        text = verdict._repr_html_().replace(f'href="{os.environ["NNWEEK_BOOK"]}/', 'href="')
        code = "\n".join(self.content)
        parts = {
            "cell_input": nodes.literal_block(code, code, language="python"),
            "cell_output": nodes.raw("", text, format="html"),
        }
        containers = [nodes.container("", part, classes=[name]) for name, part in parts.items()]
        return [nodes.container("", *containers, classes=["cell"])]


def verdict_on(name, id_, shown):
    """Return the check's `Verdict` on a mistake, if the shown lines are those of the program."""
    slips = {mistake.id: mistake.slip for mistake in EXERCISES[name].mistakes if mistake.slip}
    program = inspect.getsource(getattr(solutions, name)).replace(*slips[id_])
    lines = [
        line for line in program.splitlines() if line.split("#")[0].strip() not in ("", "pass")
    ]
    pattern = "".join(
        r"(?:.*\n)+?" if line.strip() == "..." else re.escape(f"{line}\n") for line in shown[:-1]
    )
    if not re.fullmatch(pattern, "\n".join(lines) + "\n") or shown[-1] != f"checks.{name}({name})":
        raise ValueError(f"These are not lines of the solution of {name} with the mistake {id_!r}.")
    namespace = dict(vars(solutions))
    exec(program, namespace)
    given = progress_store.given_hints()
    progress_store.forget(name)  # this is a first attempt
    verdict = EXERCISES[name](namespace[name])
    progress_store.set_given_hints(given)
    if verdict.mistake != id_:
        raise ValueError(f"The check says {verdict.title!r} about the mistake {id_!r} of {name}.")
    return verdict


class figure_of(nodes.General, nodes.Element):
    """A placeholder for a figure that a day draws."""


class DayCard(SphinxDirective):
    """A card that links to a day: a figure, the title, one line, the minutes and the exercises.

    The figure is named by the beginning of its alt text.
    """

    required_arguments = 1
    option_spec = {"figure": unchanged_required}
    has_content = True

    def run(self):
        page = self.arguments[0]
        source = ROOT / f"{page}.py"
        self.env.note_dependency(str(source))
        self.env.note_reread()  # the day may have drawn its figure again
        heading = re.search(r"^# # (Day \d+) – (.+)$", source.read_text("utf-8"), re.MULTILINE)
        counted, _ = facts(page)
        work = "exercises" if counted["exercises"] else "questions"
        count = counted[work]
        title = nodes.reference("", heading[2], refuri=f"{page}.html", internal=True)
        figure = nodes.container(
            "", figure_of(page=page, alt=self.options["figure"]), classes=["day-figure"]
        )
        text = nodes.container("", classes=["day-text"])
        text += nodes.paragraph("", heading[1], classes=["day-number"])
        text += nodes.paragraph("", "", title, classes=["day-title"])
        self.state.nested_parse(self.content, self.content_offset, text)
        work = work if count != 1 else work.removesuffix("s")
        length = f"{counted['minutes']} minutes · {count} {work}"
        text += nodes.paragraph("", length, classes=["day-length"])
        day = re.search(r"day-(\d+)", page)
        names = [name for name, one in EXERCISES.items() if one.day == int(day[1])]
        # By these, the page counts what a reader has done: book/web/src/progress.js.
        own = {"data_exercises": " ".join(names), "data_questions": str(counted["questions"])}
        return [
            element.of("div", figure, text, classes=["docutils", "day"], data_day=day[0], **own)
        ]


def insert_from_days(app, doctree, docname):
    """Replace each placeholder by what the days drew or measured, once all pages are read."""
    warn = logging.getLogger(__name__).warning
    for place in list(doctree.findall(figure_of)):
        images = app.env.get_doctree(place["page"]).findall(nodes.image)
        matches = [image for image in images if image.get("alt", "").startswith(place["alt"])]
        if matches:
            # The page may have a figure as a PNG and as an SVG.
            image = max(matches, key=lambda each: each["uri"].endswith(".svg")).deepcopy()
            image["classes"].append("cropped")  # the axes' content only: book/_ext/figures.py
            place.replace_self(image)
        else:
            place.parent.remove(place)
            begin = repr(place["alt"])
            warn(
                f"{place['page']} has no figure whose alt text begins with {begin}",
                location=docname,
            )
    if places := list(doctree.findall(measured)):
        recorded = results.recorded(load_mnist().name)
        for place in places:
            if result := recorded.get(place["name"]):
                place.replace_self(nodes.Text(f"{result['value']:.2%}"))
            else:
                place.parent.remove(place)
                warn(f"No day has recorded {place['name']!r}", location=docname)


def describe_to_networks(app, pagename, templatename, context, doctree):
    """Add what a messenger or a social network shows of a link to the page."""
    base, project = app.config.html_baseurl, app.config.html_title or app.config.project
    tags = context.get("metatags", "")
    found = re.search(r'<meta name="description" content="([^"]*)"', tags)
    title = re.sub("<[^>]*>", "", context.get("title") or project).replace('"', "&quot;")
    described = {
        "og:type": "website",
        "og:site_name": escape(project),
        "og:title": title,
        "og:description": found and found[1],
        "og:url": context.get("pageurl") or base,
        "og:image": f"{base}_static/social-card.png",
        "og:image:width": "1200",
        "og:image:height": "630",
        "og:image:alt": CARD,
    }
    tags += "".join(
        f'<meta property="{name}" content="{text}">' for name, text in described.items() if text
    )
    context["metatags"] = tags + '<meta name="twitter:card" content="summary_large_image">'


# The picture, which `python .ci/pictures.py card` takes.
CARD = "The first lines of the course, and beside them a check that names a mistake."
