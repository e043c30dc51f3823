"""Chat templates of every kind that models have, each rendered by one expected text."""

from __future__ import annotations

import copy

import pytest
from transformers import AutoTokenizer

from ilf_kedro.language_models.local.formatting import Formatter
from ilf_kedro.prompting import Prompt
from ilf_kedro.schemas import UserError
from ilf_kedro.training.encoding import encode_examples
from ilf_kedro.training.errors import ExampleError
from ilf_kedro.training.examples import TrainingExample

ASK = "{% if add_generation_prompt %}A:{% endif %}"
PLAIN = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}" + ASK
PARTS = (
    "{% for m in messages %}[{{ m.role }}]{% for part in m.content %}{% if part.type == 'text' %}"
    "{{ part.text }}{% endif %}{% endfor %}{% endfor %}" + ASK
)
SYSTEM_NEEDED = "{% if messages[0].role != 'system' %}{{ raise_exception('no system') }}{% endif %}" + PLAIN
SYSTEM_REFUSED = "{% if messages[0].role == 'system' %}{{ raise_exception('a system') }}{% endif %}" + PLAIN
DATED = "Today is {{ strftime_now('%d %b %Y') }}. " + PLAIN
TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" + ASK


@pytest.fixture(scope="module")
def with_template(tiny_model_directory):
    """Return a function from a template to the tiny model's tokenizer with it; its end of text is not <|im_end|>."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_directory)
    tokenizer.eos_token = "<|endoftext|>"

    def change(template, **tokens):
        changed = copy.deepcopy(tokenizer)
        changed.chat_template = template
        for name, value in tokens.items():
            setattr(changed, name, value)
        return changed

    return change


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (PLAIN, "[user]Hi<|endoftext|>A:"),
        ({"default": PLAIN, "rag": PARTS}, "[user]Hi<|endoftext|>A:"),
        (PARTS, "[user]HiA:"),
        (SYSTEM_NEEDED, "[system]<|endoftext|>[user]Hi<|endoftext|>A:"),
        (SYSTEM_REFUSED, "[user]Hi<|endoftext|>A:"),
        (DATED, "Today is 01 Jan 2026. [user]Hi<|endoftext|>A:"),
    ],
    ids=["plain", "named", "parts", "system-needed", "system-refused", "dated"],
)
def test_the_message_is_shown_in_the_form_that_the_template_takes(template, expected, with_template):
    assert Formatter(with_template(template), "chat", 100).prompt(Prompt("Hi", "e"), 1).text == expected


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ({"tool_use": PLAIN, "rag": PLAIN}, "chat templates rag, tool_use, and none of them is the default"),
        ("{{ raise_exception('only for tools') }}", "only for tools; set `format: plain`"),
        ("Nothing of it.", "leaves the message out; set `format: plain`"),
    ],
)
def test_a_template_that_shows_no_message_is_refused_in_one_sentence(template, message, with_template):
    with pytest.raises(UserError, match=message):
        Formatter(with_template(template), "chat", 100)


def test_all_that_changes_what_is_rendered_changes_the_hash(with_template):
    templates = [PLAIN, PARTS, SYSTEM_NEEDED, DATED, TURNS]
    assert len({Formatter(with_template(each), "chat", 100).template_hash for each in templates}) == len(templates)


def test_an_answer_ends_as_the_template_ends_it(with_template):
    tokenizer = with_template(TURNS)
    turn_end, text_end = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    example = TrainingExample(Prompt("Hi", "e"), "Yes.")

    def last(tokenizer, format):  # noqa: A002
        (encoded,) = encode_examples(tokenizer, [example], format=format, max_tokens=99, prompt_loss_weight=0)
        return int(encoded.input_ids[-1])

    assert last(tokenizer, "chat") == turn_end
    assert last(tokenizer, "plain") == text_end
    assert last(with_template(PLAIN), "chat") == text_end
    assert Formatter(with_template(PARTS), "chat", 99).end == text_end  # it writes nothing after an answer


def test_a_tokenizer_without_an_end_of_text_is_refused_where_one_is_needed(with_template):
    tokenizer = with_template(PARTS, eos_token=None, bos_token=None)
    example = TrainingExample(Prompt("Hi", "e"), "Yes.")
    with pytest.raises(ExampleError, match="has no token that ends a text"):
        encode_examples(tokenizer, [example], format="plain", max_tokens=99, prompt_loss_weight=0)
    with pytest.raises(UserError, match="no token that begins or ends a text"):
        Formatter(tokenizer, "plain", 99).text_tokens("")
    assert Formatter(tokenizer, "plain", 99).prompt(Prompt("Hi", "e"), 5).tokens
