# The menu. A target is one line: what it does lives in scripts/ or in cargo. CI calls these and nothing else.
# ARGS goes to the command behind the target: `make up ARGS=--no-demo`, `make test ARGS='-p policy budget'`.

# Build outputs live outside the checkout and are shared by every clone, so that a fresh one starts warm.
export MODELUX_BUILD_CACHE ?= $(HOME)/.cache/modelux
export CARGO_TARGET_DIR ?= $(MODELUX_BUILD_CACHE)/target
export PATH := $(MODELUX_BUILD_CACHE)/tools/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help up test fuzz lint fmt gen bench images doctor

help:   ## show this menu
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
up:     ## build, then run control plane and one worker with a demo project (Ctrl-C stops them)
	@scripts/up $(ARGS)
test:   ## run every test, on PostgreSQL, Redis and SQLite started for it and removed after it
	@scripts/test $(ARGS)
fuzz:   ## try every reader on made-up input for SECONDS=60 each, or those that ARGS names
	@scripts/fuzz $(or $(SECONDS),60) $(ARGS)
lint:   ## formatting, clippy, rustdoc, dependency policy, spelling: warnings are errors
	@scripts/lint
fmt:    ## format the code
	@cargo fmt --all && cargo fmt --manifest-path fuzz/Cargo.toml
gen:    ## write the generated files again: schema, reference documents
	@scripts/generate
bench:  ## print the performance table: the worker beside nginx and a bare Pingora proxy
	@scripts/bench $(ARGS)
images: ## build and run the runtime stages of docker/ without a container engine or a registry
	@scripts/check-images
doctor: ## say what this machine has and what is missing
	@scripts/doctor
