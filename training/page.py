"""Pages of HTML that hold all that they show, and open anywhere without a network."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined


def page(template: str, **content: Any) -> str:
    """Fill a template of this folder; every text in it is escaped."""
    environment = Environment(
        loader=FunctionLoader(lambda name: files("training").joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**content)
