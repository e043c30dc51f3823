"""The scripted backend follows its script."""

from __future__ import annotations

import math

from ilf_kedro.language_models.protocol import Choice, SamplingOptions
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.prompting import Prompt


def test_completions_follow_the_script_and_the_options():
    model = ScriptedLanguageModel(complete=lambda prompt, index: f"{prompt.example_id} says {index} things. END more")
    prompt = Prompt("x", "e1")
    ((whole,),) = model.generate([prompt], range(1), SamplingOptions(), seed=3)
    assert (whole.text, whole.n_tokens, whole.finish_reason, whole.seed) == ("e1 says 0 things. END more", 6, "stop", 3)
    ((cut,),) = model.generate([prompt], range(1, 2), SamplingOptions(max_new_tokens=3), seed=3)
    assert (cut.text, cut.n_tokens, cut.finish_reason) == ("e1 says 1", 3, "length")
    ((stopped,),) = model.generate([prompt], range(1), SamplingOptions(stop=("END",)), seed=3)
    assert (stopped.text, stopped.finish_reason) == ("e1 says 0 things. ", "stop")
    assert model.n_questions == 3


def test_choices_follow_the_script():
    weights = {"Yes": 3.0, "No": 1.0}
    model = ScriptedLanguageModel(weigh=lambda prompt, choice: weights[choice.name])
    (result,) = model.choice_probabilities([Prompt("x")], (Choice("No", ("No",)), Choice("Yes", ("Yes",))))
    assert result.log_probabilities == (math.log(0.25), math.log(0.75))


def test_texts_that_share_words_are_near():
    cat, cats, other = ScriptedLanguageModel().embed(
        ["the black cat sat", "the black cat slept", "unrelated words here"]
    )
    assert cat @ cats > cat @ other


def test_tokens_are_words():
    assert ScriptedLanguageModel().count_tokens(["", "two words", "a b  c"]) == [0, 2, 3]
