"""Arrays and their means, variances and standard deviations by NumPy.

generate FOLDER SEED COUNT: writes INDEX.npy, and manifest.txt with a line each: index, dimensions.
compare FOLDER: what is in INDEX.OPERATION.DIMENSION.DDOF.npy (dimension 0: of all elements) is what
NumPy gives.
"""

import sys
import warnings
from pathlib import Path

import numpy

DTYPES = ["f8", "f4", "i8", "i4", "u1", "?"]


def array(random):
    dtype = numpy.dtype(DTYPES[random.integers(len(DTYPES))])
    shape = tuple(random.choice([0, 1, 2, 3, 7, 300], p=[0.04, 0.2, 0.2, 0.26, 0.2, 0.1])
                  for _ in range(random.integers(1, 4)))
    if dtype.kind == "f":
        values = random.normal(random.choice([0, 1e6]), random.choice([1e-3, 1, 1e3]), shape)
        if random.random() < 0.15 and values.size:
            values.flat[random.integers(values.size)] = random.choice([numpy.nan, numpy.inf])
        return values.astype(dtype)
    if dtype.kind == "b":
        return random.random(shape) < 0.3
    bounds = numpy.iinfo(dtype)
    least = max(bounds.min, -(10**9))
    return random.integers(least, min(bounds.max, 10**9), shape, dtype=dtype, endpoint=True)


def generate(folder, seed, count):
    random = numpy.random.default_rng(seed)
    with open(folder / "manifest.txt", "w") as manifest:
        for index in range(count):
            values = array(random)
            numpy.save(folder / f"{index}.npy", values)
            print(index, values.ndim, file=manifest)


def compare(folder):
    warnings.simplefilter("ignore")
    compared = 0
    for path in sorted(folder.glob("*.*.*.*.npy")):
        index, operation, dimension, ddof, _ = path.name.split(".")
        values = numpy.load(folder / f"{index}.npy")
        options = {} if operation == "mean" else {"ddof": int(ddof)}
        axis = int(dimension) - 1 if dimension != "0" else None
        # In f64, as ours: NumPy takes f32 for f32.
        expected = getattr(numpy, operation)(values, axis=axis, dtype="f8", **options)
        found = numpy.load(path)
        kind = "f4" if values.dtype == numpy.float32 and axis is not None else "f8"
        assert found.dtype == numpy.dtype(kind), (path.name, found.dtype)
        rtol = 1e-6 if kind == "f4" else 1e-11
        numpy.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-14, err_msg=path.name)
        compared += 1
    print(compared)


if __name__ == "__main__":
    command, folder, *rest = sys.argv[1:]
    if command == "generate":
        generate(Path(folder), *map(int, rest))
    else:
        compare(Path(folder))
