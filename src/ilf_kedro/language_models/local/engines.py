"""The two ways to run a model's forward passes: as a prefix tree, and padded for every other architecture."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ilf_kedro.language_models.local.kernels.packing import Packing, pack
from ilf_kedro.language_models.local.kernels.tree_attention import DecodingAttention, PackedAttention

Tokens = Sequence[int]
LogProbabilities = NDArray[np.float64]

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


class Engine(Protocol):
    """What answers for a loaded model. `n_computed` counts the tokens that went through it."""

    n_computed: int

    def score(self, sequences: Sequence[Tokens], starts: Sequence[int]) -> list[LogProbabilities]:
        """Return the log-probabilities of the tokens sequences[i][starts[i]:]; starts are at least 1."""
        ...

    def decode(self, prompts: Sequence[Tokens], n_samples: int, max_tokens: int) -> Decoding:
        """Compute the prompts, and begin n_samples continuations of each."""
        ...

    def embed(self, sequences: Sequence[Tokens]) -> NDArray[np.float32]:
        """Return the mean of the last hidden states over each sequence's tokens, as unit vectors."""
        ...

    def end_states(self, sequences: Sequence[Tokens]) -> Tensor:
        """Return the fp32 last hidden state at the last token of each sequence, shape (sequences, width)."""
        ...


class TreeEngine:
    """Computes each shared prefix once: all sequences of a call are one row under a tree plan."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.n_computed = 0

    def score(self, sequences: Sequence[Tokens], starts: Sequence[int]) -> list[LogProbabilities]:
        """See Engine."""
        packing = pack([sequence[:-1] for sequence in sequences])
        if not len(packing.tokens):  # texts for which the tokenizer has no token
            return [np.empty(0) for _ in sequences]
        hidden = self._forward(packing, PackedAttention(packing, self._model.device))
        places = [path[start - 1 :] for path, start in zip(packing.paths, starts, strict=True)]
        targets = [np.asarray(sequence[start:]) for sequence, start in zip(sequences, starts, strict=True)]
        flat = _log_probabilities(self._model, hidden, np.concatenate(places), np.concatenate(targets))
        return np.split(flat, np.cumsum([len(target) for target in targets])[:-1])

    def decode(self, prompts: Sequence[Tokens], n_samples: int, max_tokens: int) -> Decoding:
        """See Engine."""
        packing = pack(prompts)
        plan = PackedAttention(packing, self._model.device, keep=True)
        hidden = self._forward(packing, plan)
        last = hidden[[int(path[-1]) for path in packing.paths]]
        logits = self._model.get_output_embeddings()(last).float()
        paths = [torch.from_numpy(path).to(hidden.device) for path in packing.paths]
        attention = DecodingAttention(plan, paths, n_samples, max_tokens)
        return _TreeDecoding(self, logits.repeat_interleave(n_samples, dim=0), attention)

    def embed(self, sequences: Sequence[Tokens]) -> NDArray[np.float32]:
        """See Engine."""
        packing = pack(sequences)
        hidden = self._forward(packing, PackedAttention(packing, self._model.device)).float()
        return _unit(torch.stack([hidden[path].mean(0) for path in packing.paths]))

    def end_states(self, sequences: Sequence[Tokens]) -> Tensor:
        """See Engine."""
        packing = pack(sequences)
        hidden = self._forward(packing, PackedAttention(packing, self._model.device))
        return hidden[[int(path[-1]) for path in packing.paths]].float()

    def run(self, tokens: Tensor, positions: Tensor, plan: object) -> Tensor:
        """Return the last hidden states (n, width) of one row of tokens under a plan."""
        self.n_computed += len(tokens)
        states: Tensor = self._model.base_model(
            input_ids=tokens[None], position_ids=positions[None], use_cache=False, tree_plan=plan
        ).last_hidden_state[0]
        return states

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the fp32 logits (n, vocabulary) of last hidden states."""
        logits: Tensor = self._model.get_output_embeddings()(hidden).float()
        return logits

    def _forward(self, packing: Packing, plan: PackedAttention) -> Tensor:
        device = self._model.device
        return self.run(
            torch.from_numpy(packing.tokens).to(device), torch.from_numpy(packing.positions).to(device), plan
        )


class _TreeDecoding:
    """Decoding by a TreeEngine: every unfinished sample is one token of a single row."""

    def __init__(self, engine: TreeEngine, first: Tensor, attention: DecodingAttention) -> None:
        self._engine, self._first, self._attention = engine, first, attention

    def first(self) -> Tensor:
        return self._first

    def step(self, tokens: Tensor) -> Tensor:
        hidden = self._engine.run(tokens, self._attention.positions, self._attention)
        self._attention.advance()
        return self._engine.logits(hidden)

    def keep(self, rows: Tensor) -> None:
        self._attention.keep(rows)


