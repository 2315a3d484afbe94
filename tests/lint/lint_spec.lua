-- Each check of the lint finds what it is there for. A small tree that passes them all is broken in one place at a
-- time; what the checks read of the real tree's Makefile and suppressions is broken in a copy of those.
local new_folder = require "tests.support.folder"
local program = require "tests.support.program"

local CHECKS <const> = "folders circles sizes headers names"

local HEADER <const> = [[
#ifndef LOW_H
#define LOW_H
#include <stddef.h>

/* int not_declared(int); */
#define LOW(x) \
    low_of(x)
struct low {
    int (*call)(int);
};
typedef int (*low_call)(int);
extern const char *const low_names[]; // int not_this_one(void);
extern int (*low_hook)(int);

static inline int low_twice(int x)
{
    return x + x;
}
struct low *low_make(size_t count,
                     int value);
__attribute__((format(printf, 1, 2), nonnull(1))) void low_say(const char *format, ...);
int low_of(int x);

#endif
]]

local SOURCE <const> = [[
#include "base/low.h"

const char *const low_names[] = {"low"};
int (*low_hook)(int);
static struct low only;
struct low *low_make(size_t count, int value) { return count && value ? &only : 0; }
void low_say(const char *format, ...) { (void)format; }
int low_of(int x) { return low_twice(x); }
int luaopen_low(void *L);
int luaopen_low(void *L) { return !L; }
]]

-- A tree of two folders. As in the real one, the table of modules (embedded.o) and the code that opens modules use
-- each other, the one circle that the lint allows.
local function small_tree()
  local tree = new_folder()
  os.execute(("mkdir -p '%s/lkrun/base' '%s/lkrun/pool'"):format(tree.name, tree.name))
  tree:write("lkrun/README.md", "The folders, bottom first:\n\n    base/   what all use\n    pool/   workers\n")
  tree:write("lkrun/base/low.h", HEADER)
  tree:write("lkrun/base/low.c", SOURCE)
  tree:write("lkrun/pool/high.h", "int high(void);\n")
  tree:write("lkrun/pool/high.c", '#include "base/low.h"\n#include "pool/high.h"\nextern void *table[];\n'
    .. "int high(void) { return low_of(table[0] != 0); }\nint main(void) { return high(); }\n")
  tree:write("embedded.c", "int high(void);\nint (*table[])(void) = {high};\n")
  tree:write("Makefile", ([[
objects: $(patsubst lkrun/%%.c,build/obj/%%.o,$(shell find lkrun -name '*.c')) build/obj/embedded.o
build/obj/%%.o: lkrun/%%.c
	@mkdir -p $(@D)
	@%s -Ilkrun -c -o $@ $<
build/obj/embedded.o: embedded.c
	@%s -c -o $@ $<
]]):format(os.getenv "LKRUN_CC" or "cc", os.getenv "LKRUN_CC" or "cc"))
  return tree
end

local function lint(tree, checks)
  return program.shell(("env -u B -u LINT_BUILT MAKEFLAGS= sh tests/lint/run '%s' %s"):format(tree.name, checks))
end

