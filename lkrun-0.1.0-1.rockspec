rockspec_format = "3.0"
package = "lkrun"
version = "0.1.0-1"
source = {
  url = "git+file://.", -- luarocks make builds the tree it lies in
}
description = {
  summary = "Parallel operations on a shared model, scripted in Lua",
  detailed = [[
    lkrun runs model operations over many tasks in worker processes that share the model. This rock is the
    modules, lkrun and lkrec, for a stock Lua 5.4, and the executable.]],
  license = "MIT",
}
supported_platforms = { "linux" }
dependencies = {
  "lua ~> 5.4",
}
external_dependencies = {
  JANSSON = { header = "jansson.h" },
  HWLOC = { header = "hwloc.h" },
  LIBARCHIVE = { header = "archive.h" },
}
build = {
  type = "make",
  build_target = "all",
  build_variables = {
    NO_INSTALL = "1",
  },
  install_pass = false,
  install = {
    bin = { "build/lkrun" },
    lib = { ["lkrun.core"] = "build/lib/lkrun/core.so" },
    lua = {
      ["lkrun"] = "packaging/luarocks/module.lua",
      ["lkrec.als.explicit"] = "packaging/luarocks/module.lua",
      ["lkrec.als.implicit"] = "packaging/luarocks/module.lua",
      ["lkrec.batch"] = "packaging/luarocks/module.lua",
      ["lkrec.bias"] = "packaging/luarocks/module.lua",
      ["lkrec.data"] = "packaging/luarocks/module.lua",
      ["lkrec.knn.item"] = "packaging/luarocks/module.lua",
      ["lkrec.knn.user"] = "packaging/luarocks/module.lua",
      ["lkrec.metrics"] = "packaging/luarocks/module.lua",
      ["lkrec.popularity"] = "packaging/luarocks/module.lua",
      ["lkrec.steps"] = "packaging/luarocks/module.lua",
    },
  },
  copy_directories = { "docs", "examples", "rules" },
}
