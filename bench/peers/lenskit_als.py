"""Does the work of bench/als.lua with LensKit: lenskit_als.py RATINGS.csv prints the seconds of training."""

import sys
import time
import warnings

import pandas as pd
from lenskit.als import ImplicitMFScorer
from lenskit.data import from_interactions_df
from lenskit.training import TrainingOptions

warnings.filterwarnings("ignore")
ratings = pd.read_csv(sys.argv[1]).rename(columns={"userId": "user_id", "movieId": "item_id"})
data = from_interactions_df(ratings[["user_id", "item_id", "rating"]])
scorer = ImplicitMFScorer(embedding_size=50, epochs=20)
start = time.perf_counter()
scorer.train(data, TrainingOptions(rng=1))
print(f"seconds={time.perf_counter() - start:.4f}")
