"""Rows without a label: the missing class is marginalised, and says what p(y | x) is."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from synthvae import Synthesizer
from synthvae.codes import Slots, Value
from synthvae.errors import TableError
from synthvae.estimators import AugmentedClassifier
from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.training.batches import LabelledRows
from synthvae.training.semi_supervised import UNKNOWN, LabelPosterior

pytestmark = [
    pytest.mark.filterwarnings("ignore:target 'target'.* have no label:UserWarning"),
    pytest.mark.filterwarnings("ignore:column 'target'. every value is missing:UserWarning"),
]

SLOTS = Slots((3, 2), (Value(0), Value(1)))
TINY = Synthesizer(max_steps=2, width=4, latent_dim=2)


def some(rows: int, seed: int = 0) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    digits = torch.randint(2, (rows, 2), generator=generator, dtype=torch.int8)
    return Rows(digits, torch.randn(rows, 2, generator=generator))


@pytest.fixture
def model() -> CVAE:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = CVAE(SLOTS, 3, ModelConfig(latent_dim=2, width=8))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return network.eval()


def test_missing_labels_are_drawn_from_the_posterior_of_the_class(model: CVAE) -> None:
    """q(y | x) is proportional to p(y) exp(ELBO(x, y)); the shares of draws are its mean over the noise."""
    labels = torch.tensor([0, 1, 1, 2] * 20)
    partly = labels.clone().index_fill_(0, torch.tensor([0]), UNKNOWN)
    posterior = LabelPosterior(model, LabelledRows(some(80), partly), _seeded())
    one = some(1, seed=5)
    many = Rows(one.digits.expand(20_000, -1), one.values.expand(20_000, -1))
    drawn = posterior.complete(LabelledRows(many, torch.full((20_000,), UNKNOWN))).labels
    noise = torch.randn(4000, 2, generator=torch.Generator().manual_seed(9))
    counts = torch.tensor([19.0, 40.0, 20.0])
    rows = Rows(one.digits.expand(4000, -1), one.values.expand(4000, -1))
    bounds = []
    for label in range(3):
        terms = model.elbo(rows, torch.full((4000,), label), noise)
        bounds.append(terms.reconstruction - terms.kl.sum(1) + (counts[label] / 79).log())
    expected = torch.stack(bounds, 1).softmax(1).mean(0).detach()
    found = torch.bincount(drawn, minlength=3) / 20_000
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_known_labels_stay_and_without_unknown_ones_nothing_is_drawn(model: CVAE) -> None:
    labels = torch.arange(60) % 3
    generator, whole = _seeded(), LabelledRows(some(60), labels)
    posterior = LabelPosterior(model, whole, generator)
    state = generator.get_state()
    assert not posterior.is_needed
    assert posterior.complete(whole) is whole
    assert torch.equal(generator.get_state(), state)
    partly = LabelledRows(some(60), labels.clone().index_fill_(0, torch.arange(10), UNKNOWN))
    drawn = LabelPosterior(model, partly, generator).complete(partly).labels
    assert (drawn[10:] == labels[10:]).all()
    assert (drawn >= 0).all()


@pytest.fixture(scope="module")
def wine() -> tuple[pd.DataFrame, pd.DataFrame]:
    """All rows, and the same with a label in four rows of each class."""
    whole = load_wine(as_frame=True).frame.astype({"target": "string"})
    kept = whole.groupby("target").sample(4, random_state=1).index
    return whole, whole.assign(target=whole["target"].where(whole.index.isin(kept)))


@pytest.mark.slow
def test_rows_without_a_label_say_what_a_class_is(wine: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """The means of classes made are nearer to the true ones than those of the few rows that have a label."""
    whole, partly = wine
    scale = whole.drop(columns="target").std()
    true, few = (table.groupby("target").mean() / scale for table in (whole, partly.dropna()))
    made = Synthesizer(target="target", max_steps=300, random_state=0).fit(partly).sample(dict.fromkeys("012", 300))
    assert made["target"].notna().all()
    found = made.groupby("target").mean() / scale
    assert (found - true).abs().mean().mean() < (few - true).abs().mean().mean()


@pytest.mark.slow
def test_the_same_seed_learns_the_same(wine: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    first, second = (
        Synthesizer(target="target", max_steps=10, random_state=0).fit(wine[1]).sample(20) for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, second)


def test_a_column_without_any_label_is_refused(wine: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    nothing = wine[0].assign(target=pd.Series(pd.NA, index=wine[0].index, dtype="string"))
    with pytest.raises(TableError, match="must have a label in"):
        Synthesizer(target="target", max_steps=2).fit(nothing)


def test_gaps_in_a_target_are_told(wine: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    with pytest.warns(UserWarning, match="166 of 178 rows have no label"):
        Synthesizer(target="target", max_steps=2, width=4, random_state=0).fit(wine[1])


def test_a_likelihood_needs_the_label(wine: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    synthesizer = Synthesizer(target="target", max_steps=2, random_state=0).fit(wine[1])
    with pytest.raises(TableError, match="must have a label in every row"):
        synthesizer.log_likelihood(wine[1])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["-1", "NaN", "None"])
def test_a_classifier_takes_rows_without_a_label_in_each_convention(kind: str) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    known = np.isin(np.arange(len(y)), np.concatenate([rng.permutation(np.flatnonzero(y == k))[:6] for k in (0, 1)]))
    given: Any = {
        "-1": np.where(known, y, -1),
        "NaN": np.where(known, y, np.nan),
        "None": np.where(known, np.array(["no", "yes"], dtype=object)[y], None),
    }[kind]
    inner = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    alone = inner.fit(X[known], y[known]).score(X[~known], y[~known])
    generator = Synthesizer(max_steps=200) if kind == "-1" else TINY
    model = AugmentedClassifier(inner, amount=1.0, generator=generator, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, given)
    assert any("class -1" in str(warning.message) for warning in caught) is (kind == "-1")
    assert len(model.classes_) == 2
    found = model.predict(X[~known])
    truth = np.array(["no", "yes"])[y[~known]] if kind == "None" else y[~known]
    assert (found == truth).mean() > (max(alone - 0.02, 0.9) if kind == "-1" else 0.6)


def test_minus_one_is_a_class_where_it_is_one_of_two_or_said_to_be() -> None:
    X, y = load_wine(return_X_y=True)
    signs = AugmentedClassifier(amount=0.0, generator=TINY).fit(X, np.where(y > 0, 1, -1))
    assert signs.classes_.tolist() == [-1, 1]
    three = AugmentedClassifier(amount=0.0, generator=TINY, unlabeled=None).fit(X, y - 1)
    assert three.classes_.tolist() == [-1, 0, 1]
    two = AugmentedClassifier(amount=0.0, generator=TINY, unlabeled=2).fit(X, y)
    assert two.classes_.tolist() == [0, 1]


def test_no_label_at_all_is_refused() -> None:
    X, _ = load_wine(return_X_y=True)
    with pytest.raises(TableError, match="must have a label in at least one row"):
        AugmentedClassifier(generator=TINY).fit(X, np.full(len(X), np.nan))