describe("the lint", function()
  local tree
  before_each(function() tree = small_tree() end)
  after_each(function() tree:remove() end)

  -- Fails unless `check` is the only one to fail, and each of the further arguments is part of what it says.
  local function assert_only_fails(check, ...)
    local result = lint(tree, CHECKS)
    assert.equal("failed: " .. check .. "\n", result.out:gsub("[^\n]*\n", function(line)
      return line:find "^failed: " and line or ""
    end), result.out .. result.err)
    for _, message in ipairs { ... } do assert.truthy(result.out:find(message, 1, true), result.out) end
    assert.truthy(result.out:find("\n4 passed, 1 failed\n$"), result.out)
    assert.equal(1, result.status)
  end

  local function append(name, text) tree:write(name, (tree:read(name) or "") .. text) end

  it("has nothing to say of a tree in order", function()
    local result = lint(tree, CHECKS)
    assert.equal("ok: folders\nok: circles\nok: sizes\nok: headers\nok: names\n5 passed, 0 failed\n", result.out)
    assert.equal("", result.err)
    assert.equal(0, result.status)
  end)

  it("refuses a check that is not there", function()
    local result = lint(tree, "folder")
    assert.truthy(result.err:find "^lint: folder: no such check; expected one of .*folders")
    assert.equal(2, result.status)
  end)

  it("finds an include of a folder that comes later", function()
    append("lkrun/base/low.c", '#include "pool/high.h"\n')
    assert_only_fails("folders",
      "lkrun/base/low.c:11: includes pool/high.h, but pool/ comes after base/ in lkrun/README.md")
  end)

  it("finds an include without a folder, and one in angle brackets", function()
    append("lkrun/base/low.c", "#ifdef NEVER\n#include \"low.h\"\n#  include <base/low.h>\n#endif\n")
    assert_only_fails("folders", 'lkrun/base/low.c:12: "low.h" is not a file of the core',
      "lkrun/base/low.c:13: <base/low.h> is a header of the core")
  end)

  it("finds a folder that is not in the list, and one of the list that is not there", function()
    tree:write("lkrun/README.md", "- `base/`: what all use\n- `pools/`: workers\n")
    assert_only_fails("folders", "lkrun/pool/high.c: its folder is not in the list of lkrun/README.md",
      "lkrun/README.md:2: lkrun/pools/ has no C file")
  end)

  it("finds a file outside of the folders", function()
    tree:write("lkrun/stray.c", "static int stray;\nint *luaopen_stray(void);\n")
    assert_only_fails("folders", "lkrun/stray.c: lies in no folder")
  end)

  it("finds a circle of two files", function()
    tree:write("lkrun/base/friend.h", "int friend_of(int x);\n")
    tree:write("lkrun/base/friend.c", '#include "base/low.h"\nint friend_of(int x);\n'
      .. "int friend_of(int x) { return low_of(x); }\n")
    append("lkrun/base/low.c", "int friend_of(int x);\nint luaopen_more(void) { return friend_of(1); }\n")
    assert_only_fails("circles", "a circle of 2 files:\n",
      "\n  lkrun/base/low.c uses lkrun/base/friend.c: friend_of\n",
      "\n  lkrun/base/friend.c uses lkrun/base/low.c: low_of\n")
  end)

  it("finds a circle of three files, through data", function()
    for name, following in pairs { a = "b", b = "c", c = "a" } do
      tree:write(("lkrun/base/%s.h"):format(name), ("extern int *%s;\n"):format(name))
      tree:write(("lkrun/base/%s.c"):format(name),
        ("extern int %s;\nint *%s = &%s;\n"):format(following, name, following))
    end
    assert_only_fails("circles", "a circle of 3 files:\n", "\n  lkrun/base/a.c uses lkrun/base/b.c: b\n",
      "\n  lkrun/base/b.c uses lkrun/base/c.c: c\n", "\n  lkrun/base/c.c uses lkrun/base/a.c: a\n")
  end)

  it("fails where the objects cannot be built", function()
    append("lkrun/base/low.c", "broken\n")
    local result = lint(tree, "circles headers")
    assert.truthy(result.out:find "failed: circles\nfailed: headers\n", result.out)
    assert.equal(1, result.status)
  end)

  it("finds a function of 61 lines", function()
    local function long(name, lines)
      append("lkrun/base/low.c", ("static inline int %s(void)\n{\n%s    return 0;\n}\n")
        :format(name, ("    ;\n"):rep(lines - 3)))
    end
    long("sixty", 60)
    assert.truthy(lint(tree, "sizes").out:find "^ok")
    long("sixty_one", 61)
    assert_only_fails("sizes", "lkrun/base/low.c:73: a function of 61 lines; expected 60 at most")
  end)

  it("finds a file of 801 lines", function()
    tree:write("lkrun/base/low.h", HEADER .. ("\n"):rep(800 - select(2, HEADER:gsub("\n", ""))))
    assert.truthy(lint(tree, "sizes").out:find "^ok")
    append("lkrun/base/low.h", "\n")
    assert_only_fails("sizes", "lkrun/base/low.h: more than 800 lines")
  end)

  it("finds an export that another file's header declares", function()
    append("lkrun/base/low.c", "int low_of_high(void) { return 1; }\n")
    append("lkrun/pool/high.h", "int low_of_high(void);\n")
    assert_only_fails("headers",
      "lkrun/base/low.c: exports low_of_high, which lkrun/base/low.h does not declare; lkrun/pool/high.h does",
      "lkrun/pool/high.h: declares low_of_high, which lkrun/pool/high.c does not define; lkrun/base/low.c does")
  end)

  it("finds an export that no header declares", function()
    append("lkrun/base/low.c", "int low_count;\n")
    assert_only_fails("headers",
      "lkrun/base/low.c: exports low_count, which lkrun/base/low.h does not declare; expected static")
  end)

  it("finds a declaration of what nobody defines, also in a header without a file", function()
    append("lkrun/base/low.h", "extern int low_gone[3];\n")
    tree:write("lkrun/base/types.c", "struct low_type *luaopen_types(void);\n")
    tree:write("lkrun/pool/kinds.h", "enum kind { FIRST };\nenum kind kind_of(int x);\n")
    assert_only_fails("headers", "lkrun/base/low.h: declares low_gone, which lkrun/base/low.c does not define\n",
      "lkrun/pool/kinds.h: declares kind_of, which no lkrun/pool/kinds.c defines\n")
  end)

  it("finds a header with the name of one of C or POSIX", function()
    tree:write("lkrun/pool/limits.h", "struct limits;\n")
    tree:write("lkrun/base/wait.h", "struct wait;\n")
    assert_only_fails("names", "lkrun/pool/limits.h: has the name of the header <limits.h> of C or POSIX",
      "lkrun/base/wait.h: has the name of the header <wait.h> of C or POSIX")
  end)

  it("finds two files of one name", function()
    tree:write("lkrun/pool/low.h", "struct low_of_pool;\n")
    assert_only_fails("names", "lkrun/pool/low.h: has the name of lkrun/base/low.[ch], too")
  end)
end)

