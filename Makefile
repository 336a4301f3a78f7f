# Everything a person types. `make` lists it. Each target sets up what it needs, once, in .venv.
#
#   ARGS='seed=1 budget.passes=4096'   handed on to the command as it is
#   PYTHON=python3.12                  which Python .venv is made of; 3.11 or newer
#   PIP_INDEX_URL and pip's other environment variables are pip's own, and mean what they mean everywhere.

.DEFAULT_GOAL := help
.PHONY: help venv setup demo test test-all say-test say-test-all check tasks policies experiment experiments solve watch report dashboard sync backfill claim claims across compare compare-page stopping match tune sweep bench clean

PYTHON  ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
               $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PASSES  ?= 1024
WORKERS ?= 2
ARGS    ?=
BIN     := .venv/bin
RUN     := exec $(BIN)/python

help:  ## this list
	@echo 'make <target>; the first one also sets up .venv: 2 to 10 minutes, 2 GB of disk (6 GB with CUDA), 0.6 to 3 GB of download'
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' Makefile
	@echo 'add ARGS="key=value ..." to hand settings on; `make setup` first where another torch than the default is wanted (README)'

demo: .venv/.stamp  ## the project's question on a small task, end to end: 7 to 11 minutes on 2 cores, 20 MB in outputs/demo
	@echo 'demo: trains three small models and compares them; 7 to 11 minutes on 2 cores, 1 GB of memory, 20 MB of disk, no download'
	@$(RUN) -m dlmreason.experiment experiment=demo $(ARGS)

test: say-test check  ## checks and fast tests: 6 to 9 minutes on 2 cores, no download; ARGS go to pytest
	@$(RUN) -m pytest -m 'not slow and not gpu and not bench' -n $(WORKERS) -q $(ARGS)

test-all: say-test-all check  ## checks and all tests: an hour on 2 cores
	@$(RUN) -m pytest -m 'not bench' -n $(WORKERS) -q --timeout 3000 $(ARGS)

say-test:
	@echo 'test: checks and fast tests; 6 to 9 minutes on 2 cores, no download'

say-test-all:
	@echo 'test-all: checks and all tests; an hour on 2 cores, no download'

check: .venv/.stamp  ## lint, format, types, import contracts: 1 minute the first time, then seconds
	@$(BIN)/python -m ruff check --quiet .
	@$(BIN)/python -m ruff format --check --quiet . || { echo 'run: $(BIN)/ruff format .'; exit 1; }
	@$(BIN)/python -m mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >.venv/imports.log 2>&1 || { cat .venv/imports.log; exit 1; }
	@echo 'check: lint, format, types and import contracts hold'

experiment: .venv/.stamp  ## NAME=<claim> [ARGS=...]: trains what has no checkpoint, evaluates, compares, reports; resumable; time: see experiments/
	@test -n '$(NAME)' || { echo 'say which: make experiment NAME=<claim>; `make experiments` lists them' >&2; exit 2; }
	@sed -n '/^# @package/d; s/^# */$(NAME): /p; /^[^#]/q' conf/experiment/'$(NAME)'.yaml 2>/dev/null | head -n 1
	@$(RUN) -m dlmreason.experiment experiment=$(NAME) $(ARGS)

tune: .venv/.stamp  ## NAME=<claim> [ARGS=...]: as many trials of each arm on the validation split, best settings in tuning.yaml; an evaluation each
	@test -n '$(NAME)' || { echo 'say which: make tune NAME=<claim>; `make experiments` lists them' >&2; exit 2; }
	@$(RUN) -m dlmreason.tune experiment=$(NAME) $(ARGS)

sweep: .venv/.stamp  ## [NAME=<sweep> ARGS=...]: every cell of sweeps/<sweep>.yaml, one after another or on Slurm; without NAME lists them: a run a cell
	@$(RUN) -m dlmreason.sweep $(NAME) $(ARGS)

tasks: .venv/.stamp  ## [ARGS='countdown4 zebra']: every task with an example, its thought, lengths and speed: 1 minute
	@$(RUN) -m dlmreason.catalogue $(ARGS)

policies: .venv/.stamp  ## every policy: paper, what it may revise and needs; docs/policies.md is this: seconds
	@$(RUN) -m dlmreason.policy_catalogue

experiments:  ## lists the experiments
	@for file in conf/experiment/*.yaml; do printf '  %-28s %s\n' "$$(basename "$$file" .yaml)" \
	    "$$(sed -n '/^# @package/d; s/^# *//p' "$$file" | head -n 1)"; done

solve: .venv/.stamp  ## PUZZLE=... [PASSES=1024]: answers one puzzle and shows the passes: seconds
	@test -n '$(PUZZLE)' || { echo 'say which: make solve PUZZLE=0340000000000210 [PASSES=1024]' >&2; exit 2; }
	@$(RUN) -m dlmreason.solve 'puzzle="$(PUZZLE)"' budget.passes=$(PASSES) $(ARGS)

watch: .venv/.stamp  ## PUZZLE=... [PASSES=1024 ARGS='pace=20 policy=restarts']: a model deliberates before one's eyes
	@test -n '$(PUZZLE)' || { echo 'say which: make watch PUZZLE=0340000000000210 [PASSES=1024 ARGS=pace=20]' >&2; exit 2; }
	@$(RUN) -m dlmreason.watch 'puzzle="$(PUZZLE)"' budget.passes=$(PASSES) $(ARGS)

report: .venv/.stamp  ## NAME=<name>: makes the table and page of outputs/<name> again: seconds
	@test -n '$(NAME)' || { echo 'say which: make report NAME=<name>, a folder of outputs/' >&2; exit 2; }
	@$(RUN) -m dlmreason.report name=$(NAME) $(ARGS)

