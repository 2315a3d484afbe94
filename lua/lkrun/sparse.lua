--- Sparse matrices in compressed rows (CSR), f64 or f32. Their parts are tensors, so that they too
--- lie in shared memory and are read-only in a task that inherited them.
local core = require "lkrun.core.sparse"

---@alias lkrun.SparseTimesDense fun(self: lkrun.Sparse, x: lkrun.Tensor, out?: lkrun.Tensor): lkrun.Tensor
---@alias lkrun.SparseTimesSparse fun(self: lkrun.Sparse, x: lkrun.Sparse): lkrun.Sparse
---@alias lkrun.Side "left"|"right"
--- Sums, and sums of weights.
---@alias lkrun.SparseTopProducts
---| fun(self: lkrun.Sparse, x: lkrun.Sparse, k: integer, side: lkrun.Side, least?: integer,
---  columns?: lkrun.Indices): lkrun.Tensor, lkrun.Tensor

---@class lkrun.Sparse
---@field nnz integer entries that are stored
---@field dtype "f64"|"f32"
---@field size (fun(self: lkrun.Sparse): integer[])|(fun(self: lkrun.Sparse, dim: integer): integer)
--- The entries of row i: columns (i32, from 1, ascending) and values, as views. Do not write columns.
---@field row fun(self: lkrun.Sparse, i: integer): lkrun.Tensor, lkrun.Tensor
--- `for i, columns, values in s:rows() do`: every row, those without entries too.
---@field rows fun(self: lkrun.Sparse): function, lkrun.Sparse, integer
---@field values fun(self: lkrun.Sparse): lkrun.Tensor all values, row by row, as a view
--- `triplets`: rows and columns (i64, from 1), values; copies.
---@field triplets fun(self: lkrun.Sparse): lkrun.Tensor, lkrun.Tensor, lkrun.Tensor
---@field t fun(self: lkrun.Sparse): lkrun.Sparse the transpose, a copy
---@field mv fun(self: lkrun.Sparse, x: lkrun.Tensor, out?: lkrun.Tensor): lkrun.Tensor [m, n] times [n] is [m]
--- `mm`: [m, n] times [n, k] is [m, k]; a sparse second factor gives a sparse product, its sums f64 within.
---@field mm lkrun.SparseTimesDense|lkrun.SparseTimesSparse
--- `top_products`: [m, n] times a sparse [n, c], where only the k terms of greatest weight of each sum
--- count, a term's weight being its factor from the matrix on that side: the sums, and the sums of those
--- weights, both dense [m, c]; not-a-number where there are fewer than `least` terms (default 1). With
--- `columns`, only those, in that order.
---@field top_products lkrun.SparseTopProducts
---@field index fun(self: lkrun.Sparse, rows: lkrun.Indices): lkrun.Sparse the rows of these indices, copies
--- `prune`: what is left of each row: its entries of at least this value, and of them the `keep` greatest
--- (of equal ones those of the lower columns).
---@field prune fun(self: lkrun.Sparse, least: number, keep?: integer): lkrun.Sparse
---@field todense fun(self: lkrun.Sparse): lkrun.Tensor [m, n]
--- `topk`: the k greatest entries of each row and their columns (i64), both [m, k], the greatest first, the
--- lower column first among equals; 0 and column 0 where there are fewer.
---@field topk fun(self: lkrun.Sparse, k: integer): lkrun.Tensor, lkrun.Tensor
--- `gather`: the value of each row at given columns ([m, n], i64 or i32), 0 where there is no entry; column 0: none.
---@field gather fun(self: lkrun.Sparse, columns: lkrun.Tensor): lkrun.Tensor [m, n]

---@class lkrun.sparse
local sparse = {}

--- Makes an [m, n] matrix of entries (rows[i], columns[i]) = values[i], in any order, from 1; entries
--- of one place are added in the order they come. Raises naming the entry that is out of range.
--- The values are f64 unless they are a tensor of f32. At most 2^31 - 1 columns.
---@type fun(rows: lkrun.Indices, columns: lkrun.Indices, values: number[]|lkrun.Tensor, shape: integer[]): lkrun.Sparse
sparse.csr = core.csr

--- Makes a matrix of all rows of several matrices, one below the other. Raises unless all have the same
--- number of columns and one dtype.
---@type fun(matrices: lkrun.Sparse[]): lkrun.Sparse
sparse.stack = core.stack

--- Whether a value is a sparse matrix.
---@type fun(value: any): boolean
sparse.is = core.is

return sparse
