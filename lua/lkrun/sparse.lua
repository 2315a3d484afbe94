return require "lkrun.core.sparse"
