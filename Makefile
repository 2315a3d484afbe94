# lkrun: make builds build/lkrun and build/lib/lkrun/core.so.
#
#   make example [RATINGS=FILE]   installs what is missing, builds, and runs the main job
#   make check                    installs what the tests need too, builds, and runs every test
#   make lint | bench | compare-lenskit | docs | install PREFIX=/usr/local DESTDIR=
#   make check-loaded | soak | fuzz   tests that take long: under load, of faults, of what readers read
#   make dist | deb | plugins     packages: the tree, for Debian, for PyPI
#
# CC=clang, SAN=address,undefined, OPT=-O0 and the like rebuild what they change; V=1 shows the commands.
# NO_INSTALL=1 never installs a package.

ifneq ($(shell uname -s),Linux)
$(error lkrun runs on Linux alone: it stands on memfd, eventfd and pidfd)
endif

CC     = cc
PREFIX = /usr/local
B      = build
SAN    =

# The Debian packages that building and running, testing, and each of the other targets need.
compiler := $(firstword $(CC))
PACKAGES := libc6-dev pkg-config liblua5.4-dev libjansson-dev libhwloc-dev libedit-dev libarchive-dev \
            lua-argparse \
            libopenblas0-pthread|libopenblas0-openmp|libopenblas0-serial \
            $(if $(shell command -v $(compiler)),,$(if $(filter cc,$(compiler)),gcc,$(compiler))) \
            $(if $(SAN),$(if $(findstring clang,$(CC)),libclang-rt-dev))
TEST_PACKAGES := lua5.4 lua-busted locales libopenblas0-pthread libopenblas0-openmp procps tmux \
                 python3-venv python3-numpy gdb zsh fish
DOCS_PACKAGES := lowdown
DEB_PACKAGES  := debhelper dpkg-dev lintian
LINT_PACKAGES := lua-check clang-format cppcheck binutils
FUZZ_PACKAGES := clang libclang-rt-dev
VALGRIND_PACKAGES := valgrind

# Missing packages are installed while this file is read, so that the lines below find them; under make -n they
# are not.
install_for_example := $(filter example,$(MAKECMDGOALS))
install_for_check   := $(filter check check-valgrind check-docs docs bench bench-peers compare-lenskit fuzz, \
                                $(MAKECMDGOALS))
install_for_lint    := $(filter lint,$(MAKECMDGOALS))
needed := $(sort $(if $(install_for_example)$(install_for_check)$(install_for_lint),$(PACKAGES)) \
                 $(if $(install_for_check),$(TEST_PACKAGES)) $(if $(install_for_lint),$(LINT_PACKAGES)) \
                 $(if $(filter docs deb check,$(MAKECMDGOALS)),$(DOCS_PACKAGES)) \
                 $(if $(filter deb,$(MAKECMDGOALS)),$(PACKAGES) $(DEB_PACKAGES)) \
                 $(if $(filter fuzz,$(MAKECMDGOALS)),$(FUZZ_PACKAGES)) \
                 $(if $(filter check-valgrind,$(MAKECMDGOALS)),$(VALGRIND_PACKAGES)))
ifneq ($(needed),)
ifeq ($(findstring n,$(filter-out --%,$(firstword -$(MAKEFLAGS)))),)
installed := $(shell NO_INSTALL=$(NO_INSTALL) sh lkrun/packages $(foreach name,$(needed),'$(name)') >&2; echo $$?)
ifneq ($(installed),0)
$(error packages are missing, see above)
endif
endif
endif

# The name of Lua 5.4 in pkg-config differs from one distribution to the next.
LUA := $(firstword $(foreach name,lua5.4 lua-5.4 lua54 lua, \
         $(shell pkg-config --exists '$(name) >= 5.4' '$(name) < 5.5' 2>/dev/null && echo $(name))) lua5.4)
LIBRARIES  = $(LUA) jansson
PKG_CFLAGS := $(shell pkg-config --cflags $(LIBRARIES) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(LIBRARIES) 2>/dev/null)

