"""The sections of a recipe: each key is a parameter of the Python call that its section is."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from synthvae.privacy import PrivacyBudget
from synthvae.synthesizer.parameters import PARAMETERS
from synthvae.synthesizer.synthesizer import Synthesizer

ELSEWHERE = ("target", "schema", "privacy")  # parameters of `Synthesizer` that are sections or keys of their own
OURS = ("journal", "verbose", "callbacks")  # those that the run itself decides, or that no page can say
AMOUNTS = ("rows", "rows_per_class", "classes")
WHOLE = Annotated[int, Field(ge=0)]
Label = str | int | float | bool
Share = Annotated[float, Field(gt=0, lt=1)]


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Let editors show what the docstring of a section says of each key."""
    document = inspect.getdoc(model) or ""
    described = re.split(r"\n(?=    \w+:)", document.partition("Args:\n")[2].partition("\n\n")[0])
    for entry in described:
        name, _, text = entry.strip().partition(": ")
        if name in schema.get("properties", {}):
            schema["properties"][name]["description"] = " ".join(text.split())
    schema["description"] = document.partition("\n")[0]


class Part(BaseModel):
    """A section of the page: its keys are known, its values have their own types."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, json_schema_extra=_describe
    )

    def given(self) -> dict[str, Any]:
        """Return the keys that the page states, and their values."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


class Split(Part):
    """Which real rows are held out, so that what is learned by heart can be told.

    Args:
        holdout: The share of the rows that is held out.
        by: The column that says whose row it is: all rows of one go to the same side. None: each row goes by itself.
        random_state: Seed of the draw; under a privacy budget it follows none.
    """

    holdout: Share
    by: str | None = None
    random_state: WHOLE = 0


class Generation(Part):
    """How many rows are made: the parameters of `Synthesizer.generate`.

    Args:
        rows: The number of rows, classes in the shares of training.
        rows_per_class: The number of rows of each class.
        classes: The number of rows of some classes.
        partition: Write a folder `TARGET=LABEL/` for each class.
        workers: Processes that draw parts.
        random_state: Seed of the draws.
    """

    rows: WHOLE | None = None
    rows_per_class: WHOLE | None = None
    classes: dict[Label, WHOLE] | None = None
    partition: bool = False
    workers: Annotated[int, Field(ge=1)] = 1
    random_state: WHOLE = 0

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        stated = [name for name in AMOUNTS if getattr(self, name) is not None]
        if len(stated) != 1:
            raise ValueError(
                f"`generation` must have exactly one of {', '.join(AMOUNTS)}, however, it has {stated or 'none'}: "
                "say how many rows"
            )
        return self


class Augmenting(Part):
    """Which classes get more rows: the parameters of `synthvae.estimators.augment.augment`.

    Args:
        strategy: Classes that get rows: auto (all but the largest), minority, not majority, not minority, all, a share
            of the larger of two (0.5), a list of classes, or the number of rows that each named class is to have.
        mark: The name of the boolean column that says whether a row is synthetic.
        synthetic_only: Whether the real rows are left out.
        random_state: Seed of the draws.
    """

    strategy: str | float | list[Label] | dict[Label, WHOLE] = "auto"
    mark: str = "synthetic"
    synthetic_only: bool = False
    random_state: WHOLE = 0


class Evaluating(Part):
    """What is measured: the parameters of `synthvae.evaluation.evaluate`.

    Args:
        synthetic: A table of synthetic rows that is there already: nothing is learned, it is only evaluated.
        holdout: A table of real rows that were not learned, where the rows are not split.
        group: A column of groups of people, for each of which fidelity and utility are told apart.
        duration: Column of the time to an event or to the end of the observation, for survival.
        event: Column that says whether the event was seen (1, true) or not.
        attacks: Whether rows are attacked as by an adversary, which takes longest.
        random_state: Seed of everything that is drawn.
    """

    synthetic: str | None = None
    holdout: str | None = None
    group: str | None = None
    duration: str | None = None
    event: str | None = None
    attacks: bool = True
    random_state: WHOLE = 0


class Report(Part):
    """What is written of the evaluation, and which figures must be reached.

    Args:
        html: Name of the report for people, in the output folder. It needs the extra `synthvae[report]`.
        json: Name of the report for machines, in the output folder.
        fail_under: Figures that metrics which are better high must reach, by metric.
        fail_over: Figures that metrics which are better low, or at one half, must not exceed, by metric.
    """

    html: str | None = None
    json_: Annotated[str | None, Field(alias="json")] = None
    fail_under: dict[str, float] = Field(default_factory=dict)
    fail_over: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _plain_names(self) -> Self:
        for key, name in (("html", self.html), ("json", self.json_)):
            if name is not None and (Path(name).name != name or not name.endswith(f".{key}")):
                raise ValueError(
                    f"`report.{key}` must be the name of a .{key} file in the output folder, however, it is {name!r}: "
                    f"say report.{key}"
                )
        return self


def _parameters() -> dict[str, tuple[Any, Any]]:
    """Types, defaults and descriptions of the keys of `model`."""
    hints = get_type_hints(Synthesizer.__init__)
    signature = inspect.signature(Synthesizer.__init__).parameters
    fields = {name: (hints[name], signature[name].default) for name in PARAMETERS if name not in ELSEWHERE + OURS}
    fields |= {
        "random_state": (WHOLE, 0),
        "image_shape": (Annotated[tuple[int, int], Field(strict=False)] | None, None),
        "log_dir": (str | None, None),
    }
    return {name: (kind, Field(default, description=PARAMETERS[name])) for name, (kind, default) in fields.items()}


if TYPE_CHECKING:

    class Model(Part):
        """The parameters of `Synthesizer`."""

    class Privacy(Part):
        """The fields of `PrivacyBudget`."""

else:
    Model = create_model("Model", __base__=Part, __doc__="The parameters of `Synthesizer`.", **_parameters())
    Privacy = create_model(
        "Privacy",
        __base__=Part,
        __doc__=PrivacyBudget.__doc__,
        **{name: (field.annotation, field) for name, field in PrivacyBudget.model_fields.items()},
    )
