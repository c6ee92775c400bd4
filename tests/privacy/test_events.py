"""Events: how they are saved, and that those of models saved by earlier versions are read."""

from __future__ import annotations

import json

from synthvae.privacy import Event, Ledger, PrivacyBudget
from synthvae.privacy.allocation import CLASSES, GRADIENTS, PAIRS, ROWS, SCORES, SINGLES
from synthvae.privacy.counts.binning import HALVES
from synthvae.privacy.counts.schema_discovery import FREQUENT_VALUES, SHORT_RANGES, VALUE_TYPES
from synthvae.privacy.events import FORMER_NAMES

NAMES = {ROWS, CLASSES, SINGLES, SCORES, PAIRS, GRADIENTS, HALVES, VALUE_TYPES, FREQUENT_VALUES, SHORT_RANGES}
# As synthvae.json of a model holds it that was saved before events had their present names.
SAVED = """{"budget": {"epsilon": 3.0, "delta": 1e-06, "unit": null, "rows_per_unit": 1, "rows": 4000}, "events": [
{"name": "one column within classes", "mechanism": "discrete Gaussian", "noise_multiplier": 9.5, "sensitivity": 1.0,
 "sampling_rate": 1.0, "times": 3, "delta": 0.0, "bought": "marginals"}]}"""


def test_a_ledger_with_former_names_is_read() -> None:
    ledger = Ledger.model_validate(json.loads(SAVED))
    assert [event.name for event in ledger.events] == [SINGLES]
    assert ledger.events[0].purpose == "marginals"
    assert str(ledger.events[0]) == (
        "marginals within classes x 3: discrete Gaussian, noise multiplier 9.5 (marginals)"
    )


def test_former_names_become_names_of_today_and_no_name_of_today_is_a_former_one() -> None:
    assert set(FORMER_NAMES.values()) <= NAMES
    assert not NAMES & set(FORMER_NAMES)


def test_an_event_survives_json_with_the_saved_keys() -> None:
    event = Event.of_counts(CLASSES, 2, 7.5, purpose="class frequencies")
    saved = json.loads(event.model_dump_json())
    assert set(saved) == {*json.loads(SAVED)["events"][0]}
    assert Event.model_validate(saved) == Event(**saved) == event
    ledger = Ledger(budget=PrivacyBudget(epsilon=1.0, delta=1e-6), events=(event,))
    assert ledger.model_dump(mode="json")["events"] == [saved]
