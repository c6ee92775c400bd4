"""What `augment.py` compares: ways to learn from few rows of a class, each a classifier to be fitted to a fold."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from imblearn.over_sampling import ADASYN, SMOTE, SMOTENC, RandomOverSampler
from imblearn.pipeline import Pipeline as Resampled
from peers import Ctgan, Filler
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from synthvae.estimators import AugmentedClassifier, VAEOverSampler
from synthvae.estimators.generator import JointGenerator

LABEL = "label"
NUMBERS = make_column_selector(dtype_include="number")
TEXT = make_column_selector(dtype_exclude="number")

Fit = Callable[[Any, pd.DataFrame, pd.Series, int], Any]
"""From a classifier, rows, labels (0 or 1) and a seed to the fitted classifier."""


def classifiers() -> dict[str, Any]:
    """The classifiers, each behind what it needs to take a table."""
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    text = make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore"))
    scaled = make_column_transformer((numbers, NUMBERS), (text, TEXT), sparse_threshold=0)
    coded = make_column_transformer(
        ("passthrough", NUMBERS),
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan), TEXT),
    )
    return {
        "logistic regression": make_pipeline(scaled, LogisticRegression(max_iter=2000)),
        "boosting": make_pipeline(coded, HistGradientBoostingClassifier(random_state=0)),
        "forest": make_pipeline(scaled, RandomForestClassifier(300, random_state=0)),
        "kNN": make_pipeline(scaled, KNeighborsClassifier(15)),
    }


def none(model: Any, X: pd.DataFrame, y: pd.Series, seed: int) -> Any:
    """The real rows as they are."""
    del seed
    return clone(model).fit(X, y)


def class_weights(model: Any, X: pd.DataFrame, y: pd.Series, seed: int) -> Any:
    """Errors weigh by the rarity of the class, where the classifier can do that."""
    last = model[-1]
    weighed = last.set_params(class_weight="balanced") if "class_weight" in last.get_params() else last
    return none(make_pipeline(clone(model[0]), clone(weighed)), X, y, seed)


def threshold(model: Any, X: pd.DataFrame, y: pd.Series, seed: int) -> Any:
    """The threshold is tuned by inner cross-validation."""
    return TunedThresholdClassifierCV(clone(model), scoring="balanced_accuracy", cv=3, random_state=seed).fit(X, y)


def random(model: Any, X: pd.DataFrame, y: pd.Series, seed: int) -> Any:
    """Scarce rows again."""
    return clone(model).fit(*RandomOverSampler(random_state=seed).fit_resample(X, y))


def smote(model: Any, X: pd.DataFrame, y: pd.Series, seed: int) -> Any:
    """SMOTE, or SMOTENC where there are categories; gaps are filled with medians and a category of their own."""
    filler = Filler(X)
    filled, neighbours = filler.fill(X), min(5, int(y.value_counts().min()) - 1)
    filled[filler.numbers] = filled[filler.numbers].astype(float)
    common = {"k_neighbors": neighbours, "random_state": seed}
    sampler = SMOTENC(filler.text, **common) if filler.text else SMOTE(**common)
    more, labels = sampler.fit_resample(filled, y)
    return clone(model).fit(filler.empty(more), labels)


def adasyn(model: Any, X: pd.DataFrame, y: pd.Series, seed: int) -> Any:
    """ADASYN, which knows no categories, on what the classifier sees; its gaps are filled."""
    filled = SimpleImputer(keep_empty_features=True)
    steps = [("see", clone(model[0])), ("fill", filled), ("more", ADASYN(random_state=seed)), ("clf", clone(model[-1]))]
    return Resampled(steps).fit(X, y)


def tvae(model: Any, X: pd.DataFrame, y: pd.Series, seed: int) -> Any:
    """TVAE of ctgan, of which scarce rows are kept until classes are balanced."""
    return clone(model).fit(*_of_tvae(X, y, seed))


def ours(model: Any, X: pd.DataFrame, y: pd.Series, seed: int, **options: Any) -> Any:
    """`VAEOverSampler`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(model).fit(*VAEOverSampler(random_state=seed, **options).fit_resample(X, y))


def augmented(model: Any, X: pd.DataFrame, y: pd.Series, seed: int, **options: Any) -> Any:
    """`AugmentedClassifier`; its default, "auto", lets inner cross-validation choose, which may take none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AugmentedClassifier(model, random_state=seed, **options).fit(X, y)


METHODS: dict[str, Fit] = {
    "none": none,
    "class weights": class_weights,
    "threshold": threshold,
    "random": random,
    "SMOTE(NC)": smote,
    "ADASYN": adasyn,
    "TVAE": tvae,
    "ours": ours,
    "ours, auto": augmented,
    "ours, 1.0": partial(augmented, amount=1.0),
    "ours, 3.0": partial(augmented, amount=3.0),
    "ours, agreement": partial(ours, filter="agreement"),
    "ours, likelihood": partial(ours, filter="likelihood"),
}


def _once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same rows and seed give the same result: it is worked out once for all classifiers."""
    kept: dict[Any, Any] = {}

    def remembered(*arguments: Any) -> Any:
        key = tuple(_key(argument) for argument in arguments)
        if key not in kept:
            if len(kept) > KEPT:
                kept.clear()
            kept[key] = function(*arguments)
        return kept[key]

    return remembered


KEPT = 16


def _key(value: Any) -> Any:
    if isinstance(value, (pd.DataFrame, pd.Series)):
        return int(pd.util.hash_pandas_object(value.reset_index(drop=True)).sum()), len(value)
    if hasattr(value, "to_pandas"):
        return _key(value.to_pandas())
    return repr(value)


@_once
def _of_tvae(X: pd.DataFrame, y: pd.Series, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    labels = y.map({0: "no", 1: "yes"}).rename(LABEL)
    generator = Ctgan("TVAE", LABEL, seed)
    generator.fit(pd.concat([X, labels], axis=1))
    wanted, parts = abs(int((y == 0).sum()) - int((y == 1).sum())), []
    scarce = "yes" if (y == 1).sum() < (y == 0).sum() else "no"
    for _ in range(50):
        drawn = generator.sample(max(4 * wanted, 1000))
        parts.append(drawn[drawn[LABEL] == scarce])
        if sum(map(len, parts)) >= wanted:
            break
    made = pd.concat(parts)[:wanted]
    more = pd.concat([X, made.drop(columns=LABEL).astype(X.dtypes.to_dict(), errors="ignore")], ignore_index=True)
    return more, pd.concat([y, made[LABEL].map({"no": 0, "yes": 1})], ignore_index=True)


JointGenerator.fit = _once(JointGenerator.fit)  # type: ignore[method-assign]
