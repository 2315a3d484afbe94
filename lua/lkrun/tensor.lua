return require "lkrun.core.tensor"