OPT      = -O2 -g
WARN     = -Wall -Wextra -Wshadow -Wmissing-prototypes -Wpedantic
CFLAGS   =
SAN_FLAGS = $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -Ilkrun $(OPT) $(WARN) -fPIC -fvisibility=hidden -pthread \
             $(SAN_FLAGS) $(PKG_CFLAGS) $(CFLAGS)
# Symbols are bound when the program starts. Otherwise every worker would bind each symbol anew, at the price of a
# page fault.
ALL_LDFLAGS = -pthread -Wl,-z,relro,-z,now $(SAN_FLAGS) $(LDFLAGS)

SOURCES  := $(sort $(shell find lkrun -name '*.c'))
MODULES  := $(sort $(shell find lua -name '*.lua'))
OBJECTS  := $(SOURCES:lkrun/%.c=$(B)/obj/%.o) $(B)/obj/embedded.o
# A file of lkrun/program without a module for Lua belongs to the executable only. All other objects are also linked
# into core.so, the module for a stock Lua.
PROGRAM_ONLY := $(patsubst lkrun/%.c,$(B)/obj/%.o,$(shell grep -L '^int luaopen_lkrun_core_' lkrun/program/*.c))
CORE_OBJECTS := $(filter-out $(PROGRAM_ONLY),$(OBJECTS))

Q = $(if $(V),,@echo '$(CC) $@';)

all: $(B)/lkrun $(B)/lib/lkrun/core.so

$(B)/lkrun: $(OBJECTS)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(OBJECTS) $(PKG_LIBS) -lm -ldl

# nodelete: core.so stays loaded when Lua closes its libraries, for the state frees blocks of its heap after that.
$(B)/lib/lkrun/core.so: $(CORE_OBJECTS)
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -Wl,-z,nodelete $(ALL_LDFLAGS) -o $@ $(CORE_OBJECTS) $(filter-out -llua%,$(PKG_LIBS)) -lm -ldl
	@ln -sf lkrun/core.so $(B)/lib/lkrun.so
	@ln -sf lkrun/core.so $(B)/lib/lkrec.so

# build/flags has the compiler and the flags of the last build: where they change, the objects are built anew.
FLAGS := $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)
$(B)/flags: FORCE
	@mkdir -p $(sort $(dir $(OBJECTS))) $(B)/tests
	@[ -n '$(PKG_LIBS)' ] || { sh lkrun/packages $(foreach name,$(PACKAGES),'$(name)'); \
	    echo 'lkrun: pkg-config finds no $(LIBRARIES); make example installs what building needs' >&2; exit 2; }
	@[ "$$(cat $@ 2>/dev/null)" = '$(FLAGS)' ] || printf '%s\n' '$(FLAGS)' > $@

# The loops over elements run twice as fast with the vector instructions that -O3 makes of them.
$(B)/obj/tensor/tensor_%.o $(B)/obj/tensor/product.o $(B)/obj/tensor/best.o $(B)/obj/sparse/sparse_product.o \
$(B)/obj/linalg/ridge.o: OPT = -O3 -g

# The code that runs once for each task consists mostly of calls of Lua's functions. -fno-plt calls their addresses
# directly, without a jump through the procedure linkage table, which saves a tenth of the time.
$(B)/obj/worker/worker.o $(B)/obj/worker/task.o $(B)/obj/pool/map_step.o $(B)/obj/pool/map_pull.o: OPT = -O2 -g -fno-plt

$(B)/obj/%.o: lkrun/%.c $(B)/flags
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# embedded.c has the Lua modules as bytes and the list of the C modules, every luaopen_lkrun_core_* in the sources.
$(B)/sources: FORCE
	@mkdir -p $(B)
	@[ "$$(cat $@ 2>/dev/null)" = '$(MODULES) $(SOURCES)' ] || echo '$(MODULES) $(SOURCES)' > $@

$(B)/embedded.c: $(B)/sources $(SOURCES) lkrun/embed
	@sh lkrun/embed $(MODULES) -- $(SOURCES) > $@.tmp
	@cmp -s $@.tmp $@ && rm $@.tmp || mv $@.tmp $@

$(B)/obj/embedded.o: $(B)/embedded.c $(MODULES) $(B)/flags
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The objects alone: lint reads their symbols.
objects: $(OBJECTS)

example: all
	$(B)/lkrun examples/recommend.lua --output $(B)/example $(if $(RATINGS),--ratings '$(RATINGS)')

VENV := build/venv
# The options of the sanitizers do nothing in a build without them. LKRUN_MAKE has this make's SAN=, CC= and the like,
# for a make that a test starts: without them it would build everything anew while the tests run.
TEST_ENV = MAKEFLAGS= LKRUN_MAKE='$(MAKEOVERRIDES)' LKRUN_SAN='$(SAN)' LKRUN_CC='$(CC)' LKRUN_PYTHON='$(CURDIR)/$(VENV)/bin/python' \
           ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 \
           TSAN_OPTIONS='suppressions=$(CURDIR)/tests/tsan.supp:die_after_fork=0' \
           LSAN_OPTIONS='suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0'

# The tools that make packages for PyPI; `make plugins` and its test use them.
PACKAGING := build/venv-packaging
$(PACKAGING)/installed: tests/packaging/requirements.txt
	@mkdir -p build
	@[ '$(NO_INSTALL)' = 1 ] || { rm -rf $(PACKAGING) && /usr/bin/python3 -m venv $(PACKAGING) && \
	    $(PACKAGING)/bin/pip --quiet --disable-pip-version-check install --only-binary :all: -r $< && touch $@; } || \
	    { rm -rf $(PACKAGING); echo 'lkrun: no build and twine: plugins will not be packed' >&2; }

# tests/<folder>/<name>_test.c becomes build/tests/<name>_test.
C_TEST_SOURCES := $(sort $(wildcard tests/*/*_test.c))
C_TESTS := $(addprefix $(B)/tests/,$(notdir $(C_TEST_SOURCES:.c=)))
vpath %_test.c $(sort $(dir $(C_TEST_SOURCES)))
$(B)/tests/%_test: %_test.c $(CORE_OBJECTS)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -o $@ $< $(CORE_OBJECTS) $(PKG_LIBS) -lm -ldl

