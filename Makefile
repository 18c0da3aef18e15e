# SPDX-License-Identifier: GPL-3.0-or-later
# Tulle's only build file.  "make help" says what there is.
#
#   make V=1                      show the commands
#   make WERROR=1                 warnings are errors (CI)
#   make SAN=address,undefined    a build of its own, under build/address,undefined; also SAN=thread
#   make COVERAGE=1               another, under build/coverage
#   make WOLFSSL_DIR=DIR          a wolfSSL already built; WOLFSSL_TARBALL=FILE, one already fetched
#
# Folders are found, not listed: a new .c file belongs to the archive of its folder.

SHELL := /bin/bash
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

# As many jobs as there are cores, unless -j says otherwise.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif

VERSION := 0.1.0
PREFIX ?= /usr
DESTDIR ?=
UNITDIR ?= $(PREFIX)/lib/systemd/system
ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang

SAN ?=
COVERAGE ?=
WERROR ?=
KEEP ?=
V ?=
FUZZ_SECONDS ?= 60
BUILD := build$(if $(SAN),/$(SAN))$(if $(COVERAGE),/coverage)
Q := $(if $(V),,@)

# ---- what it needs ---------------------------------------------------------

export TULLE_CACHE ?= $(HOME)/.cache/tulle
# As it was said, not as it is worked out below: an empty WOLFSSL_DIR means the cache.
WOLFSSL_ENV := CC='$(CC)' TULLE_CACHE='$(TULLE_CACHE)' WOLFSSL_DIR='$(WOLFSSL_DIR)' WOLFSSL_TARBALL='$(WOLFSSL_TARBALL)'

# What a goal needs is installed before anything else is read: make includes a file that scripts/deps makes, and
# starts again.  On a machine where all is there this costs one look.
GOALS := $(or $(MAKECMDGOALS),all)
BUILDS := $(filter-out help clean deps install-files,$(GOALS))
# "make clean all" clears before anything is looked at, not while the rest is built.
ifneq ($(and $(filter clean,$(GOALS)),$(BUILDS)),)
$(shell rm -rf build)
endif
# Nobody should wait for a build only to hear that the demo cannot run here.
ifneq ($(filter demo,$(GOALS)),)
ifeq ($(MAKE_RESTARTS),)
ifneq ($(shell $(WOLFSSL_ENV) tests/demo/preflight && echo yes),yes)
$(error the demo cannot run here)
endif
endif
endif
PURPOSES := build \
  $(if $(filter unit check check-% fuzz coverage,$(GOALS)),test) \
  $(if $(filter demo,$(GOALS)),demo) \
  $(if $(filter check lint coverage,$(GOALS)),lint) \
  $(if $(filter deb check-machines image check-pods,$(GOALS)),machines) \
  $(if $(filter image check-pods check-machines,$(GOALS)),pods)
ifneq ($(BUILDS),)
ifeq ($(MAKE_RESTARTS),)
ifneq ($(shell $(WOLFSSL_ENV) scripts/deps --ready $(PURPOSES) >&2 && echo yes),yes)
include build/.deps
build/.deps: FORCE
	@$(WOLFSSL_ENV) scripts/deps $(PURPOSES)
	@mkdir -p build && touch $@
endif
endif
endif
.PHONY: FORCE
FORCE:

.PHONY: deps
deps: ## install the Debian packages and build wolfSSL into TULLE_CACHE, where they are missing
	@$(WOLFSSL_ENV) scripts/deps

# Where scripts/wolfssl puts the library.
ifeq ($(WOLFSSL_DIR),)
WOLFSSL_DIR := $(shell $(WOLFSSL_ENV) scripts/wolfssl --print-dir)
endif

# ---- flags -----------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
  -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wformat=2 -Wvla -Wswitch-enum \
  -Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion -Wconversion -Wno-sign-conversion
HARDEN := -fstack-protector-strong -fstack-clash-protection -fPIE \
  $(if $(filter x86_64,$(shell uname -m)),-fcf-protection) \
  $(if $(SAN)$(COVERAGE),,-D_FORTIFY_SOURCE=2)
