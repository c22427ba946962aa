"""The documentation keeps in step with the code."""

from typing import Any, get_args

import pytest
from pydantic import BaseModel

from calorimeter.core.deployment import Deployment
from tests.places import DOCS


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
