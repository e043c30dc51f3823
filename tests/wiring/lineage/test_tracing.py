"""Training rows traced to what they were made of, in tables whose every row is known."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.schemas import Selections, Targets
from ilf_kedro.wiring.lineage.tracing import Touched, touched_models, training_rows
from tests.support.example_tables import examples

TRAIN = examples(3, annotator=["anna", "ben", None])


def targets(*texts: str) -> pd.DataFrame:
    ids = [f"train-{i}" for i in range(len(texts))]
    return Targets.validate(pd.DataFrame({"example_id": ids, "post": "p", "target": texts}))


def selections() -> pd.DataFrame:
    rows = [
        {
            "example_id": f"train-{i}",
            "method": method,
            "scorer": scorer,
            "sample_index": i + shift,
            "score": 0.5 + i,
            "text": f"{method} {scorer} {i}",
        }
        for i in range(3)
        for method, shift in (("refinement_with_feedback", 0), ("refinement_with_shuffled_feedback", 10))
        for scorer in ("random", "longest")
    ]
    return Selections.validate(pd.DataFrame(rows))


def test_a_refinement_is_traced_to_its_sample_its_score_and_its_feedback() -> None:
    texts = [f"refinement_with_feedback longest {i}" for i in range(3)]
    rows = training_rows("finetune.refinements.n3", targets(*texts), TRAIN, selections(), "longest")
    assert rows["sample_index"].tolist() == [0, 1, 2]
    assert rows["score"].tolist() == [0.5, 1.5, 2.5]
    assert rows["feedback"].tolist() == ["feedback 0", "feedback 1", "feedback 2"]
    assert rows["annotator"].dropna().tolist() == ["anna", "ben"]
    assert set(rows["written_by"]) == {"refinement_with_feedback"}


def test_a_control_is_traced_to_the_refinements_of_its_own_method() -> None:
    texts = [f"refinement_with_shuffled_feedback random {i}" for i in range(2)]
    model = "finetune.refinements_shuffled_feedback.n2"
    rows = training_rows(model, targets(*texts), TRAIN, selections(), "random")
    assert rows["sample_index"].tolist() == [10, 11]
    assert set(rows["written_by"]) == {"refinement_with_shuffled_feedback"}


def test_a_reference_is_the_annotators_and_has_no_sample() -> None:
    rows = training_rows("finetune.references.n2", targets("human 0", "human 1"), TRAIN, selections(), "random")
    assert rows["written_by"].tolist() == ["annotator"] * 2
    assert rows["sample_index"].isna().all()


def test_models_are_touched_by_as_many_rows_as_are_an_annotators() -> None:
    tables = {"finetune.references.n1": targets("a"), "finetune.references.n3": targets("a", "b", "c")}
    assert touched_models(["ben"], TRAIN, tables) == [
        Touched("finetune.references.n1", 0, 1),
        Touched("finetune.references.n3", 1, 3),
    ]
