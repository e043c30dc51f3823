"""Formatting, truncation and token boundaries, with a real tokenizer."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from ilf_kedro.language_models.local.choices import AmbiguousChoiceError, AnswerFinder
from ilf_kedro.language_models.local.formatting import Formatter, PromptTooLongError
from ilf_kedro.language_models.protocol import Choice
from ilf_kedro.prompting import Message, Prompt, PromptTemplate
from ilf_kedro.prompting.messages import transcript
from ilf_kedro.schemas import UserError

YES_NO = (Choice("yes", ("Yes", " Yes", "YES")), Choice("no", ("No", " No", "NO")))


@pytest.fixture(scope="module")
def tokenizer(tiny_model_directory):
    return AutoTokenizer.from_pretrained(tiny_model_directory)


def ids(tokenizer, text):
    return tuple(tokenizer(text, add_special_tokens=False).input_ids)


def template(text="Question about {{ post }} and {{ feedback }}? Answer:"):
    return PromptTemplate(text=text, truncate="post")


def test_plain_text_stays_as_it_is(tokenizer):
    formatted = Formatter(tokenizer, "plain", 100).prompt(Prompt("An input.\n\nTL;DR:"), 10)
    assert formatted.text == "An input.\n\nTL;DR:"
    assert formatted.tokens == ids(tokenizer, formatted.text)


def test_chat_goes_through_the_models_own_template(tokenizer):
    formatted = Formatter(tokenizer, "chat", 100).prompt(Prompt("Hello {there}"), 10)
    expected = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello {there}"}], add_generation_prompt=True, return_dict=True
    )
    assert formatted.tokens == tuple(expected["input_ids"])
    assert formatted.text.endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("format", ["plain", "chat"])
def test_only_the_post_is_cut_from_its_end(tokenizer, format):  # noqa: A002
    post = " ".join(f"word{i}" for i in range(300))
    prompt = template().render("e7", post=post, feedback="too long: word3 word4")
    formatter = Formatter(tokenizer, format, 120)
    formatted = formatter.prompt(prompt, 20)
    n_whole = len(Formatter(tokenizer, format, 10**6).prompt(prompt, 20).tokens)
    assert 95 <= len(formatted.tokens) <= 100
    assert formatted.n_truncated_tokens == n_whole - len(formatted.tokens)
    before, _, rest = formatted.text.partition("Question about ")
    kept, _, after = rest.partition(" and ")
    assert post.startswith(kept)
    assert len(kept) > 50
    assert after.startswith("too long: word3 word4? Answer:")
    assert before == ("" if format == "plain" else formatter.prompt(Prompt("x"), 1).text.partition("x<")[0])


@settings(max_examples=60, deadline=None)
@given(post=st.text(min_size=200, max_size=400), feedback=st.text(max_size=20), room=st.integers(40, 100))
def test_any_post_is_cut_to_fit(tokenizer, post, feedback, room):
    prompt = template().render(post=post, feedback=feedback)
    formatter = Formatter(tokenizer, "plain", room + 60)
    formatted = formatter.prompt(prompt, 5)
    assert len(formatted.tokens) + 5 <= room + 60
    assert formatted.text.startswith("Question about ")
    assert formatted.text.endswith(f" and {feedback}? Answer:")


def test_too_long_without_a_post_names_the_example(tokenizer):
    formatter = Formatter(tokenizer, "plain", 20)
    with pytest.raises(PromptTooLongError, match=r"'e9' has \d+ tokens and needs 5 more.*holds 20. None of its inputs"):
        formatter.prompt(Prompt("word " * 30, "e9"), 5)
    long_feedback = template().render("e8", post="short", feedback="word " * 30)
    with pytest.raises(PromptTooLongError, match=r"'e8'.*Only its input may be truncated, and that is not enough"):
        formatter.prompt(long_feedback, 5)


def test_a_template_that_strips_its_messages_still_has_its_post_cut(tokenizer):
    import copy

    stripping = copy.copy(tokenizer)
    stripping.chat_template = tokenizer.chat_template.replace("message['content']", "message['content'] | trim")
    text = "  \n" + "word " * 100 + "end  "
    prompt = Prompt(text, "e", (3, 3 + len("word " * 100)))
    formatted = Formatter(stripping, "chat", 80).prompt(prompt, 10)
    assert len(formatted.tokens) <= 70
    assert formatted.text.count("word ") >= 30
    assert "end<|im_end|>" in formatted.text


def test_a_chat_model_without_template_is_refused(tokenizer):
    import copy

    bare = copy.copy(tokenizer)
    bare.chat_template = None
    with pytest.raises(UserError, match="format: plain"):
        Formatter(bare, "chat", 100)


@given(prompt=st.text(max_size=30), continuation=st.text(min_size=1, max_size=30))
@settings(max_examples=150, deadline=None)
def test_continuations_are_tokenised_as_the_joint_text(tokenizer, prompt, continuation):
    whole = ids(tokenizer, prompt + continuation)
    # This tokenizer has no tokens for some characters, and drops them.
    assume(tokenizer.decode(whole, clean_up_tokenization_spaces=False) == prompt + continuation)
    _, joint = Formatter(tokenizer, "plain", 1000).continuation(Prompt(prompt), continuation)
    assert joint.tokens[-len(whole) :] == whole
    assert 1 <= joint.start < len(joint.tokens)
    assert len(joint.spans) == len(joint.tokens) - joint.start
    assert joint.spans[-1][1] == len(continuation)
    assert {place for span in joint.spans for place in range(*span)} == set(range(len(continuation)))


def test_a_continuation_without_tokens_has_no_spans(tokenizer):
    for prompt in ("", "Answer:"):
        _, joint = Formatter(tokenizer, "plain", 1000).continuation(Prompt(prompt), "\x16")
        assert (joint.start, joint.spans) == (len(joint.tokens), ())


def test_a_token_across_the_boundary_belongs_to_the_continuation(tokenizer):
    formatter = Formatter(tokenizer, "plain", 100)
    _, apart = formatter.continuation(Prompt("Answer:"), " Yes it is")
    assert apart.spans[0] == (0, 4)
    _, merged = formatter.continuation(Prompt("Answer: "), "Yes it is")
    assert merged.spans[0] == (0, 3)
    assert tokenizer.convert_ids_to_tokens(merged.tokens[merged.start]) == "ĠYes"


def test_spans_of_characters_of_several_tokens(tokenizer):
    _, joint = Formatter(tokenizer, "plain", 100).continuation(Prompt("A face:"), " 🙂 ok")
    assert joint.spans[-1] == (2, 5)
    assert {place for span in joint.spans[:-1] for place in range(*span)} == {0, 1}


SPECIAL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<repo_name>")


def special_ids(tokenizer, tokens):
    return [token for token in tokens if token in tokenizer.added_tokens_decoder]


def known(tokenizer, text):
    """Whether the tokenizer, which drops some characters, has all of these."""
    return tokenizer.decode(ids(tokenizer, text), clean_up_tokenization_spaces=False) == text


spelling_text = st.lists(st.one_of(st.sampled_from(SPECIAL), st.text(max_size=8)), max_size=8).map("".join)


@pytest.mark.parametrize("format", ["plain", "chat"])
@settings(max_examples=100, deadline=None)
@given(text=spelling_text, continuation=spelling_text)
def test_text_never_makes_special_tokens(tokenizer, format, text, continuation):  # noqa: A002
    assume(known(tokenizer, text + continuation))
    formatter = Formatter(tokenizer, format, 1000)
    own = special_ids(tokenizer, formatter.prompt(Prompt("x"), 0).tokens)
    formatted, joint = formatter.continuation(Prompt(text), continuation)
    for tokens, whole in ((formatted.tokens, formatted.text), (joint.tokens, formatted.text + continuation)):
        # Where nothing stands before the first token, the beginning of a text is put there.
        padded = format == "plain" and tokens[0] == tokenizer.bos_token_id
        assert special_ids(tokenizer, tokens[padded:]) == own
        assert tokenizer.decode(tokens[padded:], clean_up_tokenization_spaces=False) == whole
    assert {place for span in joint.spans for place in range(*span)} == set(range(len(continuation)))


def test_a_spelled_special_token_is_letters_and_the_rest_stays(tokenizer):
    for format in ("plain", "chat"):  # noqa: A001
        formatter = Formatter(tokenizer, format, 1000)
        formatted = formatter.prompt(Prompt("He wrote<|im_end|>and left."), 0)
        before, _, after = formatted.text.partition("<|im_end|>and")
        letters = tokenizer("<|im_end|>", add_special_tokens=False, split_special_tokens=True).input_ids
        assert len(letters) > 3
        assert formatted.tokens == (*ids(tokenizer, before), *letters, *ids(tokenizer, "and" + after))


def test_answers_after_a_spelled_special_token(tokenizer):
    for text in ("Is <|im_end|> a word?", "Answer: <|im_end|>"):
        for format in ("plain", "chat"):  # noqa: A001
            formatter = Formatter(tokenizer, format, 1000)
            formatted = formatter.prompt(Prompt(text), 3)
            answers = AnswerFinder(formatter).find(formatted, YES_NO)
            for sequence in answers.sequences:
                assert special_ids(tokenizer, sequence) == special_ids(tokenizer, formatted.tokens)
                decoded = tokenizer.decode(sequence, clean_up_tokenization_spaces=False)
                assert decoded.startswith(formatted.text)


def test_a_long_post_of_special_tokens_is_cut(tokenizer):
    prompt = template().render("e", post="<|im_end|>" * 60, feedback="short")
    formatted = Formatter(tokenizer, "chat", 200).prompt(prompt, 10)
    assert 150 < len(formatted.tokens) <= 190
    assert formatted.text.endswith("and short? Answer:<|im_end|>\n<|im_start|>assistant\n")


def test_answers_are_first_tokens_or_whole_words(tokenizer):
    formatter = Formatter(tokenizer, "plain", 1000)
    formatted = formatter.prompt(Prompt("word " * 50 + "Answer:"), 3)
    answers = AnswerFinder(formatter).find(formatted, YES_NO)
    n = len(formatted.tokens)
    assert (answers.start, answers.sizes) == (n, (3, 3))
    assert all(sequence[:n] == formatted.tokens for sequence in answers.sequences)
    ends = {tuple(tokenizer.convert_ids_to_tokens(sequence[n:])) for sequence in answers.sequences}
    assert ends == {("Yes",), ("ĠYes",), ("Y", "ES"), ("No",), ("ĠNo",), ("NO",)}


@pytest.mark.parametrize("text", ["Answer: ", "Answer:\n", "Answer: (", "x" * 200, "", "Is it so? \n\n  "])
def test_answers_are_tokenised_as_the_joint_text(tokenizer, text):
    formatter = Formatter(tokenizer, "plain", 1000)
    formatted = formatter.prompt(Prompt(text), 3)
    answers = AnswerFinder(formatter).find(formatted, YES_NO)
    begin = formatted.tokens[:1] if not text else ()
    expected = {begin + ids(tokenizer, text + word) for choice in YES_NO for word in choice.verbalizers}
    assert set(answers.sequences) == expected
    assert all(sequence[: answers.start] == formatted.tokens[: answers.start] for sequence in answers.sequences)


def test_choices_of_the_same_tokens_are_refused(tokenizer):
    formatter = Formatter(tokenizer, "plain", 1000)
    formatted = formatter.prompt(Prompt("Answer:"), 3)
    with pytest.raises(AmbiguousChoiceError, match="'yes' and 'also'"):
        AnswerFinder(formatter).find(formatted, (YES_NO[0], Choice("also", (" Yes",))))


@pytest.mark.parametrize("kind", ["plain", "chat"])
@pytest.mark.parametrize("kept", [6, 3, 1])
def test_a_conversation_loses_whole_turns_from_its_oldest_on(tokenizer, kind, kept):
    turns = [Message("user" if i % 2 == 0 else "assistant", f"turn {i} " + "word " * 12) for i in range(6)]
    asked = PromptTemplate(text="Go on.\n\n{{ talk }}\n\nAnswer:", truncate="talk")
    expected = Formatter(tokenizer, kind, 10_000).prompt(asked.render("x", talk=transcript(turns[-kept:])), 0)
    room = len(expected.tokens) + 10 + 5  # less than another turn has
    formatted = Formatter(tokenizer, kind, room).prompt(asked.render("x", talk=transcript(turns)), 10)
    assert formatted.text == expected.text
    assert formatted.tokens == expected.tokens
    assert (formatted.n_truncated_tokens > 0) == (kept < 6)


def test_a_last_turn_that_is_too_long_is_refused(tokenizer):
    talk = transcript([Message("user", "w " * 99)])
    with pytest.raises(PromptTooLongError, match="example 'x' has"):
        Formatter(tokenizer, "plain", 40).prompt(
            PromptTemplate(text="{{ talk }}", truncate="talk").render("x", talk=talk), 10
        )
