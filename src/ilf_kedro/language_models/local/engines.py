"""The ways to run a model's forward passes: as a prefix tree, and padded for every other architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ilf_kedro.language_models.local.forward import Forward
from ilf_kedro.language_models.local.kernels.packing import Packing, pack
from ilf_kedro.language_models.local.kernels.tree_attention import DecodingAttention, PackedAttention

__all__ = ["Decoding", "Engine", "PaddedEngine", "TreeEngine"]

Tokens = Sequence[int]
LogProbabilities = NDArray[np.float64]
Indices = NDArray[np.int64]

_HEAD_ROWS = 256  # positions that go through the LM head at a time: their logits stay small


class Decoding(Protocol):
    """Samples of several prompts that are being continued; `logits` are fp32 (rows, vocabulary)."""

    def first(self) -> Tensor:
        """Return the logits after each prompt, repeated for its samples."""
        ...

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to every row, and return the logits after it."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with the given rows alone, in this order."""
        ...


@dataclass(frozen=True, slots=True)
class _States:
    """Last hidden states (n, width) of some of a call's sequences: paths[i] are the rows of sequence members[i]."""

    hidden: Tensor
    members: list[int]
    paths: Sequence[Indices]


class Engine(ABC):
    """What answers for a loaded model. `n_computed` counts the tokens that went through it."""

    def __init__(self, forward: Forward) -> None:
        self.forward = forward
        self.n_computed = 0

    @abstractmethod
    def _states(self, sequences: Sequence[Tokens]) -> Iterator[_States]:
        """Yield the last hidden states of all sequences, none of which is empty."""

    def score(self, sequences: Sequence[Tokens], starts: Sequence[int]) -> list[LogProbabilities]:
        """Return the log-probabilities of the tokens sequences[i][starts[i]:]; starts are at least 1."""
        targets = [np.asarray(sequence[start:]) for sequence, start in zip(sequences, starts, strict=True)]
        results: list[LogProbabilities] = [np.empty(0)] * len(sequences)
        asked = [i for i, target in enumerate(targets) if len(target)]  # some texts have no token
        for states in self._states([sequences[i][:-1] for i in asked]):
            members = [asked[i] for i in states.members]
            places = [path[starts[i] - 1 :] for path, i in zip(states.paths, members, strict=True)]
            chosen = [targets[i] for i in members]
            flat = _log_probabilities(self.forward, states.hidden, np.concatenate(places), np.concatenate(chosen))
            parts = np.split(flat, np.cumsum([len(each) for each in chosen])[:-1])
            for i, part in zip(members, parts, strict=True):
                results[i] = part
        return results

    def decode(self, prompts: Sequence[Tokens], n_samples: int, max_tokens: int) -> Decoding:
        """Compute the prompts, and begin n_samples continuations of each, of at most max_tokens."""
        return _RecomputedDecoding(self, prompts, n_samples)

    def embed(self, sequences: Sequence[Tokens]) -> NDArray[np.float32]:
        """Return the mean of the last hidden states over each sequence's tokens, as unit vectors."""
        means = {
            i: states.hidden[path].float().mean(0)
            for states in self._states(sequences)
            for i, path in zip(states.members, states.paths, strict=True)
        }
        vectors = torch.stack([means[i] for i in range(len(sequences))])
        unit: NDArray[np.float32] = torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()
        return unit

    def end_states(self, sequences: Sequence[Tokens]) -> Tensor:
        """Return the fp32 last hidden state at the last token of each sequence, shape (sequences, width)."""
        return self._ends(sequences).float()

    def next_logits(self, sequences: Sequence[Tokens]) -> Tensor:
        """Return the fp32 logits after each sequence, shape (sequences, vocabulary)."""
        return self.forward.logits(self._ends(sequences))

    def _ends(self, sequences: Sequence[Tokens]) -> Tensor:
        ends = {
            i: states.hidden[int(path[-1])]
            for states in self._states(sequences)
            for i, path in zip(states.members, states.paths, strict=True)
        }
        return torch.stack([ends[i] for i in range(len(sequences))])


