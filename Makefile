# lkrun: make builds build/lkrun and build/lib/lkrun/core.so
# CC=clang, SAN=address,undefined and the like rebuild what they change.

CC       = cc
PREFIX   = /usr/local
B        = build
SAN      =

PACKAGES_BUILD = lua5.4 jansson
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES_BUILD) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PACKAGES_BUILD) 2>/dev/null)

OPT      = -O2 -g
WARN     = -Wall -Wextra -Wshadow -Wmissing-prototypes -Wpedantic
CFLAGS   =
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) -fPIC -fvisibility=hidden -pthread \
             $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer) $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pthread $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)

SOURCES  := $(sort $(wildcard lkrun/*.c))
HEADERS  := $(sort $(wildcard lkrun/*.h))
MODULES  := $(sort $(shell find lua -name '*.lua'))
OBJECTS  := $(SOURCES:lkrun/%.c=$(B)/obj/%.o) $(B)/obj/embedded.o
# The command line is the executable's alone; everything else is also the module for a stock Lua.
PROGRAM_ONLY := $(B)/obj/main.o $(B)/obj/repl.o $(B)/obj/report.o
CORE_OBJECTS := $(filter-out $(PROGRAM_ONLY),$(OBJECTS))

all: $(B)/lkrun $(B)/lib/lkrun/core.so

$(B)/lkrun: $(OBJECTS)
	$(CC) $(ALL_LDFLAGS) -o $@ $(OBJECTS) $(PKG_LIBS) -lm -ldl

$(B)/lib/lkrun/core.so: $(CORE_OBJECTS)
	@mkdir -p $(@D)
	$(CC) -shared $(ALL_LDFLAGS) -o $@ $(CORE_OBJECTS) $(filter-out -llua%,$(PKG_LIBS)) -lm -ldl
	@ln -sf lkrun/core.so $(B)/lib/lkrun.so

# What the objects were built with: a change of compiler or flags rebuilds them.
FLAGS := $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)
$(B)/flags: FORCE
	@mkdir -p $(B)/obj
	@[ "$$(cat $@ 2>/dev/null)" = '$(FLAGS)' ] || printf '%s\n' '$(FLAGS)' > $@

$(B)/obj/%.o: lkrun/%.c $(B)/flags
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The Lua modules as bytes, and the list of the C modules (every luaopen_lkrun_core_* of the sources).
$(B)/embedded.c: $(MODULES) $(SOURCES) lkrun/embed $(B)/flags
	sh lkrun/embed $(MODULES) -- $(SOURCES) > $@.tmp
	@cmp -s $@.tmp $@ && rm $@.tmp || mv $@.tmp $@

# The modules are taken in by .incbin, which -MMD does not see.
$(B)/obj/embedded.o: $(B)/embedded.c $(MODULES)
	$(CC) $(ALL_CFLAGS) -Ilkrun -c -o $@ $<

check: all
	$(B)/lkrun tests/run.lua

clean:
	rm -rf $(B)

FORCE:
.PHONY: all check clean FORCE
-include $(OBJECTS:.o=.d)
