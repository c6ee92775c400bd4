"""The sections of a recipe: their keys are the parameters of a Python call."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from synthvae.privacy import PrivacyBudget
from synthvae.synthesizer.parameters import PARAMETERS
from synthvae.synthesizer.synthesizer import Synthesizer

ELSEWHERE = ("target", "schema", "privacy")  # parameters of `Synthesizer` that have sections or keys of their own
OURS = ("journal", "verbose", "callbacks")  # those that the run sets, or that YAML cannot express
AMOUNTS = ("rows", "rows_per_class", "classes", "subjects", "scale")
LINKED_AMOUNTS = ("subjects", "scale")  # of linked tables and of long ones
LINKED = {
    "model": ("max_steps", "protect", "device", "random_state"),
    "generation": (*LINKED_AMOUNTS, "workers", "random_state"),
    "split": ("holdout", "random_state"),
    "evaluation": ("synthetic", "holdout", "attacks", "random_state"),
}
"""The keys of sections that linked tables and long ones have, too."""
WHOLE = Annotated[int, Field(ge=0)]
Label = str | int | float | bool
Share = Annotated[float, Field(gt=0, lt=1)]


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Describe each key in the JSON schema by the docstring of its section."""
    document = inspect.getdoc(model) or ""
    described = re.split(r"\n(?=    \w+:)", document.partition("Args:\n")[2].partition("\n\n")[0])
    for entry in described:
        name, _, text = entry.strip().partition(": ")
        if name in schema.get("properties", {}):
            schema["properties"][name]["description"] = " ".join(text.split())
    schema["description"] = document.partition("\n")[0]


class RecipeSection(BaseModel):
    """A section of a recipe: unknown keys and values of another type are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, json_schema_extra=_describe
    )

    def stated(self) -> dict[str, Any]:
        """Return the keys that the recipe states, and their values."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


class Reading(RecipeSection):
    """How the real tables are written in their files: the fields of `ReadOptions` in `synthvae.tables`.

    Args:
        sep: Separator of the fields of a text file, one character, or tab. None: the most frequent one in the header.
        decimal: Decimal separator of numbers in text.
        thousands: Separator of groups of three digits in text.
        date_format: Format of dates in text, such as %d.%m.%Y (strptime), or a list of formats.
        na_values: Text that means a missing value, besides an empty field, or a list of texts.
        sheet: Name or number, from 1, of the sheet of an Excel file.
    """

    sep: str | None = None
    decimal: str = "."
    thousands: str | None = None
    date_format: str | list[str] | None = None
    na_values: str | list[str] | None = None
    sheet: str | int | None = None


class Split(RecipeSection):
    """Which real rows are held out, so that memorised rows can be detected.

    Args:
        holdout: Share of the rows to hold out; of linked tables and of long ones, share of the subjects.
        unit: The column that identifies units, such as patients, whose rows stay on one side. None: that of `model`, or
            each row is one.
        by: The same as `unit`, its name in earlier releases.
        random_state: Seed of the draw; ignored under a privacy budget.
    """

    holdout: Share
    unit: str | None = None
    by: str | None = None
    random_state: WHOLE = 0

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if self.by is not None and self.unit not in {None, self.by}:
            raise ValueError(f"`split.by` is the same as `split.unit`, got {self.by!r} and {self.unit!r}. Drop `by`.")
        return self


