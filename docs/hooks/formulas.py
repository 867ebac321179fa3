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

# TeX sets a thin space between the name of a function and what follows it without a bracket.
NAME = re.compile(r"(<mi>(?:log|exp)</mi>)(?=<m(?!o stretchy))")


def on_page_content(content: str, **_: object) -> str:
    return FORMULA.sub(as_mathml, content)


def as_mathml(formula: re.Match[str]) -> str:
    latex = html.unescape(formula["latex"]).strip()
    display = "inline" if formula["tag"] == "span" else "block"
    mathml = NAME.sub(r'\1<mspace width="0.17em"/>', convert(latex, display=display))
    return mathml if display == "inline" else f'<div class="formula">{mathml}</div>'
