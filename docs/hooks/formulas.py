"""Formulas become MathML while the site is built, which browsers draw without a script.

In the sources they stand as ``$...$`` and ``$$...$$``, as GitHub has them.
"""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)


def on_page_content(content: str, **_: object) -> str:
    return FORMULA.sub(as_mathml, content)


def as_mathml(formula: re.Match[str]) -> str:
    latex = html.unescape(formula["latex"]).strip()
    if formula["tag"] == "span":
        return convert(latex)
    return f'<div class="formula">{convert(latex, display="block")}</div>'