# Libraries with which the tests inject faults.
FAULTS := $(B)/tests/fault.so $(B)/tests/killer.so
$(B)/tests/fault.so: tests/faults/fault.c $(B)/flags
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -shared -o $@ $< -ldl

# killer.so is built without sanitizers: they wrap the same system calls as it does.
$(B)/tests/killer.so: tests/faults/killer.c $(B)/flags
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) -fPIC -shared -o $@ $< -ldl

# NumPy, SciPy, safetensors and pandas come from PyPI, in the versions that were tested. Where PyPI cannot be reached,
# the system's NumPy is used and tests that need the others are skipped.
$(VENV)/installed: tests/interop/requirements.txt
	@rm -rf $(VENV)
	@mkdir -p build
	@{ [ '$(NO_INSTALL)' != 1 ] && /usr/bin/python3 -m venv $(VENV) && \
	    $(VENV)/bin/pip --quiet --disable-pip-version-check install --only-binary :all: -r $<; } || \
	    { rm -rf $(VENV); echo 'lkrun: no packages of PyPI: the tests of some are skipped' >&2; \
	      /usr/bin/python3 -m venv --system-site-packages --without-pip $(VENV); }
	@touch $@

# Snakemake comes from PyPI, in the version that was tested. Where PyPI cannot be reached, its tests are skipped.
SNAKEMAKE := build/venv-snakemake
LOGGER := plugins/snakemake-logger-plugin-lkrun
LOGGER_FILES := $(shell find $(LOGGER) -name '*.py' -o -name pyproject.toml)
$(SNAKEMAKE)/installed: tests/snakemake/requirements.txt $(LOGGER_FILES)
	@rm -rf $(SNAKEMAKE)
	@mkdir -p build
	@[ '$(NO_INSTALL)' = 1 ] || { /usr/bin/python3 -m venv $(SNAKEMAKE) && \
	    $(SNAKEMAKE)/bin/pip --quiet --disable-pip-version-check install --use-pep517 -r $< && \
	    cp -R $(LOGGER) $(SNAKEMAKE)/logger && \
	    $(SNAKEMAKE)/bin/pip --quiet --disable-pip-version-check install --no-deps $(SNAKEMAKE)/logger && touch $@; } || \
	    { rm -rf $(SNAKEMAKE); echo 'lkrun: no Snakemake: its tests will be skipped' >&2; }

