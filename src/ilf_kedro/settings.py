"""Project settings: https://docs.kedro.org/en/stable/configure/configuration_basics/."""

import os
import warnings

# Before anything imports torch. Waiting threads must not spin for long: on a busy machine a prefill fell from
# 13.5 s to 0.7 s with it. But a sleeping thread is late for the next product: some 0.1 ms of spinning made sampling
# 1.8 times and training 1.3 times as fast on two idle cores, and sampling 1.2 times slower on two busy ones.
# And nothing phones home.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")

from omegaconf.resolvers import oc

from ilf_kedro.wiring.config_loader import LayeredConfigLoader
from ilf_kedro.wiring.context import ProjectContext
from ilf_kedro.wiring.hooks import (
    CapabilityHook,
    CatalogHook,
    MissingInputsHook,
    OneRunHook,
    OutcomeHook,
    ParameterHook,
    PromptHook,
    RunRecordHook,
    TrackingHook,
    VerifierHook,
    VersionHook,
)

# Peft asks for it by its old name; where several threads load adapters, a filter around each is not safe.
warnings.filterwarnings("ignore", message=".is_gradient_checkpointing. is deprecated")
# Our dotted names are namespaces (finetune.refinements.n100), or read like them (examples.train).
warnings.filterwarnings("ignore", message="One or more dataset names contain '.'")

HOOKS = (
    ParameterHook(),
    CatalogHook(),
    MissingInputsHook(),
    VersionHook(),  # before MissingInputsHook: Kedro calls the later one first
    OneRunHook(),  # and this before both
    CapabilityHook(),
    PromptHook(),
    VerifierHook(),
    RunRecordHook(),
    TrackingHook(),
    OutcomeHook(),
)
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)

CONTEXT_CLASS = ProjectContext
CONFIG_LOADER_CLASS = LayeredConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    # The user's own layer, merged last into every environment. Tests set the variable to "base", so that
    # a developer's conf/local does not change what they check.
    "default_run_env": os.environ.get("ILF_KEDRO_LOCAL_ENV", "local"),
    "merge_strategy": {"parameters": "soft"},
    "custom_resolvers": {"oc.env": oc.env},
}
