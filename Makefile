# `make demo` shows what edgekit does; `make test` runs every check. Both make .venv when it is missing or out of date.

# The first of these that is Python 3.10 or newer and can make a virtual environment; or say `make PYTHON=...`.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.10 python3; do \
	$$python -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$python && break; \
	done)
VENV := .venv
RUN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ORACLE := $(VENV)-oracle

# Keep bytecode even where the shell forbids it: else each process of the tests compiles every test and module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test quick coverage check bench-self bench-peers bench-store bench-database fuzz attack gpu-check tensorrt-check phone-tool \
	board-check docs oracle oracle-test zoo clean

demo: $(INSTALLED)
	$(RUN)/edgekit demo

# Three processes of one thread each: many tests wait for a process of their own.
PYTEST := OMP_NUM_THREADS=1 $(RUN)/python -m pytest
PYTEST_ALL := $(PYTEST) -n 3 --dist worksteal

test: check
	$(PYTEST_ALL)

# An answer in a minute or two, while one edits: no network, no browser, no database, no training.
quick: $(INSTALLED)
	$(PYTEST_ALL) -q -m "not slow and not data"

# Which lines the tests run, those in processes of their own too: a table, and pages in build/coverage.
coverage: $(INSTALLED)
	$(PYTEST_ALL) -q --cov --cov-report=term:skip-covered --cov-report=html:build/coverage

check: $(INSTALLED)
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

bench-self: $(INSTALLED)
	$(RUN)/python -m scripts.bench_self

# What a store of 100,000 measurements costs: docs/measured/store.md. A quarter of an hour, and 5 GB among the temporary files.
bench-store: $(INSTALLED)
	OMP_NUM_THREADS=1 $(RUN)/python -m scripts.bench_store

# A store of a million measurements, and fifty writers while PostgreSQL is killed: docs/measured/database.md. Half an hour,
# and 15 GB among the temporary files.
bench-database: $(INSTALLED)
	OMP_NUM_THREADS=1 $(RUN)/python -m scripts.bench_database

# Every parser of foreign texts on 100,000 damaged ones: half an hour.
fuzz: $(INSTALLED)
	$(RUN)/python -m scripts.fuzz

# Damaged files of each kind and names that mean harm, then every command killed at any moment and on a full disk, then
# those that use a phone or a board: an hour. ATTACK=600 takes ten minutes; a part alone is python -m scripts.attack.input,
# scripts.attack.kills or scripts.attack.devices.
attack: $(INSTALLED)
	OMP_NUM_THREADS=1 $(RUN)/python -m scripts.attack $(ATTACK)

# The desktop-GPU part, on a machine with a CUDA GPU: needs torch and numpy there, and nothing installed.
gpu-check:
	$(if $(wildcard $(RUN)/python),$(RUN)/python,$(PYTHON)) scripts/gpu_check.py

# Every network built by TensorRT for RTX in three precisions, without a GPU: docs/measured/tensorrt-rtx.md. An hour; goes
# on where it stopped.
tensorrt-check: $(INSTALLED)
	OMP_NUM_THREADS=1 $(RUN)/python -m scripts.tensorrt_check

# The classic benchmark_model for this machine, built in the user's cache from Debian's source: with it the tests run a
# phone that is real but for its hardware. Two minutes and 150 MB to fetch, once.
phone-tool: $(INSTALLED)
	$(RUN)/python -m scripts.phone_tool

# What an ARM processor answers, on an arm64 Debian below qemu: docs/measured/arm.md. Some minutes, 150 MB to fetch once;
# goes on where it stopped.
board-check: $(INSTALLED)
	OMP_NUM_THREADS=1 $(RUN)/python -m scripts.board.check

# Every network as ONNX and TFLite, proved: docs/zoo.md. Takes an hour and 23 GB in build/; goes on where it stopped.
# ZOO=--time then adds latencies: a quarter of an hour, on a machine that does nothing else.
zoo: $(INSTALLED)
	$(RUN)/python -m scripts.zoo.table $(ZOO)

# The documents as a site in build/site, with every link checked. What builds it is installed first; then it needs no
# network connection.
docs: $(INSTALLED)
	$(RUN)/python -c "import mkdocs, material, mkdocstrings" 2>/dev/null || $(RUN)/python -m pip install --quiet --group docs
	$(RUN)/python -m mkdocs build

# Other converters and quantizers, in an environment of their own: what our files and times are compared with. Beside it
# one with the last tflite-runtime, where this Python has it.
oracle: $(ORACLE)/.installed

$(ORACLE)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(ORACLE)
	$(ORACLE)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(ORACLE)/bin/python -m pip install --quiet -c constraints.txt torch
	$(ORACLE)/bin/python -m pip install --quiet --group oracle
	$(PYTHON) -m venv $(VENV)-tflite-runtime
	$(VENV)-tflite-runtime/bin/python -m pip install --quiet tflite-runtime==2.14.0 "numpy<2" || \
		{ echo "tflite-runtime 2.14 is not for this Python: its tests will be skipped"; rm -r $(VENV)-tflite-runtime; }
	touch $@

# One network by edgekit and by what one would use without it: docs/measured/peers.md. Ten minutes of a machine that does
# nothing else.
bench-peers: $(INSTALLED) $(ORACLE)/.installed
	$(RUN)/python -m scripts.peers

# Every network of the zoo through the other converters too: an hour, and up to 6 GB for each of the two processes.
oracle-test: $(INSTALLED) $(ORACLE)/.installed
	$(PYTEST) -n 2 --dist loadgroup tests/oracle

# torch goes first: it is the largest, and where it cannot be had nothing else is worth waiting for. setuptools warns in
# capitals of folders that are named like the package, which every checkout has.
$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.10 or newer with venv was found; install one, or say make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(RUN)/python -m pip install --quiet -c constraints.txt torch
	PYTHONWARNINGS="ignore:Editable installation" \
		$(RUN)/python -m pip install --quiet -c constraints.txt --editable ".[all]" --group dev
	PYTHONWARNINGS="ignore:Editable installation" \
		$(RUN)/python -m pip install --quiet -c constraints.txt --editable ".[tensorrt-rtx]" || \
		echo "TensorRT for RTX cannot be had here: its tests will be skipped"
	touch $@

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -not -path "./$(VENV)/*" -prune -exec rm -rf {} +
