"""The page: one HTML file with everything inside, from a `Result`. It opens without a network.

Every value goes through jinja2's autoescape; the page's own policy forbids it to fetch or run anything.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from tinyloc import files
from tinyloc.judge.budget import kilobytes
from tinyloc.judge.result import Result
from tinyloc.report import figures, words


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tinyloc.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        percent=words.percent,
        lead=words.lead,
        drawn=words.drawn,
        count=words.count,
        quantity=words.quantity,
        kilobytes=kilobytes,
    )
    return environment


def render(result: Result) -> str:
    """The whole page as HTML. The same result gives the same text."""
    template = _environment().get_template("page.html")
    return template.render(
        result=result,
        model=words.model(result.model.family, result.model.size),
        good=words.good(result),
        identical=words.identical(result),
        badge=words.badge(result),
        headline=words.headline(result),
        proof=words.proof(result),
        notices=words.notices(result),
        rows=words.rows(result),
        best=max(row.f1 for row in words.rows(result)[2:]),
        leads=words.leads(result),
        seeds=words.seeds(result),
        changes=words.changes(result),
        matrix=figures.matrix(result),
        mixed=figures.mixed_up(result),
        sessions=figures.sessions(result),
        session_count=figures.session_count(result),
        bars=figures.bars(result),
    )


def write(result: Result, path: Path) -> None:
    """Write the page to `path`, whole or not at all."""
    files.write_text(path, render(result))
