"""A tiny random model of any architecture with a causal class, and what the local backend makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from ilf_kedro.language_models.local.engines import Engine, TreeEngine
from ilf_kedro.language_models.local.forward import WholeForward
from ilf_kedro.language_models.local.model import LocalLanguageModel, load_model_source
from ilf_kedro.language_models.protocol import Choice, SamplingOptions
from ilf_kedro.prompting import Prompt
from ilf_kedro.schemas import UserError
from ilf_kedro.training import fitting
from ilf_kedro.training.examples import TrainingExample
from ilf_kedro.training.options import LoraOptions, TrainingOptions
from ilf_kedro.training.supervised import train_language_model
from ilf_kedro.training.workspace import TrainingWorkspace
from tests.support import naive

KINDS = sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)

_LARGEST = 20_000_000  # parameters: an architecture whose sizes have other names is not built
_SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "word_embed_proj_dim", "attention_hidden_size"), 32),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "decoder_ffn_dim", "encoder_ffn_dim"), 48),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "shared_intermediate_size"), 16),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "num_layers", "n_layers", "decoder_layers"), 2),
    **dict.fromkeys(("encoder_layers", "first_k_dense_replace", "num_dense_layers", "n_shared_experts"), 1),
    **dict.fromkeys(("num_attention_heads", "n_head", "num_heads", "n_heads", "attention_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("num_local_experts", "num_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_key_value_heads", "moe_topk"), 2),
    **dict.fromkeys(("n_group", "topk_group"), 1),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "mamba_d_state", "ssm_state_size", "state_size"), 16),
    **dict.fromkeys(("head_dim", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "rotary_dim"), 8),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim", "mamba_head_dim", "mamba_d_head"), 8),
    **dict.fromkeys(("linear_num_value_heads",), 4),
    **dict.fromkeys(("linear_num_key_heads",), 2),
    **dict.fromkeys(("mamba_num_heads", "mamba_n_heads", "n_mamba_heads"), 8),
    **dict.fromkeys(("mamba_n_groups", "n_groups", "mamba_ngroups"), 1),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len", "context_length"), 256),
    **dict.fromkeys(("sliding_window", "attention_window_size", "local_attention", "window_size"), 12),
    **dict.fromkeys(("num_kv_shared_layers",), 0),
    **dict.fromkeys(("vocab_size_per_layer_input",), 260),
    **dict.fromkeys(("image_size",), 28),
    **dict.fromkeys(("patch_size",), 14),
    "vocab_size": 260,
    "bos_token_id": 257,
    "eos_token_id": 258,
    "pad_token_id": 259,
}
_HYBRID = ["linear_attention", "full_attention"]
_OTHER: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "falcon_h1": {"mamba_d_ssm": 64},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "sliding_window": None},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "use_mamba_kernels": False},
    "lfm2": {"layer_types": ["conv", "full_attention"], "full_attn_idxs": [1], "block_ff_dim": 48},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mamba2": {"num_heads": 8, "expand": 2},
    "minimax": {"layer_types": _HYBRID, "block_size": 16},
    "nemotron_h": {"hybrid_override_pattern": "M*"},
    "qwen3_5_text": {"layer_types": _HYBRID},
    "qwen3_next": {"layer_types": _HYBRID},
    "recurrent_gemma": {"block_types": ["recurrent", "attention"], "lru_width": 32},
    "longcat_flash": {"ffn_hidden_size": 48, "expert_ffn_hidden_size": 16, "zero_expert_num": 2},
    "reformer": {"is_decoder": True, "axial_pos_embds": False, "attn_layers": ["local", "local"]},
    "xlm": {"emb_dim": 32, "n_words": 260, "causal": True, "n_langs": 1},
    "xmod": {"default_language": "en_XX", "max_position_embeddings": 520},
    "zamba2": {
        "layers_block_type": ["mamba", "hybrid"],
        "num_mem_blocks": 1,
        "attention_head_dim": 16,
        "attention_hidden_size": 64,
    },
    "zaya": {"num_experts_per_tok": 1},
}
_OTHERWISE: list[dict[str, Any]] = [
    {},
    {"num_key_value_heads": 4},  # as many as of queries
    {"head_dim": 8},
    {"max_position_embeddings": 520},  # places count from behind the padding's number
    {"is_decoder": True, "max_position_embeddings": 520},
]

_PROMPTS = [Prompt("A cat sat. " * 3 + "Summary:", "one"), Prompt("Dog:", "two")]
_CONTINUATIONS = [" It sat down.", " bark"]
_CHOICES = (Choice("yes", (" Yes", "Y")), Choice("no", (" No",)))


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one architecture; the differences are the largest from plain forward passes, in nats."""

    kind: str
    engine: str = ""
    scoring: float = math.nan
    choices: float = math.nan
    sampling: str = ""
    trained: str = ""
    refused: str = ""
    not_built: str = ""

    @property
    def right(self) -> bool:
        """Whether every answer is the model's own, or the model was refused as a whole."""
        if self.refused or self.not_built:
            return True
        return (
            max(self.scoring, self.choices) < 1e-4
            and self.sampling == "equal"
            and (self.trained == "equal" or self.trained.startswith("refused"))
        )


