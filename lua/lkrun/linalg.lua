--- Linear algebra on f64 and f32 tensors, by OpenBLAS and its LAPACK. Products take every dtype and
--- stride (integers modulo their dtype); an `out` may have any strides, and may be a factor as well.
local core = require "lkrun.core.linalg"

---@class lkrun.linalg
local linalg = {}

--- alpha a x + beta y, written into y; without y, alpha a x in a new tensor.
--- Raises when shapes or dtypes do not agree.
--- Shapes: a [m, n], x [n], y [m].
---@type fun(alpha: number, a: lkrun.Tensor, x: lkrun.Tensor, beta?: number, y?: lkrun.Tensor): lkrun.Tensor
linalg.gemv = core.gemv

--- alpha a b + beta c, written into c; without c, alpha a b in a new tensor.
--- Raises when shapes or dtypes do not agree.
--- Shapes: a [m, n], b [n, k], c [m, k].
---@type fun(alpha: number, a: lkrun.Tensor, b: lkrun.Tensor, beta?: number, c?: lkrun.Tensor): lkrun.Tensor
linalg.gemm = core.gemm

--- The product of a transposed and a: symmetric, both triangles filled in.
---@type fun(a: lkrun.Tensor, out?: lkrun.Tensor): lkrun.Tensor a [m, n], result [n, n]
linalg.syrk = core.syrk

--- The lower factor l with l l^T = a, zeros above its diagonal. Only the lower triangle of a is read.
--- Raises when a is not positive definite, naming the pivot. LAPACK potrf.
---@type fun(a: lkrun.Tensor): lkrun.Tensor a [n, n], f64 or f32
linalg.cholesky = core.cholesky

--- x with a x = b, for a symmetric positive definite a, of which only the lower triangle is read.
--- With `overwrite`, x takes the place of b, and a is left with anything in it: where the strides
--- are those of LAPACK (a of contiguous rows or columns; b a contiguous vector, or a matrix of
--- contiguous columns) nothing is allocated. Raises as `cholesky` does. LAPACK potrf and potrs.
---@type fun(a: lkrun.Tensor, b: lkrun.Tensor, overwrite?: boolean): lkrun.Tensor a [n, n], b and result [n] or [n, k]
linalg.cholesky_solve = core.cholesky_solve

--- x with l l^T x = b, for a factor l from `cholesky`. With `overwrite`, x takes the place of b.
---@type fun(l: lkrun.Tensor, b: lkrun.Tensor, overwrite?: boolean): lkrun.Tensor l [n, n], b and result [n] or [n, k]
linalg.potrs = core.potrs

--- x with l x = b, or with l^T x = b where `transposed`, for a lower triangle l; what is above its
--- diagonal is not read. With `overwrite`, x takes the place of b. BLAS trsm.
--- Shapes: l [n, n], b and result [n] or [n, k].
---@type fun(l: lkrun.Tensor, b: lkrun.Tensor, transposed?: boolean, overwrite?: boolean): lkrun.Tensor
linalg.trsm = core.trsm

---@class lkrun.Ridge # the options of `ridge`
---@field weights? lkrun.Tensor [nnz], 0 or more: one for each target, in their order; default: all 1
---@field rows? integer[] {first, last}: the rows to solve; default: all
---@field out? lkrun.Tensor [rows, k]: where the solutions are to be written
---@field steps? integer of conjugate gradients, from what `out` holds; default: exact solutions

--- Ridge regression for each row of a sparse matrix: row r of the result is the x with
--- (lambda I + Σ w_i y_i y_i^T) x = Σ t_i y_i, where the sums go over the row's entries: t_i is the
--- value of entry i, w_i its weight, and y_i the row of y that its column names. It minimizes
--- lambda |x|² + Σ w_i (t_i / w_i - y_i x)². A row without entries gives zeros. Rows with fewer than k
--- entries are solved by a matrix of that size instead of [k, k] (the Woodbury identity). Each row is
--- computed alone: it has the same bits whichever others are solved with it.
--- Raises when shapes or dtypes do not agree, for a negative weight, for a lambda that is not above 0.
--- Shapes: y [n, k], targets [m, n], f64 or f32; lambda a number or [m]; result [rows, k].
---@type fun(y: lkrun.Tensor, targets: lkrun.Sparse, lambda: number|lkrun.Tensor, options?: lkrun.Ridge): lkrun.Tensor
linalg.ridge = core.ridge

---@class lkrun.MipsOptions
---@field rows? lkrun.Indices which queries: rows of a; default: all
---@field among? lkrun.Indices which vectors: rows of b, ascending; default: all
---@field exclude? lkrun.Sparse [m, n]: each entry is a pair of a query and a vector that is not to be found
---@field values? lkrun.Tensor [rows, k]: where the products are to be written
---@field indices? lkrun.Tensor [rows, k], i64: where the indices are to be written

--- Maximum inner product search, exact: for each query, a row of a, the k vectors, rows of b, whose
--- inner products with it are greatest. Gives the products and the indices, the greatest first, the
--- lower index first among equals; where fewer than k are left, -inf and 0 fill the row. A product
--- that is nan or -inf is not found. Memory: one tile of products, whatever the sizes.
--- Raises when shapes or dtypes do not agree, and for an index that is out of range.
--- Shapes: a [m, d], b [n, d], f64 or f32; results [rows, k].
---@type fun(a: lkrun.Tensor, b: lkrun.Tensor, k: integer, options?: lkrun.MipsOptions): lkrun.Tensor, lkrun.Tensor
linalg.mips = core.mips

return linalg
