"""Packing against the set of all distinct prefixes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.language_models.local.kernels.packing import pack

sequences = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=7), min_size=1, max_size=12)


@given(sequences)
def test_every_distinct_prefix_stands_once(cases):
    packing = pack(cases)
    prefixes = {tuple(case[:end]) for case in cases for end in range(1, len(case) + 1)}
    assert len(packing.tokens) == len(prefixes)
    assert packing.n_tokens == sum(map(len, cases))


@given(sequences)
def test_paths_spell_the_sequences(cases):
    packing = pack(cases)
    for case, path in zip(cases, packing.paths, strict=True):
        assert packing.tokens[path].tolist() == case
        assert packing.positions[path].tolist() == list(range(len(case)))


@given(sequences)
def test_segments_cover_the_row_and_know_their_prefixes(cases):
    packing = pack(cases)
    covered = [place for segment in packing.segments for place in range(segment.start, segment.end)]
    assert covered == list(range(len(packing.tokens)))
    for segment in packing.segments:
        path = next(path for path in packing.paths if segment.end - 1 in path)
        assert path[: len(segment.prefix)].tolist() == segment.prefix.tolist()
        assert path[len(segment.prefix)] == segment.start
