-- The operation for lkrun map: the best items for each user in a range.
return require("lkrec.steps").operation(...)
