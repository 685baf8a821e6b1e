# One verb each; .ci/run calls the same verbs.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test slow lint types docs reference bench lock clean
.DEFAULT_GOAL := test

$(STAMP): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP)        ## plan T7 of the bundled CT
	$(BIN)/kypho sample --out kypho-demo/input
	$(BIN)/kypho plan kypho-demo/input/t5-t9_ct.nii.gz --labels kypho-demo/input/t5-t9_labels.nii.gz --level T7 --out kypho-demo/T7

test: $(STAMP)        ## the default tests, minutes
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

slow: $(STAMP)        ## the fine validations
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

docs: $(STAMP)        ## fail if the docs are out of step with the code
	$(BIN)/python docs/generate.py --check

reference: $(STAMP)   ## renew docs/reference from the program
	$(BIN)/python docs/generate.py

bench: $(STAMP)
	$(BIN)/python -m pytest benchmarks --benchmark-enable --benchmark-only

lock: pyproject.toml  ## renew the hashed requirements
	$(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras --extra dev --extra codecs --extra records --extra postgres --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header --output-file requirements.lock pyproject.toml

clean:
	rm -rf build dist kypho-demo .pytest_cache .mypy_cache .ruff_cache
