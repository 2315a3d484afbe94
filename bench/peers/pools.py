"""Measures one Python process pool once, with the same work that `make bench` gives to lkrun.

usage: pools.py BACKEND CASE COUNT    2 workers, one BLAS thread each

Prints one line of key=value. Cases, with null(model, task) = task:
  first   seconds from making the pool to the first result of a null operation
  null    seconds for each of COUNT null operations, handed over one by one to a running pool
  matvec  1000 x 1000 float64 times COUNT vectors, results gathered: speed relative to the same loop
          in this process
  big     a model of 1 GiB: seconds to the first result, and the proportional set size of all
          processes minus the model, in MiB, after two workers have read all of it
  crash   task 500 of COUNT kills its worker: results delivered, seconds until the end of the map or
          the error, and what the caller sees
"""
import contextlib
import os
import signal
import sys
import time

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np

WORKERS = 2
PATIENCE = 20  # seconds that the case crash may take before it counts as hung


def null(model, task):
    return task


def multiply(model, vector):
    return model @ vector


def peek(model, i):
    return float(model[i])


def read_all(model, task):
    total = float(model.sum())
    time.sleep(0.3)  # long enough for both workers to take part
    return total


def die_at_500(model, task):
    if task == 500:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


# --- pools: each gives map(tasks), an iterator of func(model, task) in the order of the tasks ---

shared = {}  # the function and the model of a worker


def adopt(func, model):
    shared.update(func=func, model=model)


def apply(task):
    return shared["func"](shared["model"], task)


@contextlib.contextmanager
def futures(func, model):
    import concurrent.futures
    import multiprocessing

    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(WORKERS, context, adopt, (func, model)) as pool:
        yield lambda tasks: pool.map(apply, tasks)


@contextlib.contextmanager
def multiprocessing_pool(func, model):
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(WORKERS, adopt, (func, model)) as pool:
        yield lambda tasks: pool.imap(apply, tasks)


def adopt_by_module(func, model):
    """loky sends functions of __main__ by value, so the state is kept in `sys`, where the functions find it."""
    sys.lkrun_shared = (func, model)


def apply_by_module(task):
    func, model = sys.lkrun_shared
    return func(model, task)


@contextlib.contextmanager
def loky(func, model):
    import loky as library

    pool = library.ProcessPoolExecutor(WORKERS, initializer=adopt_by_module, initargs=(func, model))
    try:
        yield lambda tasks: pool.map(apply_by_module, tasks)
    finally:
        pool.shutdown(kill_workers=True)


@contextlib.contextmanager
def joblib(func, model):
    import joblib as library

    with library.Parallel(n_jobs=WORKERS, return_as="generator") as parallel:
        yield lambda tasks: parallel(library.delayed(func)(model, task) for task in tasks)


@contextlib.contextmanager
def ray(func, model):
    import ray as library

    library.init(num_cpus=WORKERS, include_dashboard=False, logging_level="ERROR", log_to_driver=False,
                 object_store_memory=3 << 30)
    reference = library.put(model)
    remote = library.remote(func)

    def run(tasks):
        for result in [remote.remote(reference, task) for task in tasks]:
            yield library.get(result)

    try:
        yield run
    finally:
        library.shutdown()


POOLS = {"futures": futures, "multiprocessing": multiprocessing_pool, "loky": loky, "joblib": joblib, "ray": ray}

# --- cases ---


def seconds_to_first(pool, func, model):
    start = time.perf_counter()
    with pool(func, model) as run:
        assert len(list(run([1]))) == 1
        return time.perf_counter() - start


def timed(iterator):
    start = time.perf_counter()
    count = sum(1 for _ in iterator)
    return time.perf_counter() - start, count


def first(pool, count):
    return {"first": seconds_to_first(pool, null, 0)}


def null_tasks(pool, count):
    with pool(null, 0) as run:
        timed(run(range(100)))
        seconds, done = timed(run(range(count)))
        assert done == count
        return {"null": seconds / count}


def matvec(pool, count):
    generator = np.random.default_rng(1)
    matrix = generator.normal(size=(1000, 1000))
    vectors = [generator.normal(size=1000) for _ in range(count)]
    with pool(multiply, matrix) as run:
        list(run(vectors[:10]))
        start = time.perf_counter()
        gathered = list(run(vectors))
        parallel = time.perf_counter() - start
        start = time.perf_counter()
        reference = [multiply(matrix, vector) for vector in vectors]
        sequential = time.perf_counter() - start
    assert all(np.allclose(a, b) for a, b in zip(gathered, reference))
    return {"speedup": sequential / parallel}


def pss():
    import psutil

    total = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / 2**20


def big(pool, count):
    model = np.ones(2**27)
    seconds = seconds_to_first(pool, peek, model)
    most = 0
    with pool(read_all, model) as run:
        for total in run(range(2 * WORKERS)):
            assert total == 2**27
            most = max(most, pss())
    return {"first": seconds, "over_mib": most - 1024}


class Hung(Exception):
    pass


def on_alarm(*_):
    raise Hung("no answer in %d s" % PATIENCE)


def crash(pool, count):
    signal.signal(signal.SIGALRM, on_alarm)
    delivered, saw = 0, "all"
    manager = pool(die_at_500, 0)
    run = manager.__enter__()  # __exit__ is never called, because some pools would wait for ever there
    timed(run(range(1, 5)))
    signal.alarm(PATIENCE)
    start = time.perf_counter()
    try:
        for _ in run(range(1, count + 1)):
            delivered += 1
    except BaseException as error:  # any error that a pool raises is what the caller sees
        saw = type(error).__name__
    return {"delivered": delivered, "seconds": time.perf_counter() - start, "saw": saw}


CASES = {"first": first, "null": null_tasks, "matvec": matvec, "big": big, "crash": crash}

if __name__ == "__main__":
    backend, case, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    figures = CASES[case](POOLS[backend], count)
    print(" ".join("%s=%s" % pair for pair in figures.items()), flush=True)
    if figures.get("saw") == "Hung":  # a normal exit would wait for the workers for ever
        import psutil

        for process in psutil.Process().children(recursive=True):
            process.kill()
        os._exit(0)