OPT ?= -O2 -g
PKGS := libnghttp2 yaml-0.1 jansson libmnl libcap-ng libseccomp libzstd libprotobuf-c
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CHECK_LIBS := $(shell pkg-config --libs check 2>/dev/null)

# CFLAGS, CPPFLAGS and LDFLAGS belong to whoever builds a package: they come last.
CPP_ALL := -D_GNU_SOURCE -DTULLE_VERSION='"$(VERSION)"' $(if $(SAN)$(COVERAGE),-DTULLE_SANITIZED=1) \
  -isystem $(WOLFSSL_DIR)/include $(PKG_CFLAGS) $(CPPFLAGS)
# gcc's thread sanitizer does not see fences and warns of each; what they order here are atomics themselves.
CFLAGS_ALL := -std=gnu17 $(CPP_ALL) $(OPT) $(WARN) $(HARDEN) $(if $(WERROR),-Werror) \
  $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=undefined -fno-omit-frame-pointer) \
  $(if $(filter thread,$(SAN)),-Wno-tsan) $(if $(COVERAGE),--coverage -O0) $(CFLAGS)
LDFLAGS_ALL := -pie -Wl,-z,relro,-z,now -Wl,--as-needed -pthread \
  $(if $(SAN),-fsanitize=$(SAN)) $(if $(COVERAGE),--coverage) $(LDFLAGS)
LIBS := $(WOLFSSL_DIR)/lib/libwolfssl.a $(PKG_LIBS) -lm

# ---- what is built of what -------------------------------------------------

# Protocol buffers: lib/proto/x.proto becomes $(BUILD)/gen/proto/x.pb-c.[ch].
PROTOS := $(wildcard lib/proto/*.proto)
GEN_C := $(PROTOS:lib/proto/%.proto=$(BUILD)/gen/proto/%.pb-c.c)
GEN_H := $(GEN_C:.c=.h)
GEN_O := $(GEN_C:.c=.o)

LIB_C := $(wildcard lib/*/*.c)
LIB_A := $(BUILD)/lib.a

PROGRAMS := relayd certd telemetry nfrules sidecar ctl
NAME_relayd := tulle-relayd
NAME_certd := tulle-certd
NAME_telemetry := tulle-telemetryd
NAME_nfrules := tulle-nfrules
NAME_sidecar := tulle-sidecar
NAME_ctl := tulle
DEST_ctl := bin

src = $(filter-out $(1)/main.c,$(wildcard $(1)/*.c $(1)/*/*.c))
obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
ours = $(filter %.o %.a,$^)

# Two files remember what the build was made with.  They are written while make reads this, and only when their
# text would change: other flags rebuild every object, another list of files every archive.
remember = $(if $(filter-out 0,$(words $(BUILDS))),$(if $(call same,$(file <$(1)),$(2)),,\
  $(shell mkdir -p $(dir $(1)))$(file >$(1),$(2))))
same = $(and $(findstring $(1),$(2)),$(findstring $(2),$(1)))
FLAGS_STAMP := $(BUILD)/.flags
FILES_STAMP := $(BUILD)/.files
$(call remember,$(FLAGS_STAMP),$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(LIBS))
$(call remember,$(FILES_STAMP),$(sort $(LIB_C) $(PROTOS) $(foreach p,$(PROGRAMS),$(call src,$(p)))))

# A program is built with -Ilib and -I of its own folder: a neighbour's header is out of reach.
# Its archive has everything but main.c, so that tests link the real objects.
define program
A_$(1) := $(if $(call src,$(1)),$(BUILD)/$(1).a)
$(BUILD)/$(1).a: $(call obj,$(call src,$(1)))
$(BUILD)/$(1)/%.o: INCLUDES = -I$(1)
ifneq ($(wildcard $(1)/main.c),)
$(BUILD)/$(NAME_$(1)): $(BUILD)/$(1)/main.o $$(A_$(1)) $(LIB_A)
BINARIES += $(BUILD)/$(NAME_$(1))
endif
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

.PHONY: all
all: $(BINARIES) $(LIB_A) $(foreach p,$(PROGRAMS),$(A_$(p))) ## build the programs; the first time also what deps does