dashboard: .venv/.stamp  ## [NAME=<name>]: outputs/<name>/dashboard.html; without NAME the same as a W&B workspace, which needs a key: seconds
	@$(RUN) -m dlmreason.dashboard $(if $(NAME),name=$(NAME)) $(ARGS)

sync: .venv/.stamp  ## [NAME=<name>]: uploads the W&B runs that stayed offline, of one folder of outputs/ or of all; needs a key
	@$(RUN) -m dlmreason.sync $(if $(NAME),name=$(NAME)) $(ARGS)

backfill: .venv/.stamp  ## NAME=<name>: makes the W&B run of outputs/<name> anew from its own files: seconds
	@test -n '$(NAME)' || { echo 'say which: make backfill NAME=<name>, a folder of outputs/' >&2; exit 2; }
	@$(RUN) -m dlmreason.backfill name=$(NAME) $(ARGS)

claim: .venv/.stamp  ## FROM='outputs/a outputs/b' TO=experiments/<claim>: what of a claim's runs is committed; FROM may name the claim, to add a seed: seconds
	@test -n '$(FROM)' -a -n '$(TO)' || { echo "say which: make claim FROM='outputs/demo outputs/demo_1' TO=experiments/demo" >&2; exit 2; }
	@$(RUN) -m dlmreason.claim from="[$$(echo $(FROM) | tr ' ' ,)]" to='$(TO)' $(ARGS)

compare: .venv/.stamp  ## RECORDS=<folder or file> FIRST=<arm@budget> SECOND=<arm@budget>: the second against the first, paired: seconds
	@test -n '$(RECORDS)' -a -n '$(FIRST)' -a -n '$(SECOND)' || { echo 'say which: make compare RECORDS=experiments/remask_vs_no_remask FIRST=random@128 SECOND=learned@128' >&2; exit 2; }
	@$(RUN) -m dlmreason.compare records='$(RECORDS)' first='$(FIRST)' second='$(SECOND)' $(ARGS)

compare-page: .venv/.stamp  ## FROM='outputs/a outputs/b' [ARGS=to=outputs/compare.html]: runs or claims on one page: seconds
	@test -n '$(FROM)' || { echo "say which: make compare-page FROM='outputs/a outputs/b'" >&2; exit 2; }
	@$(RUN) -m dlmreason.compare_page from="[$$(echo $(FROM) | tr ' ' ,)]" $(ARGS)

across: .venv/.stamp  ## OF=order|fewer|work FROM='folder folder' TO=experiments/<claim>: parts of a claim in one table and figure: seconds
	@test -n '$(OF)' -a -n '$(FROM)' -a -n '$(TO)' || { echo "say what: make across OF=work FROM='experiments/a experiments/b' TO=outputs/across" >&2; exit 2; }
	@$(RUN) -m dlmreason.across of=$(OF) from="[$$(echo $(FROM) | tr ' ' ,)]" to='$(TO)' $(ARGS)

claims: .venv/.stamp  ## all claims with their verdicts and figures on one page, outputs/claims.html: seconds
	@$(RUN) -m dlmreason.claims $(ARGS)

stopping: .venv/.stamp  ## RECORDS=<folder or file> ARM=<arm>: where rules would have stopped, against one who knows the answers: seconds
	@test -n '$(RECORDS)' -a -n '$(ARM)' || { echo 'say which: make stopping RECORDS=experiments/demo ARM=change_of_mind' >&2; exit 2; }
	@$(RUN) -m dlmreason.stopping records='$(RECORDS)' of='$(ARM)' $(ARGS)

match: .venv/.stamp  ## NAME=<claim> FIRST=<arm> SECOND=<arm> [ARGS=by=depth]: the settings of the second that spend what the first does: seconds
	@test -n '$(NAME)' -a -n '$(FIRST)' -a -n '$(SECOND)' || { echo 'say what: make match NAME=<claim> FIRST=<arm> SECOND=<arm>' >&2; exit 2; }
	@$(RUN) -m dlmreason.match experiment=$(NAME) first=$(FIRST) second=$(SECOND) $(ARGS)

bench: .venv/.stamp  ## times a pass, an update and a generated token on this machine: 10 minutes
	@echo 'bench: times a pass, an update and a token; 10 minutes on an idle machine'
	@$(RUN) -m pytest -m bench -q -s -n 0 $(ARGS)

venv: $(BIN)/python  ## an empty .venv, into which you may install the torch of your choice before setup

setup: .venv/.stamp  ## .venv with all that is needed; done again only when pyproject.toml or constraints.txt change
	@echo 'setup: .venv is ready'

clean:  ## removes .venv and caches; outputs/ stays
	@rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer, with venv, is needed and was not found; name one: make PYTHON=/path/to/python3.11' >&2; exit 2; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo 'PYTHON=$(PYTHON) is not Python 3.11 or newer' >&2; exit 2; }
	@'$(PYTHON)' -m venv .venv || { echo 'no virtual environment could be made: is the venv package of $(PYTHON) installed?' >&2; exit 2; }

.venv/.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'setting up .venv, once: 2 to 10 minutes, 2 GB of disk (6 GB with CUDA), 0.6 to 3 GB of download; log in .venv/install.log'
	@$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]' >.venv/install.log 2>&1 \
	    || { tail -n 20 .venv/install.log; echo 'setting up failed; the whole log is .venv/install.log' >&2; exit 1; }
	@$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[gym]' >>.venv/install.log 2>&1 \
	    || echo 'setup: reasoning-gym could not be installed (it needs a C compiler): all but task=reasoning_gym works' >&2
	@touch $@
