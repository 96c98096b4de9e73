# `make demo` and `make test` do everything: they create .venv and install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where it is set, each of the hundreds of processes that tests start would compile the whole package again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test peers most siege scale check interop bench soak mutants pins clean
.NOTPARALLEL:

$(VENV)/.runtime: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mdm_async needs Python >= 3.11: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

demo: $(VENV)/.runtime
	$(BIN)/mdm demo

# What looks whether somebody is served well meanwhile: it has the machine for itself.
ALONE := tests/siege
# A catalog of a million images: whoever is beside it waits.
LARGE := tests/scale
# A browser, and a viewer from npm: `make interop` has them.
APART := tests/interop/test_viewer.py

# In the order of tests/longest.py: by itself, whoever hands out files begins with those of many tests.
BESIDE := --numprocesses 4 --dist loadfile --no-loadscope-reorder

ifdef TESTS
test: peers
	$(BIN)/python -m pytest $(BESIDE) $(TESTS)
else
test: most siege scale
endif

peers: $(VENV)/.dev
	tests/install-peers dcmtk grid orthanc orthanc-dicomweb ceph

most: peers
	$(BIN)/python -m pytest $(BESIDE) --durations 25 $(addprefix --ignore=,$(ALONE) $(LARGE) $(APART))

siege: $(VENV)/.dev
	$(BIN)/python -m pytest $(ALONE)

scale: $(VENV)/.dev
	$(BIN)/python -m pytest $(LARGE)

# The clients of the grid and of the web against a throwaway server: a table of what each of them printed. And a viewer.
interop: $(VENV)/.dev
	tests/install-peers grid viewer
	$(BIN)/python -m tests.interop.table
	CI=true $(BIN)/python -m pytest tests/interop/test_viewer.py -rP

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Apart from the tests': what the peers bring along changes which decoders there are.
$(VENV)-bench/.done: requirements-bench.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

bench: $(VENV)-bench/.done
	tests/install-peers orthanc wrk nginx dcmtk libgdcm-tools
	$(VENV)-bench/bin/python -m bench run

# Every attack of tests/siege in rotation, beside a caller who must not notice.
MINUTES ?= 30

soak: $(VENV)/.dev
	$(BIN)/python -m tests.siege.connects --count 100000
	$(BIN)/python -m tests.siege.soak --minutes $(MINUTES)

# Guards that no test holds. Hours for all rooms; ROOMS=crypt4gh takes minutes.
ROOMS ?= crypt4gh identity client web

$(VENV)-mutants/.done: requirements-mutants.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)-mutants
	$(VENV)-mutants/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-mutants.txt
	@touch $@

mutants: $(VENV)-mutants/.done
	PYTHON=$(abspath $(VENV)-mutants/bin/python) tests/mutants $(ROOMS)

pins: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --extra server --extra build --output-file requirements.txt pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --extra server --extra build --extra dev --output-file requirements-dev.txt pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --extra server --extra build --extra dev --extra bench --output-file requirements-bench.txt pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --extra server --extra build --extra dev --extra mutants --output-file requirements-mutants.txt pyproject.toml

clean:
	rm -rf .peers $(VENV) $(VENV)-3.13 $(VENV)-bench $(VENV)-mutants build *.egg-info
