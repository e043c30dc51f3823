from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilf_kedro.prompting import Prompt, PromptTemplate
from ilf_kedro.training.encoding import EncodedExample, encode_examples
from ilf_kedro.training.errors import ExampleError
from ilf_kedro.training.examples import TrainingExample

ROOT = Path(__file__).parents[2]
TEMPLATE = PromptTemplate(text="Title: {{ title }}\nText: {{ post }}\nTL;DR:", truncate="post")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(ROOT / "data" / "06_models" / "tiny-random-llama")


def encode(tokenizer: Any, example: TrainingExample, **changes: Any) -> EncodedExample:
    settings: dict[str, Any] = {"format": "plain", "max_tokens": 1024, "prompt_loss_weight": 0.0}
    (encoded,) = encode_examples(tokenizer, [example], **(settings | changes))
    return encoded


def label_ids(encoded: EncodedExample) -> list[int]:
    return [int(token) for token in encoded.input_ids[encoded.loss_weights == 1]]


def test_plain_text_is_tokenised_as_it_stands_and_ends(tokenizer: Any) -> None:
    prompt = TEMPLATE.render("x", title="A", post="The post.")
    encoded = encode(tokenizer, TrainingExample(prompt, " An output."), prompt_loss_weight=0.25)
    assert tokenizer.decode(encoded.input_ids) == prompt.text + " An output." + tokenizer.eos_token
    assert tokenizer.decode(label_ids(encoded)) == " An output." + tokenizer.eos_token
    assert set(encoded.loss_weights) == {0.25, 1.0}
    assert not encoded.truncated


def test_an_answer_word_does_not_end(tokenizer: Any) -> None:
    encoded = encode(tokenizer, TrainingExample(Prompt("Is it good?\n\nAnswer:"), " Yes", ends=False))
    assert tokenizer.decode(label_ids(encoded)) == " Yes"


def test_chat_is_one_users_message_and_the_answer_of_the_assistant(tokenizer: Any) -> None:
    example = TrainingExample(Prompt("Summarise: hello"), " Hi.")
    encoded = encode(tokenizer, example, format="chat")
    turns = [{"role": "user", "content": "Summarise: hello"}, {"role": "assistant", "content": "Hi."}]
    expected = tokenizer.apply_chat_template(turns, tokenize=False).rstrip("\n")
    assert tokenizer.decode(encoded.input_ids) == expected
    assert tokenizer.decode(label_ids(encoded)) == "Hi." + tokenizer.eos_token


@pytest.mark.parametrize("format", ["plain", "chat"])
def test_only_the_end_of_the_post_is_cut(tokenizer: Any, format: str) -> None:  # noqa: A002
    post = " ".join(f"word{i}" for i in range(10_000))
    encoded = encode(
        tokenizer, TrainingExample(TEMPLATE.render(title="A", post=post), " S."), format=format, max_tokens=120
    )
    text = tokenizer.decode(encoded.input_ids)
    assert encoded.truncated
    assert 117 <= len(encoded.input_ids) <= 120
    kept = text.split("Text: ")[1].split("\nTL;DR:")[0]
    assert post.startswith(kept)
    assert kept.startswith("word0 word1 ")


def test_a_label_that_cannot_fit_is_an_error_that_names_the_example(tokenizer: Any) -> None:
    example = TrainingExample(TEMPLATE.render("id7", title="A", post="word " * 50), " long" * 100)
    with pytest.raises(ExampleError, match=r"'id7' do not fit max_tokens = 64"):
        encode(tokenizer, example, max_tokens=64)


@pytest.mark.parametrize("prompt", [Prompt("", "id7"), Prompt("Question:", "id7")])
def test_nothing_to_learn_is_an_error(tokenizer: Any, prompt: Prompt) -> None:
    with pytest.raises(ExampleError, match="id7"):
        encode(tokenizer, TrainingExample(prompt, "", ends=False))


# Words of the model's special tokens would be tokenised as such; users' texts may hold them, labels of a test need not.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=80).filter(
    lambda text: "<" not in text
)


@settings(max_examples=150, deadline=None)
@given(
    post=st.text(max_size=400),
    title=TEXT,
    output=TEXT.filter(lambda text: text.strip() == text and text != ""),
    max_tokens=st.integers(16, 400),
    ends=st.booleans(),
)
def test_no_label_token_is_ever_truncated(
    tokenizer: Any, post: str, title: str, output: str, max_tokens: int, ends: bool
) -> None:
    prompt = TEMPLATE.render("x", title=title, post=post)
    example = TrainingExample(prompt, f" {output}", ends=ends)
    try:
        encoded = encode(tokenizer, example, max_tokens=max_tokens)
    except ExampleError:
        shortest = tokenizer(TEMPLATE.render("x", title=title, post="").text + f" {output}")["input_ids"]
        assert len(shortest) + ends > max_tokens
        return
    expected = tokenizer(f" {output}", add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id] * ends
    assert label_ids(encoded) == expected
    assert encoded.input_ids[-len(expected) :].tolist() == expected
    assert len(encoded.input_ids) <= max_tokens
    whole = tokenizer(prompt.text + f" {output}")["input_ids"] + [tokenizer.eos_token_id] * ends
    assert encoded.truncated == (len(whole) > max_tokens)
    if not encoded.truncated:
        assert encoded.input_ids.tolist() == whole
