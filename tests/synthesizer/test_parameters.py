"""Each parameter is documented once, and what is documented is what the constructors have."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any

import pytest

from synthvae import Synthesizer
from synthvae.estimators import (
    AugmentedClassifier,
    AugmentedRegressor,
    VAEImputer,
    VAEOutlierDetector,
    VAEOverSampler,
    VAETransformer,
)
from synthvae.model import ModelConfig
from synthvae.recipe.sections import Model
from synthvae.synthesizer.configuration import MODEL, TRAINING
from synthvae.synthesizer.parameters import PARAMETERS, documented
from synthvae.training import TrainingConfig

ESTIMATORS = [
    AugmentedClassifier,
    AugmentedRegressor,
    Synthesizer,
    VAEImputer,
    VAEOutlierDetector,
    VAEOverSampler,
    VAETransformer,
]
BEHIND = [VAEOutlierDetector, VAETransformer]  # which pass their parameters on to a `Synthesizer`


def signature(estimator: Any) -> dict[str, inspect.Parameter]:
    return {k: v for k, v in inspect.signature(estimator.__init__).parameters.items() if k != "self"}


def described(estimator: Any) -> dict[str, str]:
    """The entries of the `Args:` section of a docstring."""
    section = re.split(r"\n\n", inspect.getdoc(estimator).partition("Args:\n")[2])[0]  # type: ignore[union-attr]
    entries = re.split(r"\n(?=\S)", textwrap.dedent(section))
    return {name: " ".join(text.split()) for name, _, text in (entry.partition(": ") for entry in entries)}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_docstring_describes_all_parameters_in_the_order_of_the_constructor(estimator: Any) -> None:
    found = described(estimator)
    assert list(found) == list(signature(estimator))
    assert all(text.endswith((".", "...")) for text in found.values())
    assert max(map(len, estimator.__doc__.splitlines())) <= 120


def test_the_constructor_has_the_documented_parameters_in_their_order() -> None:
    assert list(signature(Synthesizer)) == list(PARAMETERS)
    assert described(Synthesizer) == PARAMETERS


@pytest.mark.parametrize("estimator", BEHIND)
def test_a_parameter_with_the_same_description_has_the_same_default(estimator: Any) -> None:
    reference, own, texts = signature(Synthesizer), signature(estimator), described(estimator)
    shared = [name for name in own if texts[name] == PARAMETERS.get(name)]
    assert len(shared) >= 10
    assert {name: own[name].default for name in shared} == {name: reference[name].default for name in shared}


@pytest.mark.parametrize("name", [*MODEL, *TRAINING])
def test_defaults_are_those_of_the_configurations(name: str) -> None:
    fields = ModelConfig.model_fields if name in MODEL else TrainingConfig.model_fields
    if name != "learning_rate":  # None: that of the kind of training
        assert signature(Synthesizer)[name].default == fields[name].default


def test_a_recipe_describes_the_parameters_as_the_class_does() -> None:
    properties = Model.model_json_schema()["properties"]
    assert properties.keys() <= PARAMETERS.keys()
    assert {name: key["description"] for name, key in properties.items()} == {k: PARAMETERS[k] for k in properties}


def test_a_parameter_without_a_description_is_an_error() -> None:
    with pytest.raises(KeyError, match="unheard_of"):

        @documented()
        class Estimator:
            """An estimator.

            Args:
                {unheard_of}
            """
