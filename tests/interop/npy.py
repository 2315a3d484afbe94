"""The NumPy side of npy_spec.lua: makes random arrays, and judges what lkrun made of them.

npy.py generate FOLDER SEED COUNT   N.npy as NumPy writes it in some version, byte and memory order;
                                    N.native.npy as NumPy writes it in this machine's byte order;
                                    refused-N.npy of dtypes that lkrun has not; manifest.txt
npy.py compare FOLDER               N.out.npy, N.rows.npy: the array again, and all but its first row
"""

import io
import os
import sys

import numpy as np

NAMES = {"f8": "f64", "f4": "f32", "i8": "i64", "i4": "i32", "u1": "u8", "b1": "bool"}
REFUSED = [
    np.zeros(2, "c8"), np.zeros(2, "c16"), np.zeros(2, "i1"), np.zeros(2, "i2"),
    np.zeros(2, "u2"), np.zeros(2, ">u4"), np.zeros(2, "u8"), np.array(["a", "bc"]),
    np.array([b"a", b"bc"]), np.array([None, {}], dtype=object), np.zeros(2, "M8[s]"),
    np.zeros(2, [("a", "f4"), ("b", "i8", 2)]), np.zeros(2, "V3"),
]


def random_array(rng):
    code = rng.choice(list(NAMES))
    shape = tuple(int(n) for n in rng.choice([0, 1, 2, 3, 5, 6], size=rng.integers(0, 6),
                                             p=[0.06, 0.14, 0.2, 0.2, 0.2, 0.2]))
    raw = rng.integers(0, 256, size=int(np.prod(shape)) * np.dtype(code).itemsize, dtype="u1")
    if code == "b1":
        raw %= 2
    array = raw.view(code).reshape(shape)  # any bits: not-a-number and infinity as well
    if code != "b1":
        array = array.astype(np.dtype(code).newbyteorder(rng.choice(["<", ">"])))
    return np.asfortranarray(array) if rng.integers(2) and array.ndim else array


def native(array):
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    return array.astype(array.dtype.newbyteorder("="), order=order)


def generate(folder, seed, count):
    rng = np.random.default_rng(seed)
    with open(os.path.join(folder, "manifest.txt"), "w") as manifest:
        for i in range(1, count + 1):
            array = random_array(rng)
            version = (int(rng.integers(1, 4)), 0)
            with open(os.path.join(folder, f"{i}.npy"), "wb") as file:
                np.lib.format.write_array(file, array, version=version)
            np.save(os.path.join(folder, f"{i}.native.npy"), native(array))
            name = NAMES[array.dtype.str[1:]]
            print("array", i, name, *array.shape, file=manifest)
        for i, array in enumerate(REFUSED, 1):
            np.save(os.path.join(folder, f"refused-{i}.npy"), array, allow_pickle=True)
            descr = "structured" if array.dtype.names else array.dtype.str
            print("refused", i, descr, file=manifest)


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def compare(folder):
    failures = compared = 0
    for entry in sorted(os.listdir(folder)):
        stem, _, kind = entry[: -len(".npy")].partition(".")
        if kind not in ("out", "rows"):
            continue
        compared += 1
        expected = np.load(os.path.join(folder, f"{stem}.native.npy"))
        expected = expected if kind == "out" else expected[1:]
        path = os.path.join(folder, entry)
        if not same(np.load(path), expected):
            print(f"{entry}: another array than NumPy's, {expected.dtype} {expected.shape}")
            failures += 1
        bytes_of_numpy = io.BytesIO()
        np.save(bytes_of_numpy, expected)
        with open(path, "rb") as file:
            if file.read() != bytes_of_numpy.getvalue():
                print(f"{entry}: other bytes than NumPy's, {expected.dtype} {expected.shape}")
                failures += 1
    if compared == 0:
        print("nothing to compare")
    return failures + (compared == 0)


if __name__ == "__main__":
    if sys.argv[1] == "generate":
        generate(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        sys.exit(1 if compare(sys.argv[2]) else 0)
