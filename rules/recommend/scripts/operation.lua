-- For lkrun map: the best items of a range of users.
return require("lkrec.steps").operation(...)
