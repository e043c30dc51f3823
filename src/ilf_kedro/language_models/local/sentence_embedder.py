"""The backend of sentence encoders: any local directory of one, such as all-MiniLM-L6-v2 from a package.

Reimers and Gurevych 2019 (arXiv 1908.10084): a text's vector is the mean of its last hidden states, the
tokens of its padding left out, and has unit length.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ilf_kedro.language_models.cache.codecs import VECTOR
from ilf_kedro.language_models.cache.completion_cache import CompletionCache, cache_key
from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.language_models.checkpoints.configuration import context_length
from ilf_kedro.language_models.checkpoints.weights import load_pretrained
from ilf_kedro.language_models.local.batching import CachedBatches, Plan, RunStatistics, batches_by_size
from ilf_kedro.language_models.local.loading import load_tokenizer, resolve_device
from ilf_kedro.language_models.local.options import SentenceEmbedderOptions
from ilf_kedro.language_models.local.resident import LOADED_MODEL
from ilf_kedro.language_models.protocol import Capability
from ilf_kedro.schemas import UserError

__all__ = ["SentenceEmbedder"]

logger = logging.getLogger(__name__)

ENGINE_VERSION = 1  # part of every cache key: raise it where answers change
Pooling = Literal["mean", "cls"]


_DEFAULT_OPTIONS = SentenceEmbedderOptions()


@dataclass(frozen=True, slots=True)
class _Encoding:
    """How the encoder was trained to be used: how many tokens it sees, and how they become one vector."""

    max_tokens: int
    pooling: Pooling


class SentenceEmbedder:
    """A sentence encoder on this machine; implements Embedder.

    Nothing is loaded before it is needed: the tokenizer for the first request, the weights (in float32) for
    the first that is not in the cache. Texts longer than the encoder sees are cut, and counted.
    """

    def __init__(
        self,
        source: ModelSource,
        *,
        cache: CompletionCache | None = None,
        options: SentenceEmbedderOptions = _DEFAULT_OPTIONS,
    ) -> None:
        self.source = source
        self.statistics = RunStatistics()
        self._options = options
        self._batches = CachedBatches(cache, self.statistics)

    @property
    def name(self) -> str:
        """The encoder's name."""
        return self.source.name

    @property
    def revision(self) -> str:
        """The content hash of the encoder's files."""
        return self.source.revision

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Embed alone."""
        return frozenset({Capability.EMBED})

    def embed(self, texts: Sequence[str], *, label: str = "") -> NDArray[np.float32]:
        """Return one unit vector per text, shape (len(texts), dimension); see Embedder.

        Raises:
            UserError: the encoder pools its tokens in a way that is not known here.
        """
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)

        def plan() -> Plan[NDArray[np.float32]]:
            tokens = [self._tokens(text) for text in texts]

            def compute(batch: list[int]) -> list[list[NDArray[np.float32]]]:
                self.statistics.n_asked += sum(len(tokens[index]) for index in batch)
                return [[vector] for vector in self._vectors([tokens[index] for index in batch])]

            limits = self._options.max_batch_tokens, self._options.max_batch_texts
            return Plan(batches_by_size([len(each) for each in tokens], 1, *limits), compute)

        answers = self._batches.run([[self._key(text)] for text in texts], plan, VECTOR, label)
        return np.array([vector for (vector,) in answers], dtype=np.float32)

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self.source, None)

    @cached_property
    def _encoding(self) -> _Encoding:
        settings = _read_json(self.source.directory / "sentence_bert_config.json")
        pooling = _read_json(self.source.directory / "1_Pooling" / "config.json")
        whole = min(context_length(self.source.directory), self._tokenizer.model_max_length)
        max_tokens = settings.get("max_seq_length")
        return _Encoding(min(int(max_tokens), whole) if max_tokens else whole, _pooling(pooling, self.source.directory))

    @cached_property
    def _device(self) -> str:
        return resolve_device(self._options.device)

    def _tokens(self, text: str) -> list[int]:
        """Return the text's tokens between the encoder's special ones, cut to what it sees."""
        limit = self._encoding.max_tokens
        whole = self._tokenizer(text, truncation=False, verbose=False).input_ids
        if len(whole) <= limit:
            return list(whole)
        if not self.statistics.n_truncated:
            logger.warning(
                "%s: texts of more than %d tokens are truncated (counted in the statistics)", self.name, limit
            )
        self.statistics.n_truncated += 1
        self.statistics.n_truncated_tokens += len(whole) - limit
        return list(self._tokenizer(text, truncation=True, max_length=limit).input_ids)

    @torch.inference_mode()
    def _vectors(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        longest = max(len(tokens) for tokens in batch)
        padding = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([[*tokens, *[padding] * (longest - len(tokens))] for tokens in batch], device=self._device)
        lengths = torch.tensor([len(tokens) for tokens in batch], device=self._device)
        mask = torch.arange(longest, device=self._device) < lengths[:, None]
        self.statistics.n_computed += ids.numel()
        with LOADED_MODEL.use(f"sentence_embedder:{self.revision}:{self._device}", self._load) as encoder:
            states: Tensor = encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        pooled = states[:, 0]
        if self._encoding.pooling == "mean":
            pooled = (states * mask[..., None]).sum(1) / lengths[:, None]
        vectors: NDArray[np.float32] = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
        return vectors

    def _load(self) -> Any:
        from transformers import AutoModel

        logger.info("Loading %s (float32 on %s)", self.name, self._device)
        encoder = load_pretrained(AutoModel, self.source.directory, torch.float32, new="pooler.", unused="pooler.")
        return encoder.to(self._device).eval()

    def _key(self, text: str) -> str:
        return cache_key(
            backend="sentence_embedder",
            engine=ENGINE_VERSION,
            revision=self.revision,
            max_tokens=self._encoding.max_tokens,
            pooling=self._encoding.pooling,
            device=self._device,
            text=text,
        )


def _read_json(file: Path) -> dict[str, Any]:
    """Return what a file of the encoder says; nothing where it is absent, as such files may be."""
    content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return content if isinstance(content, dict) else {}


def _pooling(config: dict[str, Any], directory: Path) -> Pooling:
    modes = [
        key.removeprefix("pooling_mode_")
        for key, chosen in config.items()
        if key.startswith("pooling_mode_") and chosen is True
    ]
    if modes in ([], ["mean_tokens"]):
        return "mean"
    if modes == ["cls_token"]:
        return "cls"
    raise UserError(
        f"{directory / '1_Pooling' / 'config.json'} asks for the pooling {', '.join(modes)}; a sentence_embedder knows "
        "mean_tokens and cls_token: name another encoder's directory in the catalog"
    )
