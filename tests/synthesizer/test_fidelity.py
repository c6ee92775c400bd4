"""A gate on fidelity: what is drawn is like the table, z says something, and each guard is seen to fail."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import sklearn.datasets
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from torch import Tensor

from synthvae import Synthesizer
from synthvae.encoding.layout import Layout
from synthvae.model import CVAE, Rows
from synthvae.model.decoders import AutoregressiveDecoder
from synthvae.model.values import COMPONENTS

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from halves import aligned, is_numeric
from nearness import copied
from yardstick import Cells, detection, equal_bins, shape, trend, utility

# What each figure may be at most, or at least. A comment says what seeds 0 to 4 gave, from least to most: rounding
# differs between machines, and then one seed gives weights as unlike as two seeds do, so that bounds are two to three
# times that spread away, or more where faults are far. z of the autoregressive decoder has about one nat: 1.0 would be
# no bound for it, but is one for the factorized.
AT_MOST = {
    # 3.0-3.6, 1.9-2.9, 9.7-15.7, .39-.44, .004-.014; argmax: 12.4, 9.9, 38, .96
    "breast_cancer": {"shape": 6.0, "trend": 5.5, "pair": 28.0, "detection": 0.6, "lost": 0.05, "copies": 0.0},
    # 1.1-1.4, 2.3-2.8, 7.6-9.2, .64-.69, .019-.023; argmax: 25, 17, 59, .99, .13; rolled digits: 10, 17, 56, .99, .45
    "digits": {"shape": 2.5, "trend": 4.5, "pair": 14.0, "detection": 0.8, "lost": 0.06},
    # 2.4-2.9, 1.6-2.5, .36-.40, -.05-.04; argmax: 10, 13, .94
    "diabetes": {"shape": 5.5, "trend": 5.0, "detection": 0.6, "lost": 0.2, "copies": 0.0},
    # 3.6-4.5, 4.6-8.0, .44-.59, .02-.25, of 124 rows; argmax: 25, 14, .93
    "wine": {"shape": 9.0, "trend": 14.0, "detection": 0.8, "lost": 0.6, "copies": 0.0},
    # 1.4-2.5, 3.3-4.3, 7.1-9.6, .46-.48, -.004-.012, .8-1.5, .2-1.8; argmax: 8.9, 22, 36, .96;
    # rolled digits: -, 18, 72, .99, -, 51, 36; fine before coarse: -, 13, 70, .94
    "made": {"shape": 4.5, "trend": 6.5, "pair": 18.0, "detection": 0.65, "lost": 0.05}
    | {"gaps": 3.5, "zeros": 5.0, "copies": 0.0},
    # 2.0-2.8, 8.4-9.7, .84-.88, 14-17; z = 0: 5.4, 17, .97, 28
    "factorized": {"shape": 5.0, "trend": 13.0, "detection": 0.93, "gaps": 21.0},
}
AT_LEAST = {
    "breast_cancer": {"kl": 0.6, "said": 0.6, "predicted": 0.15},  # 1.14-1.39, 1.6-2.3, .35-.50
    "made": {"kl": 0.6, "said": 0.6, "predicted": 0.1},  # .99-1.12, 1.6-2.2, .29-.55; beta = 20: .08, .06, .05
    "factorized": {"kl": 1.0, "said": 8.0, "predicted": 0.5},  # 3.0-3.4, 17-19, .77-.87
}
STEPS = {"breast_cancer": 150, "digits": 250, "diabetes": 150, "wine": 100, "made": 400}
PIXELS = [f"pixel_{row}_{column}" for row in (2, 3, 4, 5) for column in (2, 3, 5)]
ROWS = 2000

Codes = npt.NDArray[np.int64]


def table_of(name: str) -> pd.DataFrame:
    if name == "made":
        return made()
    frame: pd.DataFrame = getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame
    return frame[[*PIXELS, "target"]].astype(int) if name == "digits" else frame


def made(rows: int = 3200) -> pd.DataFrame:
    """Categories that hang together, a 300-level code whose coarse and fine parts matter, zeros, gaps in blocks."""
    rng = np.random.default_rng(7)
    weights = 1 / (30 + 37 * np.arange(300) % 300)
    code = rng.choice(300, rows, p=weights / weights.sum())
    region = np.where(rng.random(rows) < 0.9, code // 60, rng.integers(0, 5, rows))
    ward = np.where(rng.random(rows) < 0.9, (region + 2) % 5, rng.integers(0, 5, rows))
    season = np.where(rng.random(rows) < 0.9, code % 18 // 6, rng.integers(0, 3, rows))
    lab = rng.normal(region, 1, rows)
    names = np.array([f"K{i:03d}" for i in range(300)])
    columns = {
        "code": pd.Categorical(names[code], names),
        "region": np.array(list("NESWC"))[region],
        "ward": np.array(list("abcde"))[ward],
        "season": np.array(["wet", "dry", "cold"])[season],
        "spend": np.where(rng.random(rows) < 0.2 + 0.3 * season, rng.lognormal(3 + 0.4 * region, 0.5), 0).round(2),
        "lab_a": lab.round(3),
        "lab_b": (2 * lab + rng.normal(size=rows)).round(3),
        "lab_c": rng.normal(size=rows).round(3),
        "target": np.where(lab + season + rng.normal(size=rows) > 3, "ill", "well"),
    }
    frame = pd.DataFrame(columns)
    untested = rng.random(rows) < np.where(frame["target"] == "ill", 0.1, 0.4)
    frame.loc[untested, ["lab_a", "lab_b"]] = np.nan
    frame.loc[untested & (rng.random(rows) < 0.5), "lab_c"] = np.nan
    return frame


class Case(NamedTuple):
    """The halves of a table, and what was learned of the first."""

    train: pd.DataFrame
    test: pd.DataFrame
    synthesizer: Synthesizer


def fitted(name: str, **parameters: Any) -> Case:
    train, test = train_test_split(table_of(name), test_size=0.3, random_state=0)
    given = {"target": "target", "max_steps": STEPS[name], "device": "cpu", "random_state": 0, **parameters}
    return Case(train, test, Synthesizer(protect=0, **given).fit(train))  # rare codes, too, are to be learned


def with_parts(frame: pd.DataFrame) -> pd.DataFrame:
    """A code is judged as a number, and its fine part beside it: 300 levels make digits of 17 and 18 levels."""
    number = frame["code"].str[1:].astype(float)
    return frame.assign(code=number, fine=(number % 18 // 6).astype(str))


def figures(case: Case) -> dict[str, float]:
    """How far what is drawn now is from the table; of all, less is better."""
    frames = [case.train, case.test, case.synthesizer.sample(ROWS)]
    whole = [with_parts(frame) if "code" in frame else frame for frame in frames]
    numeric = frozenset(name for name in map(str, whole[0]) if is_numeric(whole[0][name], is_target=name == "target"))
    train, test, drawn = (aligned(whole[0], frame, numeric) for frame in whole)
    cells = Cells(train, drawn, numeric, equal_bins)
    pairs = itertools.combinations(range(train.shape[1]), 2)
    mixed = [cells.distance(pair) for pair in pairs if not numeric.issuperset(train.columns[list(pair)])]
    gaps = [frame.isna().value_counts(normalize=True) for frame in (train, drawn)]  # which are missing together
    continuous = [*case.synthesizer.encoding_.layout.valued_names]
    return {
        "shape": shape(train, drawn, numeric, cells),
        "trend": trend(train, drawn, numeric, cells),
        "pair": 100 * max(mixed, default=0.0),
        "detection": detection(train, drawn, numeric),
        "lost": utility(train, test, numeric, "target") - utility(drawn, test, numeric, "target"),
        "gaps": 50 * float(gaps[0].sub(gaps[1], fill_value=0).abs().sum()),
        "zeros": 100 * float(((train == 0).mean() - (drawn == 0).mean()).abs().max()),
        "copies": copies(train[continuous], drawn[continuous]),
    }


def copies(real: pd.DataFrame, drawn: pd.DataFrame) -> float:
    """Return the share of rows that are copies; those with a gap or a zero, which may well be equal, do not count."""
    known, asked = (frame[(frame.notna() & (frame != 0)).all(axis=1)] for frame in (real, drawn))
    return copied(known, asked) if len(asked) and real.shape[1] else 0.0


@torch.no_grad()
def latent(case: Case) -> dict[str, float]:
    """The KL, log p(x | z) less that with the z of another row of the class, the best R2 of a number from z."""
    codes, model = case.synthesizer._encode(case.test), case.synthesizer.model_
    order = np.argsort(codes.labels, kind="stable")
    rows = Rows(torch.from_numpy(codes.digits[order]), torch.from_numpy(codes.values[order]))
    seen = model.network_labels(torch.from_numpy(codes.labels[order]))
    z = model.posterior_mean(rows, seen)
    own, other = (model.decoder.log_prob(rows, given, seen).sum(0) for given in (z, z.roll(1, 0)))
    known, asked = (frame.dropna() for frame in (case.train, case.test))
    names = known.select_dtypes("number").columns.drop("target", errors="ignore")
    # The penalty is on the scale of the prior: means that hardly move predict nothing.
    learner = Ridge(alpha=0.3 * len(known)).fit(case.synthesizer.transform(known), known[names])
    scores = r2_score(asked[names], learner.predict(case.synthesizer.transform(asked)), multioutput="raw_values")
    last = case.synthesizer.history_.records[-1]
    return {"kl": last.kl, "said": float((own - other).mean()), "predicted": float(scores.max())}


def missed(found: Mapping[str, float], name: str) -> set[str]:
    """Return which figures are beyond their bounds."""
    most, least = AT_MOST[name], AT_LEAST.get(name, {})
    return {k for k, x in found.items() if not least.get(k, -np.inf) <= x <= most.get(k, np.inf)}


def argmax(patch: pytest.MonkeyPatch) -> None:
    """Heads say the most probable level, and the mean of the most probable component."""

    def mean(outputs: Tensor, *_chances: Tensor | float) -> Tensor:
        component = outputs[:COMPONENTS].argmax(0, keepdim=True)
        return outputs[COMPONENTS : 2 * COMPONENTS].gather(0, component)[0]

    patch.setattr("synthvae.model.decoders.draw", lambda logits, _, **_kind: logits.argmax(0))
    patch.setattr("synthvae.model.restrictions.draw_value", mean)


def by_column(layout: Layout) -> list[Any]:
    return [name for name, sizes in zip(layout.names, layout.digits, strict=True) for _ in sizes]


def reorder(patch: pytest.MonkeyPatch, groups: Callable[[Layout], Sequence[Any]]) -> None:
    """Digits of one size, or the coarse and fine digits of one column, change places."""
    join = Layout.join

    def faulty(layout: Layout, digits: Codes) -> list[Codes]:
        group, order = np.array(groups(layout)), np.arange(layout.width)
        for member in set(group.tolist()):
            here = np.flatnonzero(group == member)
            order[here] = np.roll(here, 1)
        return join(layout, digits[:, order])

    patch.setattr(Layout, "join", faulty)


def copy_rows(patch: pytest.MonkeyPatch) -> None:
    rows = table_of("breast_cancer")
    patch.setattr(Synthesizer, "sample", lambda _, count: rows.sample(count, replace=True, random_state=0))


@pytest.fixture(scope="module")
def learned() -> Callable[[str], Case]:
    """Each table is learned once."""
    return cache(fitted)


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_what_is_drawn_is_like_the_table_and_z_is_informative(learned: Callable[[str], Case], name: str) -> None:
    found = figures(learned(name)) | latent(learned(name))
    assert not missed(found, name), found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "fault", "seen"),
    [
        ("breast_cancer", argmax, {"shape", "trend", "pair", "detection"}),
        ("digits", argmax, {"shape", "trend", "pair", "detection", "lost"}),
        ("diabetes", argmax, {"shape", "trend", "detection"}),
        ("wine", argmax, {"shape", "detection"}),
        ("made", argmax, {"shape", "trend", "pair", "detection"}),
        ("digits", partial(reorder, groups=attrgetter("sizes")), {"shape", "trend", "pair", "detection", "lost"}),
        ("made", partial(reorder, groups=attrgetter("sizes")), {"trend", "pair", "detection", "gaps", "zeros"}),
        ("made", partial(reorder, groups=by_column), {"trend", "pair", "detection"}),
        ("breast_cancer", copy_rows, {"copies"}),
    ],
)
def test_faults_are_seen(
    learned: Callable[[str], Case], monkeypatch: pytest.MonkeyPatch, name: str, fault: Any, seen: Any
) -> None:
    case = learned(name)
    fault(monkeypatch)
    found = figures(case)
    assert missed(found, name) >= seen, found


@pytest.mark.slow
def test_a_factorized_decoder_lives_on_z(monkeypatch: pytest.MonkeyPatch) -> None:
    case = fitted("made", decoder="factorized", max_steps=250)
    found = figures(case) | latent(case)
    assert not missed(found, "factorized"), found
    decode = CVAE.decode
    monkeypatch.setattr(CVAE, "decode", lambda model, z, *rest, **kind: decode(model, 0 * z, *rest, **kind))
    found = figures(case)
    assert missed(found, "factorized") >= {"trend", "detection", "gaps"}, found


@pytest.mark.slow
def test_a_z_without_information_is_seen() -> None:
    found = latent(fitted("made", beta=20.0, free_bits=0.0, max_steps=150))
    assert missed(found, "made") == {"kl", "said", "predicted"}, found


@pytest.mark.slow
def test_a_decoder_that_ignores_z_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, log_prob = AutoregressiveDecoder, AutoregressiveDecoder.log_prob
    monkeypatch.setattr(decoder, "log_prob", lambda self, rows, z, labels: log_prob(self, rows, 0 * z, labels))
    found = latent(fitted("made", max_steps=150))
    assert "said" in missed(found, "made"), found
