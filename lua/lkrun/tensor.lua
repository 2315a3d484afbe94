--- Dense tensors: numbers of one dtype in a shape, over storage that views share. Above 64 KiB the
--- storage lies in shared memory, so that workers read the model's tensors without a copy.
--- Indices count from 1. An index out of range, a tensor of another shape or dtype than is needed, and a value
--- that the dtype cannot hold raise errors that name what was found and what was expected.
local core = require "lkrun.core.tensor"

--- `bool` has no arithmetic; sums count its `true`s.
---@alias lkrun.dtype "f64"|"f32"|"i64"|"i32"|"u8"|"bool"
--- Sizes, such as `{2, 3}`; `{}` is a scalar. A single integer is the size of a vector.
---@alias lkrun.Shape integer[]|integer
--- Nested tables, one level for each dimension.
---@alias lkrun.Nested (number|boolean|lkrun.Nested)[]|number|boolean
--- Indices from 1: a table, or an i64 or i32 tensor of one dimension.
---@alias lkrun.Indices integer[]|lkrun.Tensor

--- `t[i]` is an element of a vector, else a view of row i; `t[i] = v` writes either (a row from a
--- tensor of its shape, or filled with a number). `#t` is the first size. `+ - * /`, `//` and unary
--- `-` make new tensors, from tensors of one shape and dtype, or a tensor and a number on either
--- side; `/` of integers gives f64. Integers wrap modulo their dtype, and raise when divided by 0.
---@class lkrun.Tensor
---@field dtype lkrun.dtype
---@field [integer] any
---@operator add(number|lkrun.Tensor): lkrun.Tensor
---@operator sub(number|lkrun.Tensor): lkrun.Tensor
---@operator mul(number|lkrun.Tensor): lkrun.Tensor
---@operator div(number|lkrun.Tensor): lkrun.Tensor
---@operator idiv(number|lkrun.Tensor): lkrun.Tensor
---@operator unm: lkrun.Tensor
---@operator len: integer
--- Shape. `size()` is a table of all sizes, `size(dim)` one of them; `numel` the number of elements.
---@field size (fun(self: lkrun.Tensor): integer[])|(fun(self: lkrun.Tensor, dim: integer): integer)
---@field dim fun(self: lkrun.Tensor): integer
---@field numel fun(self: lkrun.Tensor): integer
---@field is_contiguous fun(self: lkrun.Tensor): boolean whether elements lie in row-major order without gaps
--- Elements. As many indices as dimensions; `item` is the only element of a tensor that has one.
---@field get fun(self: lkrun.Tensor, ...: integer): any a number, or a boolean of bool
---@field set fun(self: lkrun.Tensor, ...: integer|number|boolean) the indices, then the value
---@field item fun(self: lkrun.Tensor): any
---@field totable fun(self: lkrun.Tensor): table nested, one level for each dimension
--- Views: they share storage with the tensor, and keep it alive.
---@field select fun(self: lkrun.Tensor, dim: integer, index: integer): lkrun.Tensor one dimension less
---@field narrow fun(self: lkrun.Tensor, dim: integer, first: integer, count: integer): lkrun.Tensor
---@field t fun(self: lkrun.Tensor): lkrun.Tensor [m, n] as [n, m]
---@field transpose fun(self: lkrun.Tensor, dim1: integer, dim2: integer): lkrun.Tensor
---@field view fun(self: lkrun.Tensor, ...: lkrun.Shape): lkrun.Tensor as many elements; raises unless contiguous
---@field reshape fun(self: lkrun.Tensor, ...: lkrun.Shape): lkrun.Tensor a view where one is possible, else a copy
---@field expand fun(self: lkrun.Tensor, ...: lkrun.Shape): lkrun.Tensor repeats sizes of 1, adds dimensions in front
--- Copies. `contiguous` is the tensor itself where it is contiguous. `to` raises for a value that
--- the dtype has not: nothing is rounded to an integer or cut to its range.
---@field clone fun(self: lkrun.Tensor): lkrun.Tensor
---@field contiguous fun(self: lkrun.Tensor): lkrun.Tensor
---@field to fun(self: lkrun.Tensor, dtype: lkrun.dtype): lkrun.Tensor
--- In place, and giving the tensor itself: these raise for a tensor that is read-only here (a model
--- tensor in a task, unless `writable`).
---@field copy fun(self: lkrun.Tensor, source: lkrun.Tensor): lkrun.Tensor same shape, any dtype; overlap is fine
---@field fill fun(self: lkrun.Tensor, value: number|boolean): lkrun.Tensor
---@field zero fun(self: lkrun.Tensor): lkrun.Tensor
---@field add fun(self: lkrun.Tensor, other: number|lkrun.Tensor): lkrun.Tensor
---@field sub fun(self: lkrun.Tensor, other: number|lkrun.Tensor): lkrun.Tensor
---@field mul fun(self: lkrun.Tensor, other: number|lkrun.Tensor): lkrun.Tensor
---@field div fun(self: lkrun.Tensor, other: number|lkrun.Tensor): lkrun.Tensor integers: rounded down, as `//`
---@field pow fun(self: lkrun.Tensor, exponent: number|lkrun.Tensor): lkrun.Tensor f64 and f32
---@field sqrt fun(self: lkrun.Tensor): lkrun.Tensor f64 and f32
---@field exp fun(self: lkrun.Tensor): lkrun.Tensor f64 and f32
---@field log fun(self: lkrun.Tensor): lkrun.Tensor f64 and f32
---@field abs fun(self: lkrun.Tensor): lkrun.Tensor
---@field floor fun(self: lkrun.Tensor): lkrun.Tensor
---@field ceil fun(self: lkrun.Tensor): lkrun.Tensor
---@field round fun(self: lkrun.Tensor): lkrun.Tensor halves away from zero
---@field axpy fun(self: lkrun.Tensor, a: number, x: lkrun.Tensor): lkrun.Tensor self + a x, same shape and dtype
--- `addmv`: [m] becomes alpha a x + beta self, a [m, n], x [n]; both factors 1 by default.
---@field addmv fun(self: lkrun.Tensor, a: lkrun.Tensor, x: lkrun.Tensor, alpha?: number, beta?: number): lkrun.Tensor
--- `addmm`: [m, k] becomes alpha a b + beta self, a [m, n], b [n, k].
---@field addmm fun(self: lkrun.Tensor, a: lkrun.Tensor, b: lkrun.Tensor, alpha?: number, beta?: number): lkrun.Tensor
--- Products: OpenBLAS for f64 and f32, exact modulo the dtype for integers. With `out`, the result
--- is written there and nothing is allocated.
---@field mv fun(self: lkrun.Tensor, x: lkrun.Tensor, out?: lkrun.Tensor): lkrun.Tensor [m, n] times [n] is [m]
---@field mm fun(self: lkrun.Tensor, b: lkrun.Tensor, out?: lkrun.Tensor): lkrun.Tensor [m, n] times [n, k] is [m, k]
---@field dot fun(self: lkrun.Tensor, y: lkrun.Tensor): number [n] and [n]; integers modulo 2^64
--- Reductions of all elements, or along a dimension, which the result does not have. Sums of floats are
--- pairwise in f64, sums of integers and bools are i64. `min` and `max` are not-a-number if any element is.
---@field sum (fun(self: lkrun.Tensor): number)|(fun(self: lkrun.Tensor, dim: integer): lkrun.Tensor)
---@field mean (fun(self: lkrun.Tensor): number)|(fun(self: lkrun.Tensor, dim: integer): lkrun.Tensor)
--- `var` and its square root `std`: the mean of the squared distances from the mean, in two passes;
--- divided by the count less `ddof`, 0 by default as in NumPy (1: the estimate from a sample). Of no
--- more than `ddof` elements: not a number, or infinity. Raises for a ddof that is no integer from 0 on.
---@field var fun(self: lkrun.Tensor, dim?: integer, ddof?: integer): number|lkrun.Tensor
---@field std fun(self: lkrun.Tensor, dim?: integer, ddof?: integer): number|lkrun.Tensor
---@field min (fun(self: lkrun.Tensor): any)|(fun(self: lkrun.Tensor, dim: integer): lkrun.Tensor)
---@field max (fun(self: lkrun.Tensor): any)|(fun(self: lkrun.Tensor, dim: integer): lkrun.Tensor)
--- `argmin`: an index for each dimension, or i64 along one.
---@field argmin (fun(self: lkrun.Tensor): integer, ...)|(fun(self: lkrun.Tensor, dim: integer): lkrun.Tensor)
---@field argmax (fun(self: lkrun.Tensor): integer, ...)|(fun(self: lkrun.Tensor, dim: integer): lkrun.Tensor)
---@field norm fun(self: lkrun.Tensor): number the square root of the sum of squares, of all elements
--- Order: stable, not-a-number last in either direction.
---@field sort fun(self: lkrun.Tensor, descending?: boolean): lkrun.Tensor [n], a new one
---@field argsort fun(self: lkrun.Tensor, descending?: boolean): lkrun.Tensor [n], i64
--- `topk`: the k greatest along the last dimension and their indices (i64), the greatest first, the
--- lower index first among equals.
---@field topk fun(self: lkrun.Tensor, k: integer): lkrun.Tensor, lkrun.Tensor
--- Rows by their indices, as `select(1, i)` gives them: elements of a vector, rows of a matrix.
---@field index fun(self: lkrun.Tensor, rows: lkrun.Indices, out?: lkrun.Tensor): lkrun.Tensor
--- `index_add`: adds alpha times source row i to row rows[i].
---@field index_add fun(self: lkrun.Tensor, rows: lkrun.Indices, source: lkrun.Tensor, alpha?: number): lkrun.Tensor
---@field index_copy fun(self: lkrun.Tensor, rows: lkrun.Indices, source: lkrun.Tensor): lkrun.Tensor
---@field index_fill fun(self: lkrun.Tensor, rows: lkrun.Indices, value: number|boolean): lkrun.Tensor
--- Comparing, as `lk.tensor.equal` and `lk.tensor.allclose`.
---@field equal fun(self: lkrun.Tensor, other: lkrun.Tensor): boolean
---@field allclose fun(self: lkrun.Tensor, other: lkrun.Tensor, rtol?: number, atol?: number): boolean

