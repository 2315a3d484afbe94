"""Loads a model from a file: load.py PEER prints how long a fresh process takes from the call to the first element of a
model of 1 GiB, and how much more memory ten processes hold after each has read a model of 128 MiB, in models."""

import os
import subprocess
import sys
import tempfile
import time

GIB_ROWS, SMALL_ROWS, COLUMNS, PROCESSES = 1024, 128, 1 << 18, 10  # a row: 1 MiB


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) / 1024


def load(peer, path):
    """Returns the model, the seconds that loading took, and this process's memory before."""
    import numpy as np
    from safetensors.numpy import load_file
    before = pss("self")
    if peer == "safetensors":
        start = time.perf_counter()
        model = load_file(path)["model"]
    else:
        start = time.perf_counter()
        model = np.load(path, mmap_mode="r" if peer == "numpy mmap" else None)
    assert model[0, 0] == 1
    return model, time.perf_counter() - start, before


def save(peer, path, rows):
    import numpy as np
    model = np.ones((rows, COLUMNS), "f4")
    if peer == "safetensors":
        from safetensors.numpy import save_file
        save_file({"model": model}, path)
    else:
        with open(path, "wb") as file:
            np.save(file, model)


def run(peer, *arguments):
    return subprocess.run([sys.executable, __file__, peer, *arguments], check=True, capture_output=True).stdout


def main(peer):
    os.makedirs("build/bench", exist_ok=True)
    with tempfile.NamedTemporaryFile(dir="build/bench") as file:
        run(peer, "save", file.name, str(GIB_ROWS))
        print(f"seconds={float(run(peer, 'once', file.name))}")
        run(peer, "save", file.name, str(SMALL_ROWS))
        children = [subprocess.Popen([sys.executable, __file__, peer, "hold", file.name], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
        before = sum(float(child.stdout.readline()) for child in children)
        print(f"models={(sum(pss(child.pid) for child in children) - before) / SMALL_ROWS}")
        for child in children:
            child.communicate("\n")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(sys.argv[1])
    elif sys.argv[2] == "save":
        save(sys.argv[1], sys.argv[3], int(sys.argv[4]))
    else:
        loaded, seconds, before = load(sys.argv[1], sys.argv[3])
        if sys.argv[2] == "once":
            print(seconds)
        else:
            assert loaded.sum(dtype="f8") == SMALL_ROWS * COLUMNS
            print(before, flush=True)
            sys.stdin.read()
