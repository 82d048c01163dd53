"""Markup of the report: text in both languages, escaped here and nowhere else.

Everything that goes into a page comes through `Markup`: a plain string is text, and is escaped where it is put in.
"""

from base64 import b64encode
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

from edged.evidence.verdict import Verdict
from edged.evidence.verification.sentences import VERDICTS
from edged.evidence.verification.words import Words, printable


class Markup(str):
    """Text that is markup already; only this module and constants of the page make it."""

    __slots__ = ()


Content: TypeAlias = str | Words | Markup


def put(content: Content) -> Markup:
    """Give content as markup: both languages of words, of which the page shows what is chosen."""
    if isinstance(content, Markup):
        return content
    if isinstance(content, Words):
        return Markup(f'<span lang="en">{escape(content.en)}</span> <span lang="zh-CN">{escape(content.zh)}</span>')
    return Markup(escape(printable(content)))


def spoken(words: Iterable[Words]) -> Markup:
    """Give several sentences, each language on its own."""
    said = list(words)
    english = escape(" ".join(each.en for each in said))
    chinese = escape("".join(each.zh for each in said))
    return Markup(f'<span lang="en">{english}</span> <span lang="zh-CN">{chinese}</span>')


def tag(name: str, *contents: Content, kind: str = "", **attributes: str) -> Markup:
    """Give an element; `kind` is its class, and attribute values are escaped too."""
    given = {"class": kind, **attributes} if kind else attributes
    written = "".join(f' {key.replace("_", "-")}="{escape(value)}"' for key, value in given.items())
    return Markup(f"<{name}{written}>{''.join(map(put, contents))}</{name}>")


def join(contents: Iterable[Content], between: str = "\n") -> Markup:
    """Put contents one after the other."""
    return Markup(between.join(map(put, contents)))


def table(headings: Iterable[Content], rows: Iterable[Iterable[Content]], kind: str = "") -> Markup:
    """Give a table; a row's cells are contents."""
    head = tag("tr", *(tag("th", each, scope="col") for each in headings))
    body = join(cells(each) for each in rows)
    return Markup(f"{tag('table', tag('thead', head), Markup(f'<tbody>{body}</tbody>'), kind=kind)}")


def cells(row: Iterable[Content]) -> Markup:
    """Give a row of a table."""
    return tag("tr", *(tag("td", each) for each in row))


def facts(rows: Iterable[tuple[Content, Content]], kind: str = "facts") -> Markup:
    """Give a table of names and values."""
    return tag(
        "table",
        tag("tbody", *(tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in rows)),
        kind=kind,
    )


def marked(verdict: Verdict, what: Words | None = None) -> Markup:
    """Give a verdict as a sign and in words, or what it is about in its place."""
    sign = {"verified": "✓", "failed": "✗", "not-established": "?"}[verdict]
    return tag("span", f"{sign} ", what or VERDICTS[verdict], kind=f"mark {verdict}")


def code(text: str) -> Markup:
    """Give a digest, path or name as it stands."""
    return tag("code", text)


def picture(mime: str, data: bytes, about: str) -> Markup:
    """Give a picture that lies in the page itself."""
    return Markup(f'<img src="data:{escape(mime)};base64,{b64encode(data).decode()}" alt="{escape(printable(about))}">')