---@class lkrun.tensor
local tensor = {}

--- Makes a tensor of zeros (`false` for bool).
---@type fun(shape: lkrun.Shape, dtype?: lkrun.dtype): lkrun.Tensor
tensor.zeros = core.zeros

--- Makes a tensor of ones (`true` for bool).
---@type fun(shape: lkrun.Shape, dtype?: lkrun.dtype): lkrun.Tensor
tensor.ones = core.ones

--- Makes a tensor of one value.
---@type fun(shape: lkrun.Shape, value: number|boolean, dtype?: lkrun.dtype): lkrun.Tensor
tensor.full = core.full

--- Makes a tensor of nested tables, all of one shape; raises naming the place that differs, or that
--- the dtype cannot hold. Of a tensor: a copy.
---@type fun(values: lkrun.Nested|lkrun.Tensor, dtype?: lkrun.dtype): lkrun.Tensor
tensor.from = core.from

--- Makes a vector that counts like Lua's numeric `for`: `arange(last)` from 1, `arange(first, last)`
--- and `arange(first, last, step)`; the dtype is the last argument.
---@type fun(...: number|lkrun.dtype): lkrun.Tensor
tensor.arange = core.arange

--- Draws uniformly from [0, 1), f64 or f32, from the current random stream (a task's own in a task).
---@type fun(shape: lkrun.Shape, dtype?: "f64"|"f32"): lkrun.Tensor
tensor.rand = core.rand

--- Draws from the normal distribution of mean 0 and standard deviation 1, as `rand` does.
---@type fun(shape: lkrun.Shape, dtype?: "f64"|"f32"): lkrun.Tensor
tensor.randn = core.randn

--- Whether a value is a tensor.
---@type fun(value: any): boolean
tensor.is = core.is

--- Whether two tensors have the same shape, dtype and elements. Not-a-number equals nothing.
---@type fun(a: lkrun.Tensor, b: lkrun.Tensor): boolean
tensor.equal = core.equal

--- Whether |a - b| <= atol + rtol |b| for all elements of two tensors of one shape and any dtypes;
--- rtol is 1e-5 and atol 1e-8 by default. Infinities are close to themselves alone.
---@type fun(a: lkrun.Tensor, b: lkrun.Tensor, rtol?: number, atol?: number): boolean
tensor.allclose = core.allclose

--- The bytes of all tensors' storage in this process.
---@type fun(): integer
tensor.bytes = core.bytes

return tensor
