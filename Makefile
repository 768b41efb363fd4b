# Each target starts from nothing but python3 and make; .venv is made once and used again.
#
#   make demo      the whole job on the embedded athletes: data, training, 500 sprints, pictures, in demo/
#   make test      the tests
#   make lint      style, format and types
#   make clean     remove .venv and demo/
#
# Linux without an NVIDIA GPU: torch is 2 GB smaller with
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make demo

PYTHON ?= python3
VENV := .venv
# The constraints hold for the build backend's own environment too: newer pips read the second name there.
PIP_INSTALL := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
  $(VENV)/bin/python -m pip install --disable-pip-version-check

.PHONY: demo test lint clean

demo: $(VENV)/.installed
	@rm -rf demo && mkdir demo
	@echo "== 1/4  made-up athletes" && cd demo && ../$(VENV)/bin/motiongan sample-data --out sample.h5
	@echo "== 2/4  training"         && cd demo && ../$(VENV)/bin/motiongan train --data sample.h5 --config ../configs/demo.yaml --out runs/demo
	@echo "== 3/4  motiongan generate --action sprint -n 500 --out aug.h5"
	@cd demo && ../$(VENV)/bin/motiongan generate --action sprint -n 500 --out aug.h5
	@echo "== 4/4  pictures"
	@cd demo && ../$(VENV)/bin/motiongan preview sample.h5 --out sample.png
	@cd demo && ../$(VENV)/bin/motiongan preview aug.h5 --out aug.png
	@cd demo && ../$(VENV)/bin/motiongan info aug.h5
	@echo "Made: demo/sample.h5  the made-up athletes        demo/sample.png  drawn"
	@echo "      demo/aug.h5     500 generated sprints       demo/aug.png     drawn"
	@echo "      demo/runs/demo  the trained model and its log"

test: $(VENV)/.installed-dev
	$(VENV)/bin/python -m pytest

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check motiongan tests tools examples
	$(VENV)/bin/ruff format --check motiongan tests tools examples
	$(VENV)/bin/mypy

clean:
	rm -rf $(VENV) demo

# A stamp is older than pyproject.toml or constraints.txt when these have changed: then pip runs again.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "motiongan needs Python 3.10 or newer; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "$(PYTHON) cannot make virtual environments: install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || { echo "Making $(VENV)"; $(PYTHON) -m venv --clear $(VENV); }
	$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP_INSTALL) -e '.[dev]'
	@touch $@
