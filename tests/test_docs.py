"""The documentation keeps in step with the code."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from calorimeter.core.deployment import Deployment
from tests.places import CLONE, DOCS

PAGES = (*sorted(CLONE.glob("*.md")), *sorted(DOCS.rglob("*.md")), CLONE / "reports/README.md")
LINK = re.compile(r"(?<!`)\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def fields(model: type[BaseModel]) -> set[str]:
    """All keys of a model and of the models in it, secrets aside."""
    found = set()
    for name, field in model.model_fields.items():
        found.add(name)
        for inner in models_in(field.annotation):
            if inner.__name__ != "Secret":
                found |= fields(inner)
    return found


def models_in(annotation: Any) -> set[type[BaseModel]]:
    """The models in a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for inner in get_args(annotation) for model in models_in(inner)}


@pytest.mark.parametrize("key", sorted(fields(Deployment)))
def test_every_key_of_a_deployment_is_documented(key: str) -> None:
    """Every key that deployment.toml may have stands in docs/reference/deployment.md."""
    text = (DOCS / "reference/deployment.md").read_text(encoding="utf-8")
    assert f"`{key}`" in text or f"[{key}]" in text or f"{key} =" in text or f"{{ name, {key} }}" in text


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, made as GitHub makes them."""
    headings = (text.lower().replace("`", "") for text in HEADING.findall(page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", text).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CLONE)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """Files and headings that a page links to exist in the clone."""
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def test_the_index_names_every_page() -> None:
    """docs/README.md links to each page of the documentation."""
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    missing = [page.relative_to(DOCS) for page in DOCS.rglob("*.md") if page.name != "README.md"]
    assert [str(page) for page in missing if f"]({page})" not in index] == []