class Generation(RecipeSection):
    """How many synthetic rows are generated: the parameters of `Synthesizer.generate`.

    Linked tables and long ones have `subjects` or `scale`, `workers` and `random_state` alone.

    Args:
        rows: Number of rows, with classes in their training shares.
        rows_per_class: Number of rows of each class.
        classes: Number of rows of each named class.
        subjects: Number of subjects: rows of each table without a parent, or entities of a long table.
        scale: Number of subjects relative to that of the training tables.
        given: Conditions by column, with `model: {conditions: true}`: a value, a list of values, an interval such as
            "60..", or null for missing.
        copies: Number of independent datasets `copy_1/`, `copy_2/`, ...; the first one is evaluated. None: one dataset.
        describe: Write the rows, or the copies, to `data/`, beside `README.md`, a dataset card, and `croissant.json`.
        partition: Write a folder `TARGET=LABEL/` for each class.
        workers: Number of worker processes.
        random_state: Seed of the draws.
    """

    rows: WHOLE | None = None
    rows_per_class: WHOLE | None = None
    classes: dict[Label, WHOLE] | None = None
    subjects: WHOLE | None = None
    scale: Annotated[float, Field(ge=0, lt=1e12)] | None = None
    given: dict[str, Label | float | list[Label | float | None] | None] | None = None
    copies: Annotated[int, Field(ge=1)] | None = None
    describe: bool = False
    partition: bool = False
    workers: Annotated[int, Field(ge=1)] = 1
    random_state: WHOLE = 0

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        stated = [name for name in AMOUNTS if getattr(self, name) is not None]
        if len(stated) != 1:
            raise ValueError(
                f"`generation` must have exactly one of {', '.join(AMOUNTS)}, got {', '.join(stated) or 'none'}"
            )
        return self


class Augmenting(RecipeSection):
    """Which classes get more rows: the parameters of `synthvae.estimators.augment.augment`.

    Args:
        strategy: Classes to augment: auto (all but the largest), minority, not majority, not minority, all, a share of
            the larger of two classes (0.5), a list of classes, or the size of each named class.
        mark: Name of the boolean column that tells synthetic rows from real ones.
        synthetic_only: Write synthetic rows only.
        random_state: Seed of the draws.
    """

    strategy: str | float | list[Label] | dict[Label, WHOLE] = "auto"
    mark: str = "synthetic"
    synthetic_only: bool = False
    random_state: WHOLE = 0


class Evaluating(RecipeSection):
    """What is measured: the parameters of `synthvae.evaluation.evaluate`.

    Linked tables and long ones have `synthetic`, `holdout`, `attacks` and `random_state` alone.

    Args:
        synthetic: A table of existing synthetic rows: nothing is fitted, the rows are only evaluated. Of linked tables,
            a folder with a file or folder for each table, or a YAML file that describes them.
        holdout: A table of real rows that were not used for training, without `split`; linked tables as `synthetic`.
        group: Column of groups of people: fidelity and utility are measured for each of them.
        unit: Column of units with several rows, such as patients. None: that of `split` or `model`.
        duration: Column of the time to an event or to censoring, for survival analysis. None: that of `model`.
        event: Column of whether the event was observed (1, true) or censored. None: that of `model`.
        attacks: Run privacy attacks, which take longest.
        random_state: Seed of everything that is drawn.
    """

    synthetic: str | None = None
    holdout: str | None = None
    group: str | None = None
    unit: str | None = None
    duration: str | None = None
    event: str | None = None
    attacks: bool = True
    random_state: WHOLE = 0


class Report(RecipeSection):
    """Which reports are written, and which thresholds must be met.

    Args:
        html: Name of the HTML report in the output folder. It needs the extra `synthvae[report]`.
        json: Name of the JSON report in the output folder.
        fail_under: Lower limits, by metric, where higher is better.
        fail_over: Upper limits, by metric, where lower (or one half) is better.
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
                    f"`report.{key}` must be the name of a .{key} file in the output folder, such as report.{key}, "
                    f"got {name!r}"
                )
        return self


def _parameters() -> dict[str, tuple[Any, Any]]:
    """Return types, defaults and descriptions of the keys of `model`."""
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

    class Model(RecipeSection):
        """The parameters of `Synthesizer`."""

    class Privacy(RecipeSection):
        """The fields of `PrivacyBudget`."""

else:
    Model = create_model("Model", __base__=RecipeSection, __doc__="The parameters of `Synthesizer`.", **_parameters())
    Privacy = create_model(
        "Privacy",
        __base__=RecipeSection,
        __doc__=PrivacyBudget.__doc__,
        **{name: (field.annotation, field) for name, field in PrivacyBudget.model_fields.items()},
    )