class PlainEngine:
    """Works for every causal architecture: scores in right-padded batches, decodes prompt by prompt.

    Right padding is seen by no real token of a causal model, and all samples of one prompt have one
    length, so neither needs a mask. The prompt is still computed once for all its samples.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.n_computed = 0

    def score(self, sequences: Sequence[Tokens], starts: Sequence[int]) -> list[LogProbabilities]:
        """See Engine."""
        results: dict[int, LogProbabilities] = {}
        for index, hidden in self._hidden_states([sequence[:-1] for sequence in sequences]):
            start, targets = starts[index], np.asarray(sequences[index][starts[index] :])
            places = np.arange(start - 1, start - 1 + len(targets))
            results[index] = _log_probabilities(self._model, hidden, places, targets)
        return [results[index] for index in range(len(sequences))]

    def decode(self, prompts: Sequence[Tokens], n_samples: int, max_tokens: int) -> Decoding:
        """See Engine."""
        return _PlainDecoding(self._model, prompts, n_samples, self)

    def embed(self, sequences: Sequence[Tokens]) -> NDArray[np.float32]:
        """See Engine."""
        means = {index: hidden.float().mean(0) for index, hidden in self._hidden_states(sequences)}
        return _unit(torch.stack([means[index] for index in range(len(sequences))]))

    def end_states(self, sequences: Sequence[Tokens]) -> Tensor:
        """See Engine."""
        ends = {index: hidden[-1].float() for index, hidden in self._hidden_states(sequences)}
        return torch.stack([ends[index] for index in range(len(sequences))])

    def _hidden_states(self, sequences: Sequence[Tokens]) -> Iterator[tuple[int, Tensor]]:
        """Yield each sequence's index and last hidden states (n, width), in batches of like length."""
        order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
        for begin in range(0, len(order), 8):
            batch = order[begin : begin + 8]
            longest = max(len(sequences[batch[-1]]), 1)
            padded = [[*sequences[i], *[0] * (longest - len(sequences[i]))] for i in batch]
            self.n_computed += longest * len(batch)
            ids = torch.tensor(padded, device=self._model.device)
            states = self._model.base_model(input_ids=ids, use_cache=False).last_hidden_state
            for row, index in enumerate(batch):
                yield index, states[row, : len(sequences[index])]


class _PlainDecoding:
    """Decoding by a PlainEngine: one batch and one cache per prompt."""

    def __init__(self, model: Any, prompts: Sequence[Tokens], n_samples: int, engine: PlainEngine) -> None:
        self._model, self._engine = model, engine
        self._caches: list[Any] = []
        self._counts = [n_samples] * len(prompts)
        first = []
        for prompt in prompts:
            output = self._run(torch.tensor([list(prompt)], device=model.device), None)
            cache = copy.copy(output.past_key_values)
            cache.batch_repeat_interleave(n_samples)
            self._caches.append(cache)
            first.append(output.logits[0, -1:].float().expand(n_samples, -1))
        self._first = torch.cat(first)

    def _run(self, tokens: Tensor, cache: Any) -> Any:
        self._engine.n_computed += tokens.numel()
        return self._model(input_ids=tokens, past_key_values=cache, use_cache=True)

    def first(self) -> Tensor:
        return self._first

    def step(self, tokens: Tensor) -> Tensor:
        logits = []
        for index, part in enumerate(torch.split(tokens, self._counts)):
            if len(part):
                output = self._run(part[:, None], self._caches[index])
                self._caches[index] = output.past_key_values
                logits.append(output.logits[:, -1].float())
        return torch.cat(logits)

    def keep(self, rows: Tensor) -> None:
        begin = 0
        for index, count in enumerate(self._counts):
            own = rows[(rows >= begin) & (rows < begin + count)] - begin
            begin += count
            if len(own) == count:
                continue
            self._counts[index] = len(own)
            if len(own):
                self._caches[index].batch_select_indices(own)
            else:
                self._caches[index] = None


def _log_probabilities(
    model: Any, hidden: Tensor, places: NDArray[np.int64], targets: NDArray[Any]
) -> LogProbabilities:
    """Return the log-probability of targets[i] at hidden[places[i]], each place through the LM head once."""
    head = model.get_output_embeddings()
    unique, inverse = np.unique(places, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    result = np.empty(len(places))
    for begin in range(0, len(unique), _HEAD_ROWS):
        logits = head(hidden[torch.from_numpy(unique[begin : begin + _HEAD_ROWS]).to(hidden.device)]).float()
        chosen = order[slice(*np.searchsorted(inverse[order], [begin, begin + _HEAD_ROWS]))]
        rows = torch.from_numpy(inverse[chosen] - begin).to(logits.device)
        tokens = torch.from_numpy(targets[chosen]).to(logits.device)
        result[chosen] = (logits[rows, tokens] - logits.logsumexp(-1)[rows]).double().cpu().numpy()
    return result


def _unit(vectors: Tensor) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()
    return unit