check: all $(C_TESTS) $(FAULTS) $(VENV)/installed $(SNAKEMAKE)/installed $(PACKAGING)/installed
	@$(TEST_ENV) $(B)/lkrun tests/suite.lua $(C_TESTS)

# The tests that are fast enough under memcheck. The region is small there: memcheck keeps a map of all memory, and a
# large region would not fit beside its map.
VALGRIND = valgrind --quiet --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
           --error-exitcode=99 --num-callers=25 --suppressions=$(CURDIR)/tests/valgrind.supp
check-valgrind: all $(C_TESTS) $(FAULTS)
	@$(TEST_ENV) LKRUN_SAN=valgrind LKRUN_WATCH='$(VALGRIND)' LK_REGION_SIZE=268435456 \
	    $(B)/lkrun tests/suite.lua $(C_TESTS)

# The specs of faults, SOAK times, while every core is busy; then a million tasks while workers are killed.
SOAK = 50
soak: all $(FAULTS)
	@$(TEST_ENV) sh tests/soak $(SOAK)

# make check, RUNS times, while two busy loops run: a test that fails in one of them depends on timing.
RUNS = 20
check-loaded:
	@sh tests/loaded $(RUNS)

# The tests on a real Slurm, which need root. Only this target installs their packages.
SLURM_PACKAGES := slurmctld slurmd slurm-client munge iproute2 lua-busted python3-venv tmux
check-slurm: all $(SNAKEMAKE)/installed
	@NO_INSTALL=$(NO_INSTALL) sh lkrun/packages $(SLURM_PACKAGES)
	@$(TEST_ENV) tests/slurm/cluster $(B)/lkrun tests/run.lua $(sort $(wildcard tests/slurm/*.lua))

check-docs: all $(VENV)/installed $(SNAKEMAKE)/installed
	@$(TEST_ENV) $(B)/lkrun tests/docs.lua $(sort $(wildcard *.md docs/*.md))

# The manual as a site, build/docs/html, and as man pages, build/docs/man.
docs: all
	@mkdir -p $(B)/docs
	@$(B)/lkrun docs/site/build.lua $(B)/docs

check-fresh:
	sh tests/fresh

lint: objects
	@LINT_BUILT=1 sh tests/lint/run

# libFuzzer comes with clang. A fuzzer starts from its files in tests/fuzz/corpus and keeps inputs that reach new code
# in build/fuzz/corpus. FUZZERS="npz csv" runs only those.
FUZZ_SECONDS = 60
FUZZERS = $(sort $(notdir $(wildcard tests/fuzz/corpus/*)))
FUZZ_OPTIONS = -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=4096 -print_final_stats=1
fuzz:
	$(MAKE) CC=clang SAN=fuzzer-no-link,address,undefined B=build/fuzz build/fuzz/codec_fuzz build/fuzz/reader_fuzz
	@for name in $(FUZZERS); do \
	    mkdir -p build/fuzz/corpus/$$name tests/fuzz/corpus/$$name; \
	    harness=reader_fuzz; [ $$name = codec ] && harness=codec_fuzz; \
	    echo "fuzz $$name"; \
	    LKRUN_FUZZ=tests/fuzz/$$name.lua $(TEST_ENV) build/fuzz/$$harness $(FUZZ_OPTIONS) \
	        -artifact_prefix=build/fuzz/$$name- build/fuzz/corpus/$$name tests/fuzz/corpus/$$name \
	        >build/fuzz/$$name.log 2>&1 || { tail -40 build/fuzz/$$name.log; exit 1; }; \
	    grep -E 'number_of_executed_units|new_units_added' build/fuzz/$$name.log; \
	done

$(B)/%_fuzz: tests/fuzz/%_fuzz.c $(CORE_OBJECTS)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $< $(CORE_OBJECTS) $(PKG_LIBS) -lm -ldl

# make bench FIGURES="null first" measures only those; options such as HEAP_MIB=64 reach the programs.
BENCH_MODULES := $(B)/bench/bare.so $(B)/bench/relay.so
$(B)/bench/relay.so: ALL_CFLAGS += -fno-plt
$(BENCH_MODULES): $(B)/bench/%.so: bench/%.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fvisibility=default -shared $(ALL_LDFLAGS) -o $@ $<

bench: all $(BENCH_MODULES) $(SNAKEMAKE)/installed
	@$(B)/lkrun bench/run.lua $(FIGURES)

# PEER_RUNS=1 is quicker; FIGURES="als load" measures only those.
TABLE   = $(B)/bench/peers.md
PICTURE = $(B)/bench/peers.svg
bench-peers: all $(BENCH_MODULES) $(B)/peers/installed $(B)/venv-lenskit/installed
	@TABLE='$(TABLE)' PICTURE='$(PICTURE)' $(B)/lkrun bench/peers/run.lua $(B)/peers/bin/python \
	    $(B)/venv-lenskit/bin/python $(FIGURES)

$(B)/peers/installed: bench/peers/requirements.txt
	/usr/bin/python3 -m venv $(B)/peers
	$(B)/peers/bin/pip --quiet --disable-pip-version-check install -r bench/peers/requirements.txt
	@touch $@

# Compares the models of lkrec with those of LensKit, on RATINGS=FILE, or else on MovieLens where it is found, or else
# on generated ratings.
compare-lenskit: all $(B)/venv-lenskit/installed
	@$(B)/lkrun tests/interop/lenskit/compare.lua $(B)/venv-lenskit/bin/python $(RATINGS)

$(B)/venv-lenskit/installed: tests/interop/lenskit/requirements.txt
	/usr/bin/python3 -m venv $(B)/venv-lenskit
	$(B)/venv-lenskit/bin/pip --quiet --disable-pip-version-check install -r tests/interop/lenskit/requirements.txt
	@touch $@

LUA_LIBDIR = $(PREFIX)/lib/lua/5.4
LUA_DIR = $(DESTDIR)$(LUA_LIBDIR)
MAN_DIR = $(DESTDIR)$(PREFIX)/share/man
DOC_DIR = $(DESTDIR)$(PREFIX)/share/doc/lkrun
COMPLETIONS = $(DESTDIR)$(PREFIX)/share
SHARE_DIR = $(DESTDIR)$(PREFIX)/share/lkrun
# The annotated modules, as an addon for lua-language-server. The modules that run are inside lkrun and core.so.
ADDON = $(SHARE_DIR)/addons/lkrun
# The files that workflows include.
RULES := $(sort $(shell find rules -type f -not -name '*.pyc'))
# Prints a line for each thing that is installed; V=1 shows the commands instead.
PUT  = $(if $(V),,@echo 'install $(1)';)
SAY  = $(if $(V),:,echo)
install: all
	$(call PUT,$(DESTDIR)$(PREFIX)/bin/lkrun)install -D -m 755 $(B)/lkrun $(DESTDIR)$(PREFIX)/bin/lkrun
	$(call PUT,$(LUA_DIR)/lkrun/core.so)install -D -m 644 $(B)/lib/lkrun/core.so $(LUA_DIR)/lkrun/core.so && \
	ln -sf lkrun/core.so $(LUA_DIR)/lkrun.so && \
	ln -sf lkrun/core.so $(LUA_DIR)/lkrec.so
	$(call PUT,$(DOC_DIR))install -d $(DOC_DIR)/docs $(DOC_DIR)/examples && \
	install -m 644 LICENSE README.md CHANGELOG.md ARCHITECTURE.md CONTRIBUTING.md $(DOC_DIR) && \
	install -m 644 $(wildcard docs/*.md docs/*.svg) $(DOC_DIR)/docs && \
	install -m 644 $(wildcard examples/*) $(DOC_DIR)/examples
	$(call PUT,$(SHARE_DIR)/rules)for file in $(RULES); do install -D -m 644 $$file $(SHARE_DIR)/$$file || exit; done
	$(if $(V),,@)made=$$(mktemp -d) && trap 'rm -rf "$$made"' EXIT && \
	if command -v lowdown >/dev/null; then \
	    $(SAY) 'install $(MAN_DIR)' && $(B)/lkrun docs/site/build.lua "$$made" && \
	    for page in $$(cd "$$made/man" && find . -type f); do \
	        install -D -m 644 "$$made/man/$$page" $(MAN_DIR)/$$page || exit; done; \
	else echo 'lkrun: no man pages: lowdown makes them, and is not there' >&2; fi && \
	if $(foreach name,bash zsh fish,$(B)/lkrun packaging/completions.lua $(name) > "$$made/$(name)" &&) true; then \
	    for pair in bash:bash-completion/completions/lkrun zsh:zsh/site-functions/_lkrun \
	                fish:fish/vendor_completions.d/lkrun.fish; do \
	        $(SAY) "install $(COMPLETIONS)/$${pair#*:}"; \
	        install -D -m 644 "$$made/$${pair%%:*}" "$(COMPLETIONS)/$${pair#*:}" || exit; done; fi
	$(call PUT,$(ADDON))install -D -m 644 packaging/luals/config.json $(ADDON)/config.json && \
	for module in $(MODULES:lua/%=%); do install -D -m 644 lua/$$module $(ADDON)/library/$$module || exit; done
	$(call PUT,$(SHARE_DIR)/gdb)install -D -m 644 packaging/gdb/lkrun.gdb $(SHARE_DIR)/gdb/lkrun.gdb

# The committed tree as one archive: the same commit gives the same bytes.
VERSION := $(shell sed -n 's/^\#define LKRUN_VERSION "\(.*\)"/\1/p' lkrun/base/util.h)
dist:
	@mkdir -p $(B)
	git archive --format=tar.gz --prefix=lkrun-$(VERSION)/ -o $(B)/lkrun-$(VERSION).tar.gz HEAD
	@echo $(B)/lkrun-$(VERSION).tar.gz

# Packages of the plugins for PyPI, in build/plugins.
plugins: $(PACKAGING)/installed
	@mkdir -p $(B)/plugins
	@for plugin in $(notdir $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))); do \
	    rm -rf $(B)/plugins/$$plugin && cp -R plugins/$$plugin $(B)/plugins && \
	    $(PACKAGING)/bin/python -m build --no-isolation --outdir $(B)/plugins/$$plugin/dist $(B)/plugins/$$plugin \
	        >$(B)/plugins/$$plugin/log 2>&1 || { cat $(B)/plugins/$$plugin/log >&2; exit 1; }; \
	    $(PACKAGING)/bin/twine --no-color check --strict $(B)/plugins/$$plugin/dist/* || exit; \
	done

# A Debian package of the committed tree, in build/deb; building it needs no root.
deb: dist
	rm -rf $(B)/deb
	mkdir -p $(B)/deb
	tar -xf $(B)/lkrun-$(VERSION).tar.gz -C $(B)/deb
	cp -R packaging/debian $(B)/deb/lkrun-$(VERSION)/debian
	cd $(B)/deb/lkrun-$(VERSION) && MAKEFLAGS= dpkg-buildpackage --build=binary --no-sign
	lintian --fail-on error $(B)/deb/lkrun_*.deb
	@ls $(B)/deb/*.deb

clean:
	rm -rf $(B)

FORCE:
.PHONY: all objects example check check-loaded check-valgrind check-slurm check-docs check-fresh docs lint fuzz \
        bench bench-peers compare-lenskit install dist deb plugins soak clean FORCE
-include $(OBJECTS:.o=.d) $(C_TESTS:=.d)
