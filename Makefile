# The two commands of the README, on a fresh machine with Python, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: report test lint types clean

report: $(STAMP)
	$(BIN)/ritzkit bench --quick --out out/report

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(MAKE) types

# mypy cannot follow the import hook of an editable install, so it reads a tree of links
types: $(STAMP)
	rm -rf build/types && mkdir -p build/types/ritzkit
	for f in src/ritzkit/*; do case $$f in *__pycache__) ;; *) ln -s ../../../$$f build/types/ritzkit/ ;; esac; done
	for d in linalg solvers problems learned reports; do ln -s ../../../$$d build/types/ritzkit/$$d; done
	cd build/types && MYPYPATH=. ../../$(BIN)/python -m mypy --config-file ../../pyproject.toml -p ritzkit

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24" -c constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[all]"
	touch $@

clean:
	rm -rf $(VENV) build dist out *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