class TreeEngine(Engine):
    """Computes each shared prefix once: all sequences of a call are one row under a tree plan."""

    def decode(self, prompts: Sequence[Tokens], n_samples: int, max_tokens: int) -> Decoding:
        """Compute the prompts once for all samples, which share their keys and values; see Engine."""
        if not self.forward.lengths.alike([len(prompt) for prompt in prompts], max_tokens - 1):
            return super().decode(prompts, n_samples, max_tokens)
        packing = pack(prompts)
        plan = PackedAttention(packing, self.forward.device, keep=True)
        hidden = self._run(packing, plan)
        last = hidden[[int(path[-1]) for path in packing.paths]]
        paths = [torch.from_numpy(path).to(hidden.device) for path in packing.paths]
        attention = DecodingAttention(plan, paths, n_samples, max_tokens)
        return _TreeDecoding(self, self.forward.logits(last).repeat_interleave(n_samples, dim=0), attention)

    def run(self, tokens: Tensor, positions: Tensor, plan: object) -> Tensor:
        """Return the last hidden states (n, width) of one row of tokens under a plan."""
        self.n_computed += len(tokens)
        return self.forward.states(input_ids=tokens[None], position_ids=positions[None], tree_plan=plan)[0]

    def _run(self, packing: Packing, plan: PackedAttention) -> Tensor:
        device = self.forward.device
        return self.run(
            torch.from_numpy(packing.tokens).to(device), torch.from_numpy(packing.positions).to(device), plan
        )

    def _states(self, sequences: Sequence[Tokens]) -> Iterator[_States]:
        for group in self.forward.lengths.groups([len(sequence) for sequence in sequences]):
            if group:
                packing = pack([sequences[i] for i in group])
                yield _States(self._run(packing, PackedAttention(packing, self.forward.device)), group, packing.paths)


class _TreeDecoding:
    """Decoding by a TreeEngine: every unfinished sample is one token of a single row."""

    def __init__(self, engine: TreeEngine, first: Tensor, attention: DecodingAttention) -> None:
        self._engine, self._first, self._attention = engine, first, attention

    def first(self) -> Tensor:
        return self._first

    def step(self, tokens: Tensor) -> Tensor:
        hidden = self._engine.run(tokens, self._attention.positions, self._attention)
        self._attention.advance()
        return self._engine.forward.logits(hidden)

    def keep(self, rows: Tensor) -> None:
        self._attention.keep(rows)


class PaddedEngine(Engine):
    """Works for every causal architecture: right-padded batches, and samples decoded prompt by prompt.

    Right padding is seen by no real token of a causal model, and all samples of one prompt have one length,
    so neither needs a mask. Where the model's cache can be repeated (`cached`), a prompt is computed once for all
    its samples; else each token is computed from the whole text before it. `rows` sequences share a batch.
    """

    def __init__(self, forward: Forward, *, cached: bool = True, rows: int = 8) -> None:
        super().__init__(forward)
        self._cached, self._rows = cached, rows

    def decode(self, prompts: Sequence[Tokens], n_samples: int, max_tokens: int) -> Decoding:
        """See Engine."""
        lengths = self.forward.lengths
        if not self._cached or any(not lengths.alike([len(prompt)], max_tokens - 1) for prompt in prompts):
            return super().decode(prompts, n_samples, max_tokens)
        return _CachedDecoding(self, prompts, n_samples)

    def _states(self, sequences: Sequence[Tokens]) -> Iterator[_States]:
        for group in self.forward.lengths.groups([len(sequence) for sequence in sequences]):
            order = sorted(group, key=lambda i: len(sequences[i]))
            for begin in range(0, len(order), self._rows):
                batch = order[begin : begin + self._rows]
                longest = len(sequences[batch[-1]])
                padded = [[*sequences[i], *[0] * (longest - len(sequences[i]))] for i in batch]
                self.n_computed += longest * len(batch)
                states = self.forward.states(input_ids=torch.tensor(padded, device=self.forward.device))
                paths = [row * longest + np.arange(len(sequences[i])) for row, i in enumerate(batch)]
                yield _States(states.flatten(0, 1), batch, paths)


