"""Does the work of bench/recommend.lua and bench/als.lua with implicit (from PyPI), with 2 threads.

usage: recommenders.py recommend | als RATINGS.csv
"""
import csv
import os
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # implicit has threads of its own, and recommends this

import numpy as np
import scipy.sparse
from implicit.cpu.als import AlternatingLeastSquares

USERS, ITEMS, FACTORS, SEEN = 20_000, 30_000, 64, 100


def recommend():
    random = np.random.default_rng(1)
    model = AlternatingLeastSquares(factors=FACTORS, num_threads=2)
    model.user_factors = random.normal(size=(USERS, FACTORS)).astype("float32")
    model.item_factors = random.normal(size=(ITEMS, FACTORS)).astype("float32")
    users = np.repeat(np.arange(USERS), SEEN)
    items = random.integers(0, ITEMS, USERS * SEEN)
    seen = scipy.sparse.csr_matrix((np.ones(len(users), "float32"), (users, items)), (USERS, ITEMS))
    for name, excluding in (("users_s", False), ("exclude_users_s", True)):
        start = time.perf_counter()
        model.recommend(np.arange(USERS), seen, N=10, filter_already_liked_items=excluding)
        print(f"{name}={USERS / (time.perf_counter() - start):.0f}", flush=True)


def als(path):
    with open(path) as file:
        rows = list(csv.DictReader(file))
    users = np.unique([int(row["userId"]) for row in rows], return_inverse=True)[1]
    items = np.unique([int(row["movieId"]) for row in rows], return_inverse=True)[1]
    matrix = scipy.sparse.csr_matrix((np.ones(len(rows), "float32"), (users, items)))
    # The same models as in bench/als.lua: exactly, and by conjugate gradients.
    for name, conjugate in (("seconds", False), ("cg_seconds", True)):
        model = AlternatingLeastSquares(factors=50, iterations=20, regularization=5, alpha=5, num_threads=2,
                                        use_cg=conjugate)
        start = time.perf_counter()
        model.fit(matrix, show_progress=False)
        print(f"{name}={time.perf_counter() - start:.4f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "recommend":
        recommend()
    else:
        als(sys.argv[2])
