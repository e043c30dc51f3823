"""Wrong parameters: all named at once, each with its place and the nearest right key."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.settings import CONFIG_LOADER_ARGS
from ilf_kedro.wiring.config_loader import ConfigurationError, LayeredConfigLoader
from ilf_kedro.wiring.parameter_check import ParameterError, check_parameters, find_faults, known_keys, nearest_key
from ilf_kedro.wiring.parameters import Parameters

RIGHT: dict[str, Any] = {
    "seed": 0,
    "train_sizes": [2, 4],
    "data_prep": {},
    "refinement": {},
    "selection": {"ensembles": [{"name": "long", "weights": {"longest": 1.0}}]},
    "reward_model": {},
    "finetune": {"per_size": [{"train_size": 2}, {"train_size": 4}]},
    "reporting": {},
}


def changed(key: str, value: object) -> dict[str, Any]:
    """Return right parameters with one dotted key set."""
    parameters = copy.deepcopy(RIGHT)
    *parents, name = key.split(".")
    place: Any = parameters
    for parent in parents:
        place = place[int(parent)] if parent.isdigit() else place.setdefault(parent, {})
    place[name] = value
    return parameters


def the_fault(parameters: dict[str, Any]) -> tuple[str, str]:
    (fault,) = find_faults(parameters)
    return fault.key, fault.message


def test_right_parameters_have_no_fault() -> None:
    assert find_faults(RIGHT) == []


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("trian_sizes", "train_sizes"),
        ("fintune", "finetune"),
        ("refinement.n_refinments", "refinement.n_refinements"),
        ("finetune.training.lora.rnak", "finetune.training.lora.rank"),
        ("finetune.epochs", "finetune.training.epochs"),
        ("refinement.temperature", "refinement.sampling.temperature"),
        ("reward_model.lora", "reward_model.training.lora"),
        ("n_refinements", "refinement.n_refinements"),
        ("target_scorer", "selection.target_scorer"),
    ],
)
def test_an_unknown_key_at_any_depth_is_refused_with_the_nearest_right_one(key: str, nearest: str) -> None:
    assert the_fault(changed(key, 3)) == (key, f"unknown key (found 3); the nearest right one is {nearest}")


def test_an_unknown_key_in_a_list_is_refused_with_its_position() -> None:
    key, message = the_fault(changed("finetune.per_size.1.epoch", 3))
    assert key == "finetune.per_size[1].epoch"
    assert message.endswith("finetune.per_size.epochs")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("refinement.n_refinements", 0, "found 0, expected greater than or equal to 1"),
        ("seed", "x", "found 'x', expected a whole number"),
        ("seed", True, "found True, expected a whole number"),
        ("seed", 4.0, "found 4.0, expected a whole number"),
        ("train_sizes", [4.0, 8], "found 4.0, expected a whole number"),
        ("train_sizes", ["10"], "found '10', expected a whole number"),
        ("train_sizes", [True], "found True, expected a whole number"),
        ("finetune.training.learning_rate", float("inf"), "found inf, expected a finite number"),
        (
            "finetune.arms",
            ["refinements", "references", "refinements"],
            "each arm once, found refinements more often; name it once",
        ),
        (
            "finetune.per_size",
            [{"train_size": 2, "epochs": 1}, {"train_size": 4}, {"train_size": 2, "epochs": 3}],
            "one entry per train_size, found several for 2; put what they change into one",
        ),
        ("data_prep.on_invalid", "skip", "found 'skip', expected 'stop' or 'quarantine'"),
        ("finetune", 3, "found 3, expected keys with values below it"),
        ("finetune.training", None, "found None, expected keys with values below it"),
        # Pydantic reports one error per member of a union: they are told as one.
        ("finetune.training.lora.target_modules", 5, "found 5, expected text or a list"),
        *(
            (
                "train_sizes",
                sizes,
                f"train_sizes must be one or more distinct positive numbers in ascending order, found {sizes}",
            )
            for sizes in ([4, 2], [2, 2], [0, 1], [])
        ),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected(key: str, value: object, message: str) -> None:
    found_key, found = the_fault(changed(key, value))
    assert found == message
    assert found_key in {key, f"{key}[0]"}


def test_settings_of_sizes_that_nothing_is_trained_at_are_named() -> None:
    assert Parameters.model_validate(RIGHT).unused_sizes == ()
    unused = changed("finetune.per_size", [{"train_size": size} for size in (7, 2, 5)])
    assert Parameters.model_validate(unused).unused_sizes == (7, 5)


def test_control_arms_bring_their_methods() -> None:
    shown = ("refinement_with_feedback", "refinement_without_feedback")
    assert Parameters.model_validate(RIGHT).refinement_methods == shown
    arms = ["refinements", "refinements_no_feedback", "refinements_shuffled_feedback"]
    blind = changed("selection.target_scorer", "longest")
    blind["finetune"]["arms"] = arms
    asked = Parameters.model_validate(blind)
    assert asked.refinement_methods == (*shown, "refinement_with_shuffled_feedback")


@pytest.mark.parametrize("key", ["finetune.arms", "sweep.arms"])
@pytest.mark.parametrize("target", ["instruct_rm_ensemble", "instruct_rm_2", "ensemble_both"])
def test_a_score_that_reads_the_feedback_may_not_choose_for_a_control(key: str, target: str) -> None:
    parameters = changed(key, ["refinements_no_feedback"])
    parameters["selection"]["scorers"] = ["random", "longest", "instruct_rm", "ensemble"]
    parameters["selection"]["ensembles"] = [{"name": "both", "weights": {"longest": 1, "instruct_rm_1": 1}}]
    parameters["selection"]["target_scorer"] = target
    assert the_fault(parameters)[1].startswith(
        f"selection.target_scorer: {target} reads the person's feedback, which would choose for the controls "
        "refinements_no_feedback too, so that they would control for less; choose by a score of classifier, copying, "
        "longest, random, reward_model, verifier"
    )


def test_a_missing_key_is_named() -> None:
    assert the_fault({key: value for key, value in RIGHT.items() if key != "seed"})[0] == "seed"


def test_a_check_of_several_keys_is_told_in_its_own_words() -> None:
    parameters = changed("refinement", {"n_refinements": 5, "max_tries": 3})
    assert the_fault(parameters) == ("refinement", "max_tries (3) must be at least n_refinements (5)")


def test_a_long_or_secret_value_is_not_repeated() -> None:
    assert len(the_fault(changed("unknown", "x" * 5000))[1]) < 200
    assert "hunter" not in the_fault(changed("api_key", "hunter2"))[1]
    assert "sk-" not in the_fault(changed("finetune.arms", "sk-0123456789abcdef"))[1]


@given(st.sampled_from(known_keys()), st.data())
def test_a_key_that_lacks_a_letter_is_refused_and_its_right_spelling_named(key: str, data: st.DataObject) -> None:
    parent, _, name = key.rpartition(".")
    position = data.draw(st.integers(0, len(name) - 1))
    wrong = f"{parent}.{name[:position]}{name[position + 1 :]}".removeprefix(".")
    names = {other.rpartition(".")[2] for other in known_keys()}
    if len(name) >= 6 and wrong.rpartition(".")[2] not in names:
        assert nearest_key(wrong, known_keys()) == key


def test_the_known_keys_are_those_of_a_dump_of_all_options() -> None:
    parameters = Parameters.model_validate(changed("rounds.annotator", {"callable": "f:g"})).model_dump()

    def keys(value: object, prefix: str) -> set[str]:
        if isinstance(value, dict):
            below = [keys(item, f"{prefix}.{key}") for key, item in value.items()]
            return set().union({prefix}, *below)
        if isinstance(value, (list, tuple)):
            return set().union({prefix}, *(keys(item, prefix) for item in value))
        return {prefix}

    found = {key.removeprefix(".") for key in keys(parameters, "")} - {""}
    known = set(known_keys())
    # Keys within ensembles' weights and the task's inputs are the user's.
    assert {key for key in found - known if not key.startswith("task.")} == {"selection.ensembles.weights.longest"}
    assert {key for key in known - found if not key.startswith("task.")} == set()


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    for name, content in {"base": RIGHT, "test": {"refinement": {"n_refinments": 3}, "sede": 1}, "local": {}}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "parameters.yml").write_text(yaml.safe_dump(content))
    return tmp_path


def make_loader(conf: Path, env: str | None, params: dict[str, Any] | None = None) -> LayeredConfigLoader:
    return LayeredConfigLoader(conf, env, params or {}, **{**CONFIG_LOADER_ARGS, "default_run_env": "local"})


def test_all_faults_are_reported_at_once_with_their_places(conf: Path) -> None:
    params = {"finetune": {"arms": ["refinements", "humans"]}, "typo": 1}
    with pytest.raises(ParameterError) as caught:
        check_parameters(make_loader(conf, "test", params))
    message = caught.value.format_message()
    assert message.startswith("4 invalid parameters (conf/base < conf/test < conf/local < --params)")
    for place in (
        "refinement.n_refinments (conf/test/parameters.yml): unknown key",
        "sede (conf/test/parameters.yml): unknown key (found 1); the nearest right one is seed",
        "finetune.arms[1] (--params): found 'humans'",
        "typo (--params): unknown key",
    ):
        assert place in message


def test_right_parameters_are_returned_with_params_merged(conf: Path) -> None:
    checked = check_parameters(make_loader(conf, None, {"refinement": {"n_refinements": 7}}))
    assert checked.refinement.n_refinements == 7
    assert checked.train_sizes == (2, 4)


@pytest.mark.parametrize("text", ["a: [1", "a: ${globals:none}", "seed: 1\nseed: 2"])
def test_a_file_that_cannot_be_read_is_a_clean_error(conf: Path, text: str) -> None:
    (conf / "test" / "parameters.yml").write_text(text)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        check_parameters(make_loader(conf, "test"))


def test_one_fault_is_one_invalid_parameter(conf: Path) -> None:
    with pytest.raises(ParameterError, match=r"^1 invalid parameter \(conf/base < conf/local < --params\)"):
        check_parameters(make_loader(conf, None, {"train_sizes": 4}))


@pytest.mark.parametrize("name", ["api_token", "auth", "slack_token", "pwd"])
def test_a_secret_is_masked_by_the_name_of_its_key(name: str) -> None:
    key, message = the_fault(changed(f"refinement.{name}", "hunter2"))
    assert key == f"refinement.{name}"
    assert "found '***'" in message


def test_no_files_at_all_are_named_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    with pytest.raises(ParameterError, match="seed: missing"):
        check_parameters(make_loader(tmp_path, None))


def test_a_refinement_model_needs_rows_to_learn_from_and_others_to_refine() -> None:
    asked = Parameters.model_validate(changed("refinement.refiner", "refinement_model"))
    assert (asked.n_written, asked.n_refined) == (4, 300)  # rounds of 100 each, unless the parameters say otherwise
    few = {**changed("refinement", {"refiner": "refinement_model", "n_written": 7}), "rounds": {"sizes": [1, 2]}}
    assert (Parameters.model_validate(few).n_written, Parameters.model_validate(few).n_refined) == (7, 4)
    assert Parameters.model_validate(RIGHT).n_written is None
    task = {"name": "t", "inputs": {"input": "input"}, "columns": {"feedback": "f", "initial_output": "i"}}
    with pytest.raises(ValueError, match=r"refinement\.refiner: refinement_model needs task\.columns\.reference"):
        Parameters.model_validate({**few, "task": task})
