# What CI runs is what these targets run.

GO      ?= go
BIN     := bin/vernal
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)

# The race detector needs a C compiler; without one the tests run all the same.
RACE := $(shell command -v $${CC:-cc} >/dev/null 2>&1 && echo -race)

.PHONY: run build test test-sp lint bench fuzz race clean

run: build ## try it: IdP, two sample service providers, a user to sign in as
	$(BIN) demo

build: ## one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/vernal

# Tests that take long, start programs or a browser have the build tag slow.
SLOW       = $(shell grep -rl --include='*_test.go' '^//go:build slow' certs cmd idp metadata templates)
SLOW_TESTS = $(shell grep -ho '^func Test[A-Za-z0-9]*' $(SLOW) | cut -c 6- | grep -vx TestMain)
empty     :=
space     := $(empty) $(empty)

test: ## everything quick that needs nothing but Go; says what it skips and leaves to test-sp
	@[ -n "$(RACE)" ] || echo "no C compiler: the race detector is off"
	@for p in chromium openssl xmlsec1 xmllint; do command -v $$p >/dev/null 2>&1 || echo "no $$p: the tests that need it are skipped"; done
	@echo "left to make test-sp: $(SLOW_TESTS)"
	$(if $(RACE),CGO_ENABLED=1,) $(GO) test $(RACE) -timeout 15m ./...

test-sp: ## slow tests; real service providers, browsers and a token, see .ci/run for the packages
	$(GO) test -tags slow -count 1 -timeout 30m -run '^($(subst $(space),|,$(strip $(SLOW_TESTS))))$$' $(addprefix ./,$(sort $(dir $(SLOW))))
	$(GO) test -tags realsp -count 1 -timeout 30m -v ./idp/idptest/realsp/
	CGO_ENABLED=1 $(GO) test -tags pkcs11 -count 1 -timeout 10m -v ./certs/token/ ./idp/idptest/hsm/

lint: ## formatting, vet, staticcheck, module hygiene, names, known vulnerabilities
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt"; exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet -tags realsp,pkcs11,slow ./...
	$(GO) tool staticcheck -tags realsp,pkcs11,slow ./...
	$(GO) run .ci/names.go
	@.ci/vulncheck

BENCHTIME  ?= 2s
BENCHMARKS  = $(sort $(dir $(shell grep -rl --include='*_test.go' '^func Benchmark' ./certs ./cmd ./idp ./metadata ./templates)))
bench: ## speed, against the bare signing rate of this machine
	$(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) $(BENCHMARKS)

FUZZTIME ?= 30s
fuzz: ## each fuzz target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$pkg || exit 1; \
		done; \
	done

RACE_ROUNDS ?= 2000
race: ## closing a year or an SP against traffic, RACE_ROUNDS times each
	CGO_ENABLED=1 VERNAL_RACE_ROUNDS=$(RACE_ROUNDS) $(GO) test -race -count 1 -timeout 120m -run 'TestNothingIsSignedAfterTheCommand' -v ./idp/signing/

clean:
	rm -rf bin
