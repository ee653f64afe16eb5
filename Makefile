# Needs Python 3.11 or later and make; the first target that runs sets up .venv.
#   make demo     two clients trade against a paper broker; MARKET=replay:FILE plays a recording
#   make test     every quick test
#   make chaos     a stack under load, KILLS=20 processes of it killed, SEED=1; what its parts wrote is compared
#   make check    lint, format, types, who imports whom, contract, stubs, reference
#   make bench    what the EMS costs beyond bare floors, minutes; bench-quick is rougher, under one
#   make fix-deps QuickFIX and its programs, for the FIX adapter and its tests; builds for minutes, once
#   make chaos-fix  KILLS=200 kills of FIX adapters under load, QuickFIX's own book as the witness
#   make simulate everything on virtual time, SEEDS of them; SEED=n plays one with its trace
#   make protos   stubs from the contract
#   make up down  the stack in containers
#   make lock     constraints.txt from pyproject.toml

PYTHON ?= $(shell python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo python3 || echo python3.11)
COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
MARKET ?= seeded
KILLS ?= 20
SEEDS ?= 200
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
READY := .venv/ready

FIX_READY := .venv/fix-ready

.PHONY: demo test chaos chaos-fix fix-deps simulate check bench bench-quick protos up down lock install

demo: $(READY)
	@$(BIN)/python clients/demo/run.py --market "$(MARKET)"

test: $(READY)
	@$(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist worksteal

chaos: $(READY)
	@PYTHONPATH=tests GRPC_VERBOSITY=ERROR GRPC_ENABLE_FORK_SUPPORT=0 $(BIN)/python -m chaos --kills $(KILLS) --seed $(or $(SEED),1)

chaos-fix: $(FIX_READY)
	@PYTHONPATH=tests GRPC_VERBOSITY=ERROR GRPC_ENABLE_FORK_SUPPORT=0 $(BIN)/python -m chaos.fix_run --kills $(KILLS) --seed $(or $(SEED),1)

fix-deps: $(FIX_READY)

$(FIX_READY): $(READY) .ci/fix-deps
	@.ci/fix-deps && touch $@

check: $(READY)
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/buf lint
	@$(BIN)/python protos/generate.py --check && $(BIN)/python docs/generate.py --check

bench: $(READY)
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m bench

bench-quick: $(READY)
	@GRPC_VERBOSITY=ERROR $(BIN)/python -m bench --rounds 3 --orders 6000

simulate: $(READY)
	@PYTHONPATH=tests $(BIN)/python -m simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

protos: $(READY)
	@$(BIN)/python protos/generate.py

up:
	@$(COMPOSE) up --build --detach

down:
	@$(COMPOSE) down

lock: $(READY)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-emit-index-url \
	  --custom-compile-command "make lock" --output-file constraints.txt pyproject.toml

install: $(READY)

# A .venv that works is kept, whoever made it; one whose Python or pip does not run is made again.
$(READY): pyproject.toml constraints.txt
	@echo "setting up (1/3): virtual environment"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@echo "setting up (2/3): build backend" && $(INSTALL) hatchling
	@echo "setting up (3/3): pitline, its dependencies and tools (about a minute)"
	@$(INSTALL) --no-build-isolation --editable ".[dev]" && touch $@
