from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.tasks.word_removal.sentences import WORDS, Sentence, draw_sentence, find_words, remove_words, stream_of

words = st.lists(st.sampled_from(WORDS), max_size=10, unique=True)
sentences = st.builds(
    Sentence, st.just("Eva"), words.map(tuple), st.sampled_from(["cook", "artist"]), st.just("brings us cake")
)


@pytest.mark.parametrize(
    ("text", "gone", "left"),
    [
        ("Eva is an odd, silly cook who sings.", {"odd"}, "Eva is a silly cook who sings."),
        ("Eva is a silly, odd cook who sings.", {"silly"}, "Eva is an odd cook who sings."),
        ("Eva is a silly, odd cook who sings.", {"silly", "odd"}, "Eva is a cook who sings."),
        ("Eva is an odd, silly, lazy cook.", {"silly"}, "Eva is an odd, lazy cook."),
        ("A silly, odd artist came.", {"silly", "odd"}, "An artist came."),
        ("Eva is silly.", {"silly"}, "Eva is silly."),  # no list before a noun: it stays
        ("", {"silly"}, ""),
    ],
)
def test_words_go_and_the_grammar_is_mended(text: str, gone: set[str], left: str) -> None:
    assert remove_words(text, gone) == left


@given(sentences, words)
def test_a_text_and_its_parts_agree_on_what_is_left(sentence: Sentence, gone: list[str]) -> None:
    assert remove_words(sentence.text, gone) == sentence.without(gone).text


@given(sentences)
def test_the_article_fits_and_the_words_are_found_in_order(sentence: Sentence) -> None:
    assert find_words(sentence.text) == list(sentence.words)
    article, following = re.findall(r"\b(an?) (\w)", sentence.text)[0]
    assert (article == "an") == (following in "aeiou")


@given(st.text())
def test_nothing_named_changes_nothing(text: str) -> None:
    assert remove_words(text, []) == text
    assert set(find_words(text)) <= set(WORDS)


def test_only_the_mildly_rude_words_are_words_of_the_list() -> None:
    drawn = [draw_sentence(stream_of(seed), []).text for seed in range(200)]
    assert len(set(drawn)) > 100
    assert all(find_words(text) == [] for text in drawn)  # names, nouns and kind phrases hold none
    assert len(WORDS) == len(set(WORDS)) == 24
