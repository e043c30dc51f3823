"""What happens around a run: one class a file."""

from ilf_kedro.hooks.capabilities import CapabilityHook
from ilf_kedro.hooks.missing_inputs import MissingInputsHook
from ilf_kedro.hooks.outcome import OutcomeHook
from ilf_kedro.hooks.parameters import ParameterHook
from ilf_kedro.hooks.run_record import RunRecordHook
from ilf_kedro.hooks.tracking import TrackingHook
from ilf_kedro.hooks.verifier import VerifierHook

__all__ = [
    "CapabilityHook",
    "MissingInputsHook",
    "OutcomeHook",
    "ParameterHook",
    "RunRecordHook",
    "TrackingHook",
    "VerifierHook",
]