$(LIB_A): $(call obj,$(LIB_C)) $(GEN_O)
$(BUILD)/%.a: $(FILES_STAMP)
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $(ours)

$(BINARIES): $(FLAGS_STAMP)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(ours) $(LIBS)

$(BUILD)/%.o: %.c $(FLAGS_STAMP) | $(GEN_H)
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -Ilib -I$(BUILD)/gen $(INCLUDES) -MMD -MP -c -o $@ $<

$(BUILD)/gen/proto/%.pb-c.c $(BUILD)/gen/proto/%.pb-c.h &: lib/proto/%.proto
	@echo "  PROTOC  $<"
	@mkdir -p $(BUILD)/gen/proto
	$(Q)protoc-c --proto_path=lib/proto --c_out=$(BUILD)/gen/proto $<
$(BUILD)/gen/proto/%.o: $(BUILD)/gen/proto/%.c $(FLAGS_STAMP) | $(GEN_H)
	@echo "  CC      $<"
	$(Q)$(CC) $(CFLAGS_ALL) -w -I$(BUILD)/gen -I$(BUILD)/gen/proto -MMD -MP -c -o $@ $<

# ---- unit tests ------------------------------------------------------------

# tests/unit/relayd/flow/test_pump.c is linked with relayd's archive, tests/unit/lib/... with lib's alone.
UNIT_C := $(shell find tests/unit -name 'test_*.c' 2>/dev/null | sort)
UNIT := $(UNIT_C:%.c=$(BUILD)/%)

part = $(filter $(PROGRAMS),$(word 3,$(subst /, ,$(1))))
define unit_test
$(BUILD)/$(1:.c=.o): INCLUDES = $(addprefix -I,$(call part,$(1))) -Itests/unit
$(BUILD)/$(1:.c=): $(BUILD)/$(1:.c=.o) $(A_$(call part,$(1))) $(LIB_A)
endef
$(foreach t,$(UNIT_C),$(eval $(call unit_test,$(t))))
$(UNIT): $(FLAGS_STAMP)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(ours) $(LIBS) $(CHECK_LIBS)

.PHONY: unit
unit: $(UNIT) ## build and run the unit tests
	@scripts/run-unit $(UNIT)

# ---- fuzzing: clang's build of the same sources, under build/fuzz ------------

# A target that needs a program's folder says so near its top: /* fuzz-links: certd */
FUZZ := build/fuzz
FUZZ_C := $(wildcard tests/fuzz/fuzz_*.c)
FUZZERS := $(FUZZ_C:tests/fuzz/%.c=$(FUZZ)/%)
FUZZ_FLAGS := -std=gnu17 $(CPP_ALL) -DTULLE_SANITIZED=1 -O1 -g -Wall -Wextra -fno-omit-frame-pointer \
  -fno-sanitize-recover=undefined
FUZZ_STAMP := $(FUZZ)/.flags
$(call remember,$(FUZZ_STAMP),$(CLANG) $(FUZZ_FLAGS) $(LIBS))
fuzzobj = $(patsubst %.c,$(FUZZ)/%.o,$(1))

$(FUZZ)/lib.a: $(call fuzzobj,$(LIB_C)) $(GEN_C:$(BUILD)/%.c=$(FUZZ)/%.o)
define fuzz_program
$(FUZZ)/$(1)/%.o: INCLUDES = -I$(1)
$(FUZZ)/$(1).a: $(call fuzzobj,$(call src,$(1)))
endef
$(foreach p,$(PROGRAMS),$(eval $(call fuzz_program,$(p))))
$(FUZZ)/%.a: $(FILES_STAMP)
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $(ours)
$(FUZZ)/gen/%.o: $(BUILD)/gen/%.c $(FUZZ_STAMP) | $(GEN_H)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -w -fsanitize=fuzzer-no-link,address,undefined -I$(BUILD)/gen -I$(BUILD)/gen/proto -MMD -MP -c -o $@ $<
$(FUZZ)/%.o: %.c $(FUZZ_STAMP) | $(GEN_H)
	@echo "  CLANG   $<"
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,address,undefined -Ilib -I$(BUILD)/gen $(INCLUDES) -MMD -MP -c -o $@ $<

