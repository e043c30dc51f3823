from __future__ import annotations

from collections import Counter

from ilf_kedro.tasks.word_removal.probe import COMBINATIONS, draw_probe
from ilf_kedro.tasks.word_removal.sentences import find_words, remove_words


def test_the_paper_has_1350_prompts() -> None:
    items = draw_probe(50, seed=0)
    assert len(items) == (10 + 9 + 8) * 50 == 1350
    assert len({item.example_id for item in items}) == 1350
    assert Counter((item.n_words, item.n_to_remove) for item in items) == dict.fromkeys(COMBINATIONS, 50)


def test_each_item_is_what_it_says() -> None:
    for item in draw_probe(3, seed=1):
        named = find_words(item.feedback)
        assert len(find_words(item.sentence)) == item.n_words
        assert len(named) == item.n_to_remove
        assert set(named) <= set(find_words(item.sentence))
        assert item.answer == remove_words(item.sentence, named)


def test_a_smaller_probe_is_part_of_a_larger_one() -> None:
    assert set(draw_probe(1, seed=5)) < set(draw_probe(2, seed=5))
    assert not set(draw_probe(1, seed=5)) & set(draw_probe(1, seed=6))
