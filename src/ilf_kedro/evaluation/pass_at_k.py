"""pass@k: how likely at least one of k samples passes (Chen et al. 2021, arXiv 2107.03374, equation 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ilf_kedro.evaluation.intervals import Bootstrap, Estimate, mean_share_estimate

__all__ = ["pass_at_k", "pass_at_k_estimate"]


def pass_at_k(n: int, n_passed: int, k: int) -> float:
    """Return the unbiased estimate for one input: the share of the sets of k of its n samples with one that passed.

    Raises:
        ValueError: not 1 <= k <= n, or not 0 <= n_passed <= n.
    """
    if not 1 <= k <= n or not 0 <= n_passed <= n:
        raise ValueError(f"pass@k needs 1 <= k <= n and 0 <= n_passed <= n, found k {k}, n {n}, n_passed {n_passed}")
    if n - n_passed < k:
        return 1.0
    # One minus C(n - passed, k) / C(n, k), as a product that no large number stands in.
    return float(1.0 - np.prod(1.0 - k / np.arange(n - n_passed + 1, n + 1)))


def pass_at_k_estimate(passed: Mapping[str, Sequence[bool | None]], k: int, bootstrap: Bootstrap) -> Estimate | None:
    """Estimate pass@k over inputs, with its interval over them; None where no input has k samples with an outcome.

    `passed` has the outcomes of each input's samples by its `input_id`. A sample without an outcome (its verifier
    broke) counts for nothing. Inputs with fewer than k outcomes are left out; `n` counts the others.
    """
    defined = [[outcome for outcome in outcomes if outcome is not None] for outcomes in passed.values()]
    values = [pass_at_k(len(outcomes), sum(outcomes), k) for outcomes in defined if len(outcomes) >= k]
    return mean_share_estimate(values, bootstrap) if values else None