def examine(kind: str, scratch: Path) -> Finding:
    """Build a tiny model of an architecture, ask it everything, train it, and ask it again."""
    directory = scratch / kind
    try:
        network = _build(kind)
        network.save_pretrained(directory)
        _tokenizer().save_pretrained(directory)
        oracle = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    except Exception as error:  # noqa: BLE001  # sizes that have other names, or parts that are not text
        return Finding(kind, not_built=f"{type(error).__name__}: {' '.join(str(error).split())[:80]}")
    model = LocalLanguageModel(load_model_source(kind, directory, dtype="float32"))
    try:
        scoring = _scoring(model, oracle)
        choices = _choices(model, oracle)
        sampling = _sampling(model, oracle)
        with model.runtime.loaded() as loaded:
            engine = _name(loaded.engine)
    except UserError as error:
        return Finding(kind, refused=_reason(error))
    return Finding(kind, engine, scoring, choices, sampling, _training(model, scratch))


def _build(kind: str) -> Any:
    """Return a model whose own pass runs, with the first of the sizes that some architectures want otherwise."""
    settings = _settings(kind)
    for otherwise in _OTHERWISE[:-1]:
        try:
            return _build_with(kind, settings | otherwise)
        except Exception:  # noqa: BLE001  # the last ones' error is told
            continue
    return _build_with(kind, settings | _OTHERWISE[-1])


@torch.inference_mode()
def _build_with(kind: str, settings: dict[str, Any]) -> Any:
    config = AutoConfig.for_model(kind, **settings)
    with torch.device("meta"):
        size = sum(weight.numel() for weight in AutoModelForCausalLM.from_config(config).parameters())
    if size > _LARGEST:
        raise ValueError(f"{size / 1e6:.0f} million parameters")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        for weight in model.parameters():
            if weight.ndim >= 2:
                weight.data.normal_(0, 0.15)
    model.tie_weights()
    model(input_ids=torch.tensor([[5, 6, 7]]), use_cache=False)
    return model


def _settings(kind: str) -> dict[str, Any]:
    """Return small sizes under the names that an architecture has for them, in its inner configurations too."""
    default = CONFIG_MAPPING[kind]()
    known = default.to_dict()
    found = {name: value for name, value in _SIZES.items() if known.get(name) is not None or name in known}
    for name, value in list(found.items()):
        own = getattr(type(default), name, None)
        left_open = known[name] is None and name in ("sliding_window", "head_dim", "num_key_value_heads")
        per_layer = isinstance(known[name], list) and not isinstance(value, list)
        if (isinstance(own, property) and own.fset is None) or left_open or per_layer:
            del found[name]
    for name in getattr(default, "sub_configs", {}):
        inner = getattr(default, name, None)
        if inner is not None and inner.model_type in CONFIG_MAPPING:
            found[name] = _settings(inner.model_type)
    return found | _OTHER.get(kind, {})


