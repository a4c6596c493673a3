# Each target makes its own environment in .venv, once; `make setup` again only after a dependency changed.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.setup-done

.PHONY: setup demo test check smoke bench docs clean

BENCH := .venv/.bench-done
BENCHMARKS := spinwave large_cells mnf2 mnf2_coverage la2nio4 nitio3 pcsmo_frame peak_tables formats rb2mnf4_posterior la2nio4_thinned pcsmo_posterior misspecification quadrature hostile_files steering phonon_powder phonon_measured phonon_latents match match_domain match_measured match_techniques match_routes causal causal_measured causal_saliency causal_predict
CONTESTS := pcsmo_discrimination pcsmo_cleaned attribution
QUICK := quick-contests $(BENCHMARKS:%=quick-%)
ALONE := hostile_files
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync)
.PHONY: $(QUICK)

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/sqwirrel simulate examples/rb2mnf4_truth.toml --out demo/measured
	$(BIN)/sqwirrel infer examples/rb2mnf4.toml --out demo/result

test: setup
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(MAKE) docs

$(BENCH): $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[bench]'
	touch $@

# Two at a time, but for those that look at the clock.
smoke: $(BENCH)
	test -d ../shared || { echo "there is no ../shared here: no benchmark was run"; exit 0; }; \
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(MAKE) -j 2 $(SYNC) $(filter-out $(ALONE:%=quick-%),$(QUICK)) && \
	$(MAKE) $(ALONE:%=quick-%)

$(QUICK): $(BENCH)

$(BENCHMARKS:%=quick-%): quick-%:
	$(BIN)/python -m benchmarks.$* --quick || { echo "benchmarks.$* --quick failed"; exit 1; }

quick-contests:
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; for name in $(CONTESTS); do \
		$(BIN)/python -m benchmarks.$$name --quick --folder $$folder || { echo "$$name --quick failed"; exit 1; }; done

bench: $(BENCH)
	$(BIN)/python -m benchmarks.spinwave

docs: setup
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html

clean:
	rm -rf .venv demo docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
