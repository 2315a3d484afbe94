"""Does the work of bench/rows.lua with other programs: tables.py PEER ROWS prints the microseconds to write and to read,
with types, a row of a user, an item and a score. PEER is pandas (a whole table) or csv (Python's module, row by row)."""

import csv
import sys
import tempfile
import time


def with_pandas(path, count):
    import numpy as np
    import pandas as pd

    i = np.arange(1, count + 1)
    table = pd.DataFrame({"user": i, "item": i * 7 % 1000003, "score": i % 100 / 8})
    start = time.perf_counter()
    table.to_csv(path, index=False)
    yield time.perf_counter() - start
    start = time.perf_counter()
    read = pd.read_csv(path, dtype={"user": "i8", "item": "i8", "score": "f8"})
    yield time.perf_counter() - start
    assert read.equals(table)


def with_csv(path, count):
    start = time.perf_counter()
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "score"])
        for i in range(1, count + 1):
            writer.writerow([i, i * 7 % 1000003, i % 100 / 8])
    yield time.perf_counter() - start
    start = time.perf_counter()
    read = 0
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            row = {"user": int(row["user"]), "item": int(row["item"]), "score": float(row["score"])}
            read += 1
    yield time.perf_counter() - start
    assert read == count


if __name__ == "__main__":
    peer, rows = sys.argv[1], int(sys.argv[2])
    with tempfile.NamedTemporaryFile(suffix=".csv") as out:
        write, read = {"pandas": with_pandas, "csv": with_csv}[peer](out.name, rows)
    print(f"write_us={write / rows * 1e6:.4f} read_us={read / rows * 1e6:.4f}")
