"""The other side of compare.lua: trains LensKit's models on the split in a folder, and writes what they
predict and recommend, and what LensKit's metrics say of lkrun's lists, as .npy files beside it.

Users and items are indices from 1 there, and as ids here: LensKit knows those that the training part has.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from lenskit import metrics
from lenskit.als import BiasedMFScorer, ImplicitMFScorer
from lenskit.als._explicit import BiasedMFTrainer
from lenskit.als._implicit import ImplicitMFTrainer
from lenskit.basic import BiasScorer, PopScorer
from lenskit.data import ItemList, RecQuery, from_interactions_df
from lenskit.knn import ItemKNNScorer, UserKNNScorer
from lenskit.metrics.ranking import AveragePrecision
from lenskit.training import TrainingOptions

warnings.filterwarnings("ignore")
folder = Path(sys.argv[1])
settings = json.loads((folder / "settings.json").read_text())


def ratings(name):
    table = pd.read_csv(folder / f"{name}.csv")
    return table.rename(columns={"user": "user_id", "item": "item_id"})


train, test = ratings("train"), ratings("test")
dataset = from_interactions_df(train)
known_items = dataset.items.ids()
known = ItemList(known_items)


def same_start(scorer_class, trainer_class, initial):
    """The scorer, which begins with lkrun's factors of the items; users' are solved from them first."""

    class Trainer(trainer_class):
        def initial_params(self, nrows, ncols):
            if nrows == len(known_items):
                return np.ascontiguousarray(initial[known_items - 1], dtype=np.float32)
            return np.zeros((nrows, ncols), dtype=np.float32)

    class Scorer(scorer_class):
        def create_trainer(self, data, options):
            return Trainer(self, data, options)

    return Scorer


def make(name):
    options = dict(settings["models"][name])
    knn = {
        "max_nbrs": options.get("neighbours"),
        "min_nbrs": options.get("least_neighbours"),
        "min_sim": options.get("least_similarity"),
        "feedback": options.get("feedback"),
    }
    als = {
        "embedding_size": options.get("factors"),
        "epochs": options.get("epochs"),
        "regularization": options.get("regularization"),
    }
    kind = options["kind"]
    if kind == "popularity":
        return PopScorer(score="count")
    if kind == "bias":
        return BiasScorer(damping={"user": options["user_damping"], "item": options["item_damping"]})
    if kind == "knn.item":
        return ItemKNNScorer(**knn)
    if kind == "knn.user":
        return UserKNNScorer(**knn)
    initial = np.load(folder / f"{name}.initial.npy")
    if kind == "als.explicit":
        damping = {"user": options["user_damping"], "item": options["item_damping"]}
        return same_start(BiasedMFScorer, BiasedMFTrainer, initial)(damping=damping, **als)
    return same_start(ImplicitMFScorer, ImplicitMFTrainer, initial)(weight=options["weight"], **als)


def score_everything(name, scorer):
    """Scores of all items for all users, nan where there is none: [users, items]."""
    kind = settings["models"][name]["kind"]
    scores = np.full((settings["users"], settings["items"]), np.nan, dtype=np.float32)
    for user in dataset.users.ids():
        history = dataset.user_row(user) if kind == "knn.item" else None
        if kind == "popularity":
            scored = scorer(known)
        else:
            scored = scorer(RecQuery(user_id=user, user_items=history), known)
        scores[user - 1, known_items - 1] = scored.scores()
    return scores


def recommend(scores, n):
    """The best items that the user has not rated: scores [users, n], -inf past the end."""
    left = np.where(np.isnan(scores), -np.inf, scores)
    left[train["user_id"] - 1, train["item_id"] - 1] = -np.inf
    order = np.argsort(-left, axis=1, kind="stable")[:, :n]
    best = np.take_along_axis(left, order, axis=1)
    return np.where(np.isinf(best), 0, order + 1), best


def run(name):
    scorer = make(name)
    begin = time.perf_counter()
    scorer.train(dataset, TrainingOptions(rng=1))
    trained = time.perf_counter()
    scores = score_everything(name, scorer)
    done = time.perf_counter()
    np.save(folder / f"{name}.lenskit.scores.npy", scores)
    items, best = recommend(scores, settings["n"])
    np.save(folder / f"{name}.lenskit.items.npy", items.astype(np.int64))
    np.save(folder / f"{name}.lenskit.best.npy", best.astype(np.float32))
    return {"train": trained - begin, "score": done - trained}


def measure(name):
    """What LensKit's metrics say of lkrun's lists and predictions."""
    n = settings["n"]
    lists = np.load(folder / f"{name}.items.npy")
    predicted = np.load(folder / f"{name}.predicted.npy")
    measured = {
        "ndcg": metrics.NDCG(n),
        "graded_ndcg": metrics.NDCG(n, gain="rating"),
        "recall": metrics.Recall(),  # with n, LensKit divides by at most n
        "precision": metrics.Precision(n),
        "hit_rate": metrics.Hit(n),
        "reciprocal_rank": metrics.RecipRank(n),
        "average_precision": AveragePrecision(n),
        "rbp": metrics.RBP(n, patience=0.8),
    }
    sums, count = dict.fromkeys(measured, 0.0), 0
    for user, rows in test.groupby("user_id"):
        row = lists[user - 1]
        if (row == 0).any():
            continue  # lists that are short: the two divide precision differently
        truth = ItemList(rows["item_id"].to_numpy(), rating=rows["rating"].to_numpy())
        recommended = ItemList(row, ordered=True)
        count += 1
        for key, metric in measured.items():
            sums[key] += float(metric.measure_list(recommended, truth))
    result = {key: value / count for key, value in sums.items()}
    scored = ~np.isnan(predicted)
    guess = ItemList(np.arange(scored.sum()), scores=predicted[scored])
    truth = ItemList(np.arange(scored.sum()), rating=test["rating"].to_numpy()[scored])
    result["rmse"] = float(metrics.RMSE().measure_list(guess, truth))
    result["mae"] = float(metrics.MAE().measure_list(guess, truth))
    return result


result = {name: {"seconds": run(name), "metrics": measure(name)} for name in settings["models"]}
result["version"] = version("lenskit")
(folder / "lenskit.json").write_text(json.dumps(result))
