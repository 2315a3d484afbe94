"""The Python side of exchange_spec.lua: models as NumPy, SciPy and safetensors write them, and a judge of what
lkrun made of them.

exchange.py generate FOLDER SEED COUNT   N.npz, N.safetensors, N.sparse.npz
exchange.py compare FOLDER COUNT         N.<kind>.out.npz, .out.safetensors, .out.lkz: the same models again
"""

import json
import os
import sys

import numpy as np
import scipy.sparse as sp
from safetensors.numpy import load_file, save, save_file

CODES = ["f8", "f4", "i8", "i4", "u1", "b1", "f2"]
NAMES = ["a", "b.weight", "c_d", "layers/0", "é", "with space", "x" * 60]


def random_array(rng, order=True):
    code = rng.choice(CODES)
    shape = tuple(int(n) for n in rng.choice([0, 1, 2, 3, 7, 40], size=rng.integers(0, 5),
                                             p=[0.04, 0.16, 0.2, 0.2, 0.2, 0.2]))
    if rng.integers(10) == 0:
        shape = (100, 300)  # large enough to be mapped
    raw = rng.integers(0, 256, size=int(np.prod(shape)) * np.dtype(code).itemsize, dtype="u1")
    if code == "b1":
        raw %= 2
    array = raw.view(code).reshape(shape)
    if order and code != "b1":
        array = array.astype(np.dtype(code).newbyteorder(rng.choice(["<", ">"])))
    return np.asfortranarray(array) if order and rng.integers(2) and array.ndim else array


def random_model(rng, order=True):
    names = rng.choice(NAMES, size=rng.integers(0, len(NAMES)), replace=False)
    return {str(name): random_array(rng, order) for name in names}


def random_sparse(rng):
    rows, columns = (int(n) for n in rng.integers(0, 30, size=2))
    count = int(rng.integers(0, 60)) if rows and columns else 0
    row, column = (rng.integers(0, max(n, 1), size=count) for n in (rows, columns))
    dtype = rng.choice(["f8", "f4", "i8", "i4", "u1", "b1"])
    values = rng.integers(0, 2 if dtype == "b1" else 100, size=count).astype(dtype)
    matrix = sp.coo_matrix((values, (row, column)), shape=(rows, columns))
    kind = rng.choice(["coo", "csr", "csc", "unsorted"])
    if kind == "unsorted":  # and with repeated columns
        order = np.argsort(row, kind="stable")
        pointers = np.searchsorted(row[order], np.arange(rows + 1))
        return sp.csr_matrix((values[order], column[order], pointers), shape=(rows, columns))
    return matrix.asformat(kind) if dtype != "b1" or kind == "coo" else matrix.astype("u1").asformat(kind)


def save_bfloat(path, rng):
    """safetensors' NumPy has no bfloat16: the bytes of its format by hand."""
    halves = rng.integers(0, 1 << 16, size=(5, 3), dtype="u2")
    header = json.dumps({"bf": {"dtype": "BF16", "shape": [5, 3], "data_offsets": [0, 30]}}).encode()
    with open(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header + halves.tobytes())
    return {"bf": (halves.astype("u4") << 16).view("f4")}


def generate(folder, seed, count):
    rng = np.random.default_rng(seed)
    for i in range(count):
        path = os.path.join(folder, str(i))
        (np.savez if i % 2 else np.savez_compressed)(path + ".npz", **random_model(rng))
        if i % 10 == 0:
            np.savez(path + ".bf.npz", **save_bfloat(path + ".safetensors", rng))
        else:
            save_file(random_model(rng, order=False), path + ".safetensors", {"seed": str(seed)} if i % 2 else None)
        sp.save_npz(path + ".sparse.npz", random_sparse(rng), compressed=bool(i % 2))


def same(name, expected, got):
    if expected.dtype.newbyteorder("=") == np.float16:
        expected = expected.astype("f4")
    expected = np.ascontiguousarray(expected.astype(expected.dtype.newbyteorder("="))).reshape(expected.shape)
    got = np.ascontiguousarray(got).reshape(got.shape)
    assert expected.dtype == got.dtype and expected.shape == got.shape, (name, expected.dtype, got.dtype, got.shape)
    if expected.dtype.kind == "f":  # f16 to f32 may make a NaN quiet, on either side
        nan = np.isnan(expected)
        assert (nan == np.isnan(got)).all(), name
        expected, got = np.where(nan, 0, expected), np.where(nan, 0, got)
    assert expected.tobytes() == got.tobytes(), name


def compare_models(path, expected, kind):
    outs = {
        "npz": np.load(f"{path}.{kind}.out.npz"),
        "safetensors": load_file(f"{path}.{kind}.out.safetensors"),
        "lkz": np.load(f"{path}.{kind}.out.lkz"),
    }
    files = [name for name in outs["lkz"].files if name != "manifest.json"]
    assert len(files) == len(expected), path
    for name, array in expected.items():
        same((path, kind, name), array, outs["npz"][name])
        same((path, kind, name), array, outs["safetensors"][name])
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name.encode().decode("latin-1"))
        same((path, kind, name), array, outs["lkz"][plain])
    assert set(outs["npz"].files) == set(outs["safetensors"]) == set(expected), path
    with open(f"{path}.{kind}.out.safetensors", "rb") as file:
        assert file.read() == save(load_file(f"{path}.{kind}.out.safetensors")), path


def compare(folder, count):
    for i in range(count):
        path = os.path.join(folder, str(i))
        compare_models(path, dict(np.load(path + ".npz")), "npz")
        if i % 10:
            compare_models(path, load_file(path + ".safetensors"), "safetensors")
        else:
            compare_models(path, dict(np.load(path + ".bf.npz")), "safetensors")
        expected, got = sp.load_npz(path + ".sparse.npz"), sp.load_npz(path + ".sparse.out.npz")
        assert got.format == "csr" and expected.shape == got.shape, path
        assert got.dtype == ("f4" if expected.dtype == "f4" else "f8"), path
        expected = expected.astype(got.dtype).tocsr()  # entries of one place are added as floats
        assert (expected.toarray() == got.toarray()).all(), path
        assert got.has_canonical_format, path


if __name__ == "__main__":
    if sys.argv[1] == "generate":
        generate(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        compare(sys.argv[2], int(sys.argv[3]))