def _tokenizer() -> PreTrainedTokenizerFast:
    """Return one token for each byte, and three special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(BPE(vocab={letter: place for place, letter in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(["<other>", "<begin>", "<end>", "<pad>"])
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<begin>", eos_token="<end>", pad_token="<pad>")


def _scoring(model: LocalLanguageModel, oracle: Any) -> float:
    answers = model.log_likelihood(_PROMPTS, _CONTINUATIONS)
    return max(
        abs(found - expected)
        for prompt, text, answer in zip(_PROMPTS, _CONTINUATIONS, answers, strict=True)
        for joint in [model.formatter.continuation(prompt, text)[1]]
        for found, expected in zip(
            answer.log_probabilities, naive.token_log_probabilities(oracle, joint.tokens, joint.start), strict=True
        )
    )


def _choices(model: LocalLanguageModel, oracle: Any) -> float:
    worst = 0.0
    for prompt, answer in zip(_PROMPTS, model.choice_probabilities(_PROMPTS, _CHOICES), strict=True):
        tokens = model.formatter.prompt(prompt, 8).tokens
        mass = []
        for choice in _CHOICES:
            spelled = [model.formatter.bare(spelling) for spelling in choice.verbalizers]
            mass.append(
                sum(math.exp(sum(naive.token_log_probabilities(oracle, tokens + s, len(tokens)))) for s in spelled)
            )
        expected = [math.log(each / sum(mass)) for each in mass]
        worst = max(worst, *(abs(a - b) for a, b in zip(answer.log_probabilities, expected, strict=True)))
    return worst


def _sampling(model: LocalLanguageModel, oracle: Any) -> str:
    """Compare every sample with one drawn from plain forward passes by the same random numbers."""
    options = SamplingOptions(max_new_tokens=5)
    with model.runtime.loaded() as loaded:
        ends = loaded.ends
    for prompt, row in zip(_PROMPTS, model.generate(_PROMPTS, range(3), options, seed=3), strict=True):
        tokens = model.formatter.prompt(prompt, 5).tokens
        for place, sample in enumerate(row):
            drawn, values, _ = naive.generate(oracle, tokens, options, ends, 3, prompt.example_id, place, cached=False)
            found = sample.token_log_probabilities or ()
            if len(found) != len(drawn) or any(abs(a - b) > 1e-3 for a, b in zip(found, values, strict=True)):
                return "differs"
    return "equal"


def _training(model: LocalLanguageModel, scratch: Path) -> str:
    """Train adapters, and compare the labels' likelihoods with those of the model as training left it."""
    examples = [TrainingExample(*pair) for pair in zip(_PROMPTS, _CONTINUATIONS, strict=True)]
    options = TrainingOptions(dtype="float32", batch_size=2, epochs=2, learning_rate=1e-2, lora=LoraOptions(rank=2))
    left: list[Any] = []
    save = fitting.save_model
    fitting.save_model = lambda network, *others: (left.append(network.eval()), save(network, *others))[1]
    try:
        workspace = TrainingWorkspace(scratch / f"{model.name}-trainings")
        checkpoint = train_language_model(model.source, examples, options, seed=0, workspace=workspace, label="x")
        return "equal" if _scoring(model.with_checkpoint(checkpoint), left[0]) < 1e-4 else "differs"
    except UserError as error:
        return f"refused: {_reason(error)}"
    except RuntimeError as error:  # in transformers' or peft's own code
        return f"fails: {' '.join(str(error).split())[:80]}"
    finally:
        fitting.save_model = save


def _name(engine: Engine) -> str:
    if isinstance(engine, TreeEngine):
        return "tree"
    name = "padded" if engine._rows > 1 else "alone"
    name += ", cached" if engine._cached else ", recomputed"
    return name + (", whole" if isinstance(engine.forward, WholeForward) else "")


def _reason(error: UserError) -> str:
    text = str(error).partition(". Name a")[0].partition(": ")[2] or str(error)
    return " ".join(text.split())[:140]
