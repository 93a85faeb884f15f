# make demo       the main job, on a house that the program simulates itself: no download
# make test       lint, types and all tests of under 15 minutes
# make test-slow  the longer proofs
# make bench      the measurements behind docs/DEVICE.md
# make fuzz       any calls and any bytes into emitted models, altered files into the loader; 20 minutes
# make setup      the set-up alone, into .venv (the others do it when it is missing)
# make clean      remove what runs and builds left; the set-up stays

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# one thread each: two cores are better spent on two tests than on one matrix
export OMP_NUM_THREADS ?= 1

.PHONY: setup demo test lint test-slow bench fuzz clean

setup: .venv/installed

# torch first and by version: a bare `torch` may bring gigabytes of GPU libraries
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/tinyloc run --data house --out runs/demo
	@echo
	@echo "The page: runs/demo/index.html   The C: runs/demo/c   Your own recording: tinyloc run --help"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -m "not slow" -n auto --dist loadfile

test-slow: setup
	$(BIN)/pytest -m slow -n auto --dist loadfile

bench: setup
	$(BIN)/python bench/scan.py
	$(BIN)/python bench/device.py
	$(BIN)/python bench/streaming.py
	$(BIN)/python bench/targets.py
	$(BIN)/python bench/avr.py
	$(BIN)/python bench/rp2040.py
	$(BIN)/python bench/kernels.py
	$(BIN)/python bench/everywhere.py
	$(BIN)/python bench/float32.py
	$(BIN)/python bench/unknown.py
	$(BIN)/python bench/peers.py

# each ten minutes; atheris leads the loader's fuzzer by what its bytes reach, and is not needed elsewhere
FUZZ_SECONDS ?= 600
fuzz: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris>=3' || true
	$(BIN)/python fuzz/fuzz_steps.py --seconds $(FUZZ_SECONDS)
	$(BIN)/python fuzz/fuzz_loader.py --seconds $(FUZZ_SECONDS)

clean:
	rm -rf runs build .pytest_cache .mypy_cache .ruff_cache .hypothesis