define fuzzer
$(FUZZ)/tests/fuzz/$(1).o: INCLUDES = $(addprefix -I,$(2)) -Itests/fuzz
$(FUZZ)/$(1): $(FUZZ)/tests/fuzz/$(1).o $(foreach p,$(2),$(if $(call src,$(p)),$(FUZZ)/$(p).a)) $(FUZZ)/lib.a
endef
fuzz_links = $(shell sed -n '1,5s|.*fuzz-links:\([a-z ]*\).*|\1|p' tests/fuzz/$(1).c)
$(foreach f,$(notdir $(FUZZERS)),$(eval $(call fuzzer,$(f),$(call fuzz_links,$(f)))))
$(FUZZERS): $(FUZZ_STAMP)
	@echo "  LD      $@"
	$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined -pthread -o $@ $(ours) $(LIBS)

.PHONY: fuzzers fuzz
fuzzers: $(FUZZERS)
fuzz: $(FUZZERS) ## fuzz every parser; FUZZ_SECONDS=60 is shared out among the targets
	@scripts/fuzz $(FUZZ_SECONDS) $(FUZZERS)

# ---- all the tests ---------------------------------------------------------

SAN_KINDS := address,undefined thread

.PHONY: demo check check-san check-interop check-machines check-pods
demo: all ## two hosts, one mesh, before your eyes (root); KEEP=1 leaves them up
	@KEEP='$(KEEP)' tests/demo/run

check: all ## unit tests, end-to-end tests, a minute of fuzzing, static analysis
	+@MAKE='$(MAKE)' scripts/check all

check-san: ## the unit and end-to-end tests, whole, once more under each sanitizer
	+@MAKE='$(MAKE)' scripts/check san $(SAN_KINDS)

# Their tests clean up when they are ended, and are ended after a time.
check-machines: all ## the package, units and pods, on machines with systemd and podman's pods (root, Go); QUICK=1 a subset
	+@LIMIT=$(if $(QUICK),2700,5400) scripts/run-pytest machines $(if $(QUICK),-m quick )tests/machines tests/pods

check-pods: all ## of check-machines the pods alone
	+@LIMIT=$(if $(QUICK),2700,5400) scripts/run-pytest pods $(if $(QUICK),-m quick )tests/pods

check-interop: all ## against the real OpenTelemetry Collector and go-spiffe (needs Go)
	+@MAKE='$(MAKE)' scripts/check interop

# ---- quality gates ---------------------------------------------------------

# Each analysed file leaves a stamp, so only what changed is looked at again.
LINT_C := $(LIB_C) $(foreach p,$(PROGRAMS),$(wildcard $(p)/main.c) $(call src,$(p)))
LINT_SH := $(sort .ci/run scripts/tally $(shell grep -rlIm1 --exclude-dir=.git --exclude-dir=build -e '^#!.*sh$$' . 2>/dev/null))
lint_inc = $(addprefix -I,$(filter $(PROGRAMS),$(firstword $(subst /, ,$<))))

# gcc 12 loses sight of memory that is stored in an array or comes from an arena and calls it leaked; leaks are
# looked for by clang's analyser and, for real, by the address sanitizer.
ANALYZER := -fanalyzer -Wno-analyzer-malloc-leak

build/lint/gcc/%.stamp: %.c $(FLAGS_STAMP) | $(GEN_H)
	@echo "  ANALYSE $< (gcc)"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -Werror $(ANALYZER) -Ilib -I$(BUILD)/gen $(lint_inc) -MMD -MP -MF $@.d -MT $@ -c -o $@ $<
build/lint/clang/%.stamp: %.c $(FLAGS_STAMP) | $(GEN_H)
	@echo "  ANALYSE $< (clang)"
	@mkdir -p $(@D)
	$(Q)scripts/analyse-clang $(CLANG) --analyze --analyzer-output text -Xclang -analyzer-werror \
	  -Xclang -analyzer-config -Xclang max-nodes=75000 -std=gnu17 $(CPP_ALL) \
	  -Ilib -I$(BUILD)/gen $(lint_inc) -MMD -MP -MF $@.d -MT $@ -o $@.txt $<
	@touch $@

