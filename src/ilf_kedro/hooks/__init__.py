"""What happens around a run: one class a file."""

from ilf_kedro.hooks.missing_inputs import MissingInputsHook
from ilf_kedro.hooks.outcome import OutcomeHook
from ilf_kedro.hooks.parameters import ParameterHook
from ilf_kedro.hooks.run_record import RunRecordHook

__all__ = ["MissingInputsHook", "OutcomeHook", "ParameterHook", "RunRecordHook"]
