"""Strings, missing values and numbers as a few latent features in a scikit-learn pipeline with a grid search."""

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from synthvae.estimators import VAETransformer


def make_customers(rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    kind = rng.choice(["new", "regular", "former"], rows)
    visits = rng.poisson(np.where(kind == "regular", 9, 2)).astype(float)
    visits[rng.random(rows) < 0.1] = np.nan
    X = pd.DataFrame({"kind": kind, "visits": visits, "spent": rng.gamma(2, np.where(kind == "new", 10, 40))})
    return X, (rng.random(rows) < np.where(kind == "regular", 0.7, 0.2)).astype(int)


def main() -> None:
    X, y = make_customers(600)
    latent = VAETransformer(max_steps=200, random_state=0)
    features = ColumnTransformer([("latent", latent, ["kind", "visits"]), ("scale", StandardScaler(), ["spent"])])
    pipeline = Pipeline([("features", features), ("classifier", LogisticRegression())])
    search = GridSearchCV(pipeline, {"features__latent__latent_dim": [2, 4]}, cv=3, scoring="roc_auc").fit(X, y)
    print(search.best_params_, round(search.best_score_, 3))


if __name__ == "__main__":
    main()
