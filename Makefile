# SPDX-License-Identifier: GPL-3.0-or-later
# Tulle's only build file.  "make help" says what there is.
#
#   make V=1                      show the commands
#   make SAN=address,undefined    a build of its own under build/address,undefined
#   make WERROR=1                 warnings are errors (CI)
#
# Folders are found, not listed: a new .c file belongs to the archive of its folder.

SHELL := /bin/bash
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VERSION := 0.1.0
PREFIX ?= /usr
DESTDIR ?=
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif

SAN ?=
COVERAGE ?=
WERROR ?=
V ?=
BUILD ?= build$(if $(SAN),/$(SAN))$(if $(COVERAGE),/coverage)
Q := $(if $(V),,@)

export TULLE_CACHE ?= $(HOME)/.cache/tulle
WOLFSSL_ENV = CC='$(CC)' TULLE_CACHE='$(TULLE_CACHE)' WOLFSSL_DIR='$(WOLFSSL_DIR)' WOLFSSL_TARBALL='$(WOLFSSL_TARBALL)'

# ---- what it needs ---------------------------------------------------------

# What a goal needs is installed before anything else is read: make includes a file that scripts/deps makes, and
# starts again.  On a machine where all is there this costs one look.
GOALS := $(or $(MAKECMDGOALS),all)
PURPOSES := build $(if $(filter unit check% fuzz coverage .ci,$(GOALS)),test) \
  $(if $(filter demo,$(GOALS)),demo) $(if $(filter check lint coverage,$(GOALS)),lint)
ifneq ($(filter-out help clean deps,$(GOALS)),)
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

# Where scripts/wolfssl puts the library; one already built can be named instead.
ifeq ($(WOLFSSL_DIR),)
WOLFSSL_DIR := $(shell $(WOLFSSL_ENV) scripts/wolfssl --print-dir)
endif

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
  -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wformat=2 -Wvla -Wswitch-enum \
  -Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion -Wconversion -Wno-sign-conversion
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE \
  $(if $(SAN)$(COVERAGE),,-D_FORTIFY_SOURCE=2)
OPT ?= -O2 -g
PKGS := libnghttp2 yaml-0.1 jansson libmnl libcap-ng libseccomp libzstd libprotobuf-c
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

CFLAGS_ALL := -std=gnu17 -D_GNU_SOURCE -DTULLE_VERSION='"$(VERSION)"' $(OPT) $(WARN) $(HARDEN) \
  $(if $(WERROR),-Werror) \
  $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -DTULLE_SANITIZED=1) \
  $(if $(COVERAGE),--coverage -O0 -DTULLE_SANITIZED=1) \
  -isystem $(WOLFSSL_DIR)/include $(PKG_CFLAGS) $(CFLAGS)
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

PROGRAMS := relayd certd telemetry nfrules ctl
NAME_relayd := tulle-relayd
NAME_certd := tulle-certd
NAME_telemetry := tulle-telemetryd
NAME_nfrules := tulle-nfrules
NAME_ctl := tulle

src = $(filter-out $(1)/main.c,$(wildcard $(1)/*.c $(1)/*/*.c))
obj = $(patsubst %.c,$(BUILD)/%.o,$(1))

# A program is built with -Ilib and -I of its own folder: a neighbour's header is out of reach.
# Its archive has everything but main.c, so that tests link the real objects.
define program
ifneq ($(wildcard $(1)/main.c),)
A_$(1) := $(BUILD)/$(1).a
$(BUILD)/$(1).a: $(call obj,$(call src,$(1)))
$(BUILD)/$(1)/%.o: INCLUDES = -I$(1)
$(BUILD)/$(NAME_$(1)): $(BUILD)/$(1)/main.o $(if $(call src,$(1)),$(BUILD)/$(1).a) $(LIB_A)
BINARIES += $(BUILD)/$(NAME_$(1))
endif
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# tests/unit/relayd/flow/test_pump.c is linked with relayd's archive, tests/unit/lib/... with lib's alone.
UNIT_C := $(shell find tests/unit -name 'test_*.c' 2>/dev/null | sort)
UNIT := $(UNIT_C:%.c=$(BUILD)/%)
FUZZ_C := $(wildcard tests/fuzz/fuzz_*.c)

.PHONY: all
all: $(BINARIES) ## build the programs (the first build also does what deps does)

$(LIB_A): $(call obj,$(LIB_C)) $(GEN_O)
$(BUILD)/%.a:
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BINARIES):
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c | $(GEN_H)
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -Ilib -I$(BUILD)/gen $(INCLUDES) -MMD -MP -c -o $@ $<

$(BUILD)/gen/proto/%.pb-c.c $(BUILD)/gen/proto/%.pb-c.h &: lib/proto/%.proto
	@echo "  PROTOC  $<"
	@mkdir -p $(BUILD)/gen/proto
	$(Q)protoc-c --proto_path=lib/proto --c_out=$(BUILD)/gen/proto $<
$(BUILD)/gen/proto/%.o: $(BUILD)/gen/proto/%.c
	@echo "  CC      $<"
	$(Q)$(CC) $(CFLAGS_ALL) -w -I$(BUILD)/gen -I$(BUILD)/gen/proto -c -o $@ $<

# ---- tests -----------------------------------------------------------------

part = $(word 3,$(subst /, ,$(1)))
define unit_test
$(BUILD)/$(1:.c=.o): INCLUDES = $(if $(filter $(PROGRAMS),$(call part,$(1))),-I$(call part,$(1))) -Itests/unit
$(BUILD)/$(1:.c=): $(BUILD)/$(1:.c=.o) $(if $(filter $(PROGRAMS),$(call part,$(1))),$(BUILD)/$(call part,$(1)).a) $(LIB_A)
	@echo "  LD      $$@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $$@ $$^ $$(LIBS) $(shell pkg-config --libs check 2>/dev/null)
endef
$(foreach t,$(UNIT_C),$(eval $(call unit_test,$(t))))

.PHONY: unit
unit: $(UNIT) ## build and run the unit tests
	@scripts/run-unit $(UNIT)

.PHONY: clean
clean: ## remove everything that was built here (the cache stays)
	rm -rf build

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' Makefile

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