.PHONY: lint lint-gcc lint-clang lint-shell coverage sbom
lint-gcc: $(LINT_C:%.c=build/lint/gcc/%.stamp)
lint-clang: $(LINT_C:%.c=build/lint/clang/%.stamp)
lint-shell:
	@echo "  ANALYSE $(words $(LINT_SH)) shell scripts"
	$(Q)shellcheck -x $(LINT_SH)
lint: lint-gcc lint-clang lint-shell ## gcc's and clang's static analysers on every file, shellcheck on every script

coverage: ## line coverage by the unit tests of the folders that are gated
	@$(MAKE) --no-print-directory COVERAGE=1 all unit
	@scripts/coverage build/coverage

sbom: all ## a bill of materials of what is linked: build/sbom.json
	@$(WOLFSSL_ENV) VERSION='$(VERSION)' scripts/sbom $(BINARIES) >build/sbom.json
	@echo "  SBOM    build/sbom.json"

# ---- installing ------------------------------------------------------------

MANUALS := $(wildcard */*.[1-8])
UNITS := $(wildcard systemd/*.service systemd/*.socket systemd/*.target systemd/*.timer systemd/*.path systemd/*.slice)
# As they lie here, so that their links lead somewhere.
PAGES := $(wildcard *.md) LICENSE $(wildcard doc/*.md) $(wildcard examples/*.yaml examples/*/*) $(wildcard deploy/kubernetes/*.yaml)

# Manuals and units name /usr; they are put where PREFIX says, and then say so.
AT_PREFIX := sed -e 's|/usr/share/doc/tulle|$(PREFIX)/share/doc/tulle|g' -e 's|=\([-+]\{0,1\}\)/usr/\(s\{0,1\}bin\)/tulle|=\1$(PREFIX)/\2/tulle|g'
put = install -d $(dir $(2)) && $(AT_PREFIX) $(1) >$(2) && chmod 644 $(2) &&

.PHONY: install install-files
install: all ## install programs, man pages, documents, examples and systemd units under DESTDIR and PREFIX
	+@$(MAKE) --no-print-directory install-files
# Only copies what was built, with whatever flags.
install-files:
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin
	$(foreach p,$(PROGRAMS),$(if $(wildcard $(p)/main.c),install -m 755 $(BUILD)/$(NAME_$(p)) \
	  $(DESTDIR)$(PREFIX)/$(or $(DEST_$(p)),sbin)/ &&)) true
	$(foreach m,$(MANUALS),$(call put,$(m),$(DESTDIR)$(PREFIX)/share/man/man$(subst .,,$(suffix $(m)))/$(notdir $(m)))) true
	$(foreach u,$(UNITS),$(call put,$(u),$(DESTDIR)$(UNITDIR)/$(notdir $(u)))) true
	$(foreach d,$(PAGES),install -D -m 644 $(d) $(DESTDIR)$(PREFIX)/share/doc/tulle/$(d) &&) true
	$(foreach u,$(wildcard systemd/*.sysusers),install -D -m 644 $(u) $(DESTDIR)$(PREFIX)/lib/sysusers.d/$(notdir $(u:.sysusers=.conf)) &&) true
	$(foreach u,$(wildcard systemd/*.tmpfiles),install -D -m 644 $(u) $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/$(notdir $(u:.tmpfiles=.conf)) &&) true

.PHONY: deb
deb: all ## the Debian package, in build/deb (needs debhelper)
	@WOLFSSL_DIR='$(WOLFSSL_DIR)' scripts/deb

.PHONY: image
image: deb ## the image for pods, as an OCI archive in build/image (root)
	@scripts/image

.PHONY: clean help
clean: ## remove everything that was built here (the cache outside the clone stays)
	$(if $(BUILDS),,rm -rf build)
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

# Not what a demo has in its folders (etc/tulle/mesh.d), nor what a package was made of.
-include $(shell find $(BUILD) $(FUZZ) build/lint \( -path build/deb -o -path build/demo \) -prune -o -name '*.d' -type f -print 2>/dev/null)
