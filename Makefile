# make demo   the main job: three parties train one model, each on its own data (WORKLOAD=torch|numpy)
# make test   everything, installing what it needs; PYTEST_ARGS are passed on
# make check  lint, types, import contracts, generated code, dependencies
# make bench  the measurements, one table (ONLY=start|fanout|idle|latency|logs|flood|points|outputs|recovery|throughput|cli|tunnel|fedavg|flower for a part,
#             BENCH_ARGS="--write docs/benchmarks.md" to keep it)
# make chaos  seeded faults over real processes, engines and packets (COUNT=300, or SEEDS=1,1:2 again,
#             1:2 being seed 2 of the draw's version 1), and the model
# make fuzz   changed, cut and made-up messages for every call and for agents (COUNT=100000)
# make proto  sdk/flow_wire from proto/
# make images what Docker tests need: a Python, and torch, iflearner and Flower with their examples
# make clean  remove what make made in this folder; images stay with the engine

VENV ?= .venv
WORKLOAD ?= torch
PYTEST_ARGS ?=
ONLY ?=
BENCH_ARGS ?=
COUNT ?=
SEEDS ?=
PYTHON_BIN = $(VENV)/bin/python

export VENV

.PHONY: demo test check bench chaos fuzz proto clean venv engine images
.DEFAULT_GOAL := demo

demo: venv engine
	$(PYTHON_BIN) examples/demo.py --workload $(WORKLOAD)

test: venv engine images
	$(PYTHON_BIN) -m pytest $(PYTEST_ARGS)

check: venv
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	PYTHONPATH=sdk:. $(VENV)/bin/lint-imports
	$(PYTHON_BIN) scripts/dependency_check.py
	$(PYTHON_BIN) -m pytest -q tests/arch

bench: venv engine images
	$(PYTHON_BIN) -m bench $(addprefix --only ,$(ONLY)) $(BENCH_ARGS)

chaos: venv engine
	$(if $(SEEDS),,CHAOS_MODEL_STEPS=5000 $(PYTHON_BIN) -m pytest -q tests/chaos/test_model.py)
	PYTHONPATH=sdk:. $(PYTHON_BIN) -m tests.chaos $(if $(SEEDS),--seeds $(SEEDS),--count $(or $(COUNT),300))

fuzz: venv
	PYTHONPATH=sdk:. $(PYTHON_BIN) -m tests.security.fuzz --count $(or $(COUNT),100000)

proto: venv
	scripts/proto.sh sdk

venv:
	@scripts/ensure_venv.sh

# Exit 3 means: none to be had here, and said so; the Docker tests are then skipped by name.
engine:
	@scripts/ensure_docker.sh || test $$? -eq 3

images: venv engine
	@$(PYTHON_BIN) scripts/framework_images.py || test $$? -eq 3

clean:
	rm -rf $(VENV) .fedflow build dist .mypy_cache .ruff_cache .pytest_cache \
	  .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