class _CachedDecoding:
    """Decoding with one batch and one cache per prompt."""

    def __init__(self, engine: PaddedEngine, prompts: Sequence[Tokens], n_samples: int) -> None:
        self._engine = engine
        self._caches: list[Any] = []
        self._counts = [n_samples] * len(prompts)
        self._lengths = [len(prompt) for prompt in prompts]
        first = []
        for prompt in prompts:
            ends, cache = self._run(torch.tensor([list(prompt)], device=engine.forward.device), None, 0)
            cache.reorder_cache(torch.zeros(n_samples, dtype=torch.long, device=ends.device))
            self._caches.append(cache)
            first.append(engine.forward.logits(ends).expand(n_samples, -1))
        self._first = torch.cat(first)

    def _run(self, tokens: Tensor, cache: Any, n_before: int) -> tuple[Tensor, Any]:
        """Append tokens to every row; return the states at their ends, and the cache."""
        self._engine.n_computed += tokens.numel()
        states, cache = self._engine.forward.advance(tokens, cache, n_before)
        return states[:, -1], cache

    def first(self) -> Tensor:
        return self._first

    def step(self, tokens: Tensor) -> Tensor:
        ends = []
        for index, part in enumerate(torch.split(tokens, self._counts)):
            if len(part):
                states, self._caches[index] = self._run(part[:, None], self._caches[index], self._lengths[index])
                self._lengths[index] += 1
                ends.append(states)
        return self._engine.forward.logits(torch.cat(ends))

    def keep(self, rows: Tensor) -> None:
        begin = 0
        for index, count in enumerate(self._counts):
            own = rows[(rows >= begin) & (rows < begin + count)] - begin
            begin += count
            if len(own) == count:
                continue
            self._counts[index] = len(own)
            if len(own):
                self._caches[index].reorder_cache(own)
            else:
                self._caches[index] = None


class _RecomputedDecoding:
    """Decoding without any cache: each step computes the whole texts."""

    def __init__(self, engine: Engine, prompts: Sequence[Tokens], n_samples: int) -> None:
        self._engine = engine
        self._texts = [list(prompt) for prompt in prompts for _ in range(n_samples)]
        self._first = engine.next_logits(prompts).repeat_interleave(n_samples, dim=0)

    def first(self) -> Tensor:
        return self._first

    def step(self, tokens: Tensor) -> Tensor:
        for text, token in zip(self._texts, tokens.tolist(), strict=True):
            text.append(token)
        return self._engine.next_logits(self._texts)

    def keep(self, rows: Tensor) -> None:
        self._texts = [self._texts[row] for row in rows.tolist()]


def _log_probabilities(forward: Forward, hidden: Tensor, places: Indices, targets: NDArray[Any]) -> LogProbabilities:
    """Return the log-probability of targets[i] at hidden[places[i]], each place through the LM head once."""
    unique, inverse = np.unique(places, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    result = np.empty(len(places))
    for begin in range(0, len(unique), _HEAD_ROWS):
        logits = forward.logits(hidden[torch.from_numpy(unique[begin : begin + _HEAD_ROWS]).to(hidden.device)])
        chosen = order[slice(*np.searchsorted(inverse[order], [begin, begin + _HEAD_ROWS]))]
        rows = torch.from_numpy(inverse[chosen] - begin).to(logits.device)
        tokens = torch.from_numpy(targets[chosen]).to(logits.device)
        result[chosen] = (logits[rows, tokens] - logits.logsumexp(-1)[rows]).double().cpu().numpy()
    return result
