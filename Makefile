# Everything starts from Python >= 3.11, git and make; the environment is made in .venv.
# Every target may be repeated; the second time it finds the environment ready.

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
READY := .venv/.ready

.PHONY: help setup demo test lint sample-data models-report calibrations wheel wheel-test clean
.DEFAULT_GOAL := help

help:
	@echo "make demo         super-resolve the bundled OCT volume, print PSNR and SSIM, open napari"
	@echo "make test         run all tests, window tests included"
	@echo "make lint         ruff and mypy"
	@echo "make sample-data  make sample_data/ again from its seed"
	@echo "make models-report DATA=DIR  measure the bundled models again (docs/models.md says on what);"
	@echo "                   LPIPS=FILE with torchvision's AlexNet adds LPIPS"
	@echo "make calibrations DATA=DIR   calibrate the bundled models again (docs/trust.md)"
	@echo "make wheel-test   build the wheel and run the demo from it where napari is absent"
	@echo "make clean        remove everything that was built"

setup: $(READY)

# uv resolves and installs in seconds what takes pip minutes; it lives inside the environment.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "napari-srgan needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 setup"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "Python cannot make environments here; on Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip -q
	$(BIN)/python -m pip install -q --disable-pip-version-check "uv>=0.5"
	$(BIN)/uv pip install -q --python $(BIN)/python -e ".[all]" --group dev
	@touch $@

demo: $(READY)
	@sh scripts/demo.sh $(BIN)

# Two tests at a time, each on one thread. Many start processes, which without bytecode would
# compile torch and napari anew. TESTS="-n 0 ..." runs a few without workers.
test: $(READY)
	@sh scripts/with_screen.sh env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 \
	  $(BIN)/python -m pytest -n 2 $(TESTS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check src training tests benchmarks
	$(BIN)/mypy
	$(BIN)/npe2 validate src/napari_srgan/napari.yaml

sample-data: $(READY)
	$(BIN)/python -m napari_srgan.synthetic.samples sample_data

models-report: $(READY)
	@test -n "$(DATA)" || { echo "Say where the images are: make models-report DATA=DIR"; exit 1; }
	@test -d build/sets || $(BIN)/python scripts/lay_out_scans.py $(DATA) build/sets
	$(BIN)/python benchmarks/models_report.py build/sets --vgg $(DATA)/vgg19/*.pth \
	  $(if $(LPIPS),--lpips-weights $(LPIPS))

calibrations: $(READY)
	@test -n "$(DATA)" || { echo "Say where the images are: make calibrations DATA=DIR"; exit 1; }
	@test -d build/sets || $(BIN)/python scripts/lay_out_scans.py $(DATA) build/sets
	$(BIN)/python benchmarks/calibrations.py build/sets --shift

wheel: $(READY)
	rm -rf dist
	$(BIN)/uv build -q --wheel --python $(BIN)/python --out-dir dist

wheel-test: wheel
	sh scripts/wheel_test.sh $(BIN)

clean:
	rm -rf .venv build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src training tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
