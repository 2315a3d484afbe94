return require "lkrun.core.linalg"
