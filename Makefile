# `make quickstart` and `make test` need Python 3.11 or newer, git and make; they set up .venv themselves.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
# Stages and tests find the environment's own python and tools first.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Threads that wait by spinning take the core that another thread needs.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: quickstart repro report publish docs cells test test-slow lint format lab bench bench-train faults detectors lock clean

quickstart: $(READY) ## the whole pipeline on synthetic scenes, ending in reports
	python -m pipelines.quickstart
	@echo; echo "Open the reports: $(CURDIR)/runs/site/html/index.html"

repro: $(READY) ## every dataset, method and seed of params.yaml
	dvc repro

report: $(READY) ## the reports whose inputs changed, in runs/site: no data, weights, GPU or network; all in under 3 minutes on 2 cores
	python -m pipelines.reports

publish: $(READY) ## take runs into the record, reports/: make publish RUNS="nudt-sirst-ggl_net-0 ..."
	python -m pipelines.publish $(RUNS)

docs: $(READY) ## the documentation as one site with search, in runs/docs: guide, tutorials, results, every function
	sphinx-build --quiet --fail-on-warning --jobs auto -c docs . runs/docs
	@echo "Open the documentation: $(CURDIR)/runs/docs/index.html"

cells: $(READY) ## rewrite cells.yaml after a change of the lists in params.yaml
	python -c "from pipelines.plan import write_cells; write_cells()"

test: $(READY) ## the tests; under 10 minutes on 2 cores
	pytest --numprocesses auto --maxprocesses 4 --dist loadscope

test-slow: $(READY) ## those that take minutes
	pytest -m slow --numprocesses auto --maxprocesses 4 --dist loadscope

lint: $(READY) ## style, spelling, notebooks without outputs
	ruff check .
	ruff format --check .
	codespell -D - -D docs/words.txt
	mypy
	nbstripout --verify notebooks/*.ipynb

format: $(READY)
	ruff format .
	ruff check --fix .
	nbstripout notebooks/*.ipynb

lab: $(READY)
	jupyter lab notebooks/00_start.ipynb

bench: $(READY) ## training steps, inference, and how near points are to the truth; let nothing else run
	python -m tests.bench.training
	python -m tests.bench.inference
	python -m tests.bench.pinwheel
	python -m tests.bench.localisation
	python -m tests.bench.scoring

bench-train: $(READY) ## images/s of training by method and batch, and where the time goes; a quarter of an hour, let nothing else run
	python -m tests.bench.throughput

faults: $(READY) ## damage, kills of the pipeline, mutated files for every reader: half an hour of one core; needs atheris (Linux, macOS)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[fuzz]'
	python -m tests.faults

detectors: $(READY) ## what RetinaNet and YOLOv8n need besides; ultralytics is AGPL-3.0 software
	$(BIN)/python -m pip install --progress-bar on -c constraints.txt -e '.[detectors]'

lock: $(READY) ## rewrite constraints.txt from the environment
	{ echo "# Exact versions of everything; \`make lock\` rewrites them from the environment."; \
	  pip freeze --exclude-editable | sed 's/^torch==/torch===/'; } > constraints.txt

clean: ## remove what runs made; keeps the environment, data and the cache
	rm -rf runs

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed, this is %d.%d; name one with `make PYTHON=python3.12 ...`" % sys.version_info[:2])'
	@echo "Setting up .venv; torch is large (about 5 GB with CUDA), so this takes some minutes."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --progress-bar on -c constraints.txt -e '.[dev]'
	@touch $(READY)
