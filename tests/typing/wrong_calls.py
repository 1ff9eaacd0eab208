"""Mistakes that a type checker finds: each line with an ``error`` comment has one.

It is never run: ``tests/test_typing.py`` compares what mypy reports with the comments.
"""

from skfactorvae import (
    BetaVAETransformer,
    FactorVAETransformer,
    InfoGANTransformer,
    SupervisedFactorVAETransformer,
)
from skfactorvae.metrics import mutual_info_gap_score
from skfactorvae.model_selection import select_gamma

FactorVAETransformer(gama=10.0)  # error: unknown keyword
FactorVAETransformer(gamma="10")  # error: a string for a number
FactorVAETransformer("three")  # error: a string for n_components
FactorVAETransformer(5, 10.0)  # error: gamma by position
FactorVAETransformer(max_iter=1.5)  # error: a fraction of a step
BetaVAETransformer(gamma=10.0)  # error: the parameter of another estimator
InfoGANTransformer(beta=1.0)  # error: the parameter of another estimator
SupervisedFactorVAETransformer(groups=[2])  # error: the parameter of another estimator
FactorVAETransformer(5).sample(3, True)  # error: noise by position
mutual_info_gap_score([0, 1], [0, 1], bins=3)  # error: unknown keyword
select_gamma(FactorVAETransformer())  # error: no X