describe("the lint of names of files and functions", function()
  local tree
  before_each(function()
    tree = new_folder()
    os.execute(("mkdir -p '%s/tests' '%s/packaging' && cp -R lkrun Makefile '%s' && cp tests/*.supp '%s/tests' && " ..
      "cp -R packaging/gdb '%s/packaging'"):format(tree.name, tree.name, tree.name, tree.name, tree.name))
  end)
  after_each(function() tree:remove() end)

  -- `text` at the end of the file is what is wrong with it.
  local function assert_finds(name, text, message)
    local before = tree:read(name)
    local _, lines = before:gsub("\n", "")
    tree:write(name, before .. text)
    local result = lint(tree, "patterns")
    assert.equal(("%s:%d: %s\nfailed: patterns\n0 passed, 1 failed\n"):format(
      name, lines + select(2, text:gsub("\n", "")), message), result.out)
    assert.equal(1, result.status)
    tree:write(name, before)
  end

  it("finds flags of the Makefile for no file", function()
    assert.equal("ok: patterns\n1 passed, 0 failed\n", lint(tree, "patterns").out)
    assert_finds("Makefile", "$(B)/obj/tensor/gone_%.o: OPT = -O3 -g\n", "no file lkrun/tensor/gone_*.c")
    assert_finds("Makefile", "GONE := lkrun/base/gone.h\n", "no file lkrun/base/gone.h")
  end)

  it("finds suppressions for no file", function()
    assert_finds("tests/cppcheck.supp", "memleak:lkrun/gone/gone.c\n", "no file lkrun/gone/gone.c")
  end)

  it("finds suppressions for no function of ours, and those of nobody", function()
    assert_finds("tests/tsan.supp", "# lkrun: why\nrace:^gone$\n", "the core defines no function gone")
    assert_finds("tests/lsan.supp", "# lkrun: why\nleak:gone.c\n", "no file */gone.c")
    assert_finds("tests/valgrind.supp", "# lkrun: why\n{\n   name\n   Memcheck:Leak\n   fun:gone\n",
      "the core defines no function gone")
    os.remove(tree:path "tests/tsan.supp")
    tree:write("tests/tsan.supp", "")
    assert_finds("tests/tsan.supp", "race:^mutex$\n",
      "says not whose ^mutex$ is; expected a comment above it, '# OWNER: why'")
  end)

  it("finds frames of gdb commands for no function", function()
    assert_finds("packaging/gdb/lkrun.gdb", "  frame function run_gone\n", "the core defines no function run_gone")
  end)
end)
