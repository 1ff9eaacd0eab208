"""A fitted transformer with its codes, beside linear models of the same samples."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch, check_array, check_random_state

from .._jacobian import ima_contrast, jacobians
from .._linear_models import fit_factor_analysis, ica_rotation
from .._pipelines import (
    SCALERS,
    category_columns,
    component_names,
    kl_of_columns,
    names_before,
    number_names,
    numbers_of,
)
from .._simple_structure import orthomax, simplicity
from .._undefined import collected_undefined
from ..metrics import match_codes, total_correlation_audit
from ._findings import correlations
from ._members import (
    active_mask,
    codes_with,
    find_latent_model,
    merge_categories,
)
from ._scorers import explained_rows

ICA_TOLERANCE, ICA_STEPS = 1e-4, 500
"""Change of direction of the last step of FastICA, and its steps, at most."""

MAX_FACTOR_FEATURES = 300
"""Features up to which factor analysis is compared with."""

N_JACOBIANS = 100
"""Samples at whose codes the decoder's derivatives are taken, at most."""

LEAST_STD = 1e-9
"""Standard deviation, relative to the largest, of a principal component that varies."""


class Origin(NamedTuple):
    """The user's samples, and the steps that they passed before an ensemble."""

    table: Any
    before: tuple


class Subject:
    """A fitted transformer, its codes of the samples, and linear models of them."""

    def __init__(self, member, X, random_state, known, origin):
        found = find_latent_model(member)
        inputs = found.transform_before(X)
        self.model, self.known, self.inputs = found.model, known, inputs
        self.rows = numbers_of(self.model, inputs)
        before = (*origin.before, *found.before)
        own_names = names_before(before, origin.table)
        self.names = own_names or _names_of(self.model, self.rows.shape[1])
        self.scalers = _scalers(self.model, before)
        self.unscaled = _floats(origin.table) if self.scalers else self.rows
        self.values = self._shrunk()
        self.completed = self._completed_rows()
        self.codes = codes_with(self.model, inputs, known)
        self.component_names = component_names(self.model, self.codes.shape[1])
        self.active = active_mask(self.model, self.codes)
        self.kl = kl_of_columns(self.model)
        self.params = self.model.get_params()
        n_rows = len(self.rows)
        n_free = self.active.sum() - sum(
            self.active[group].all() for group in category_columns(self.model)
        )  # probabilities add up to one
        self.n_baseline = int(min(n_free, n_rows, self.rows.shape[1]))
        self.random_state = random_state
        self.audit = self._audited(self.codes)
        self.sampled_audit = self._audited(self._sampled())
        self.baselines = self._baselines()
        self.pca, self.ica = (self._matched(self.baselines[k]) for k in ("pca", "ica"))
        factors = self.baselines.get("varimax")
        self.varimax = None if factors is None else self._matched(factors)
        known = {"codes": self.codes[:, self.active], **self.baselines}
        self.simplicity = {
            name: simplicity(np.square(correlations(codes, self.completed)).T)
            for name, codes in known.items()
        }
        self.ima_contrast = self._ima_contrast()
        self.explained = {
            "codes": explained_rows(
                self.values, np.where(self.active, self.codes, 0.0)
            ),
            "pca": explained_rows(self.values, self.baselines["pca"]),
        }

    def _ima_contrast(self):
        """Return how far directions of the active components are from orthogonal.

        NaN for models without a decoder, or of columns that are not all numbers.
        """
        grouped = [j for group in category_columns(self.model) for j in group]
        chosen = np.setdiff1d(np.flatnonzero(self.active), grouped)
        has_numbers = number_names(self.model) is None
        decode = getattr(self.model, "inverse_transform", None)
        if decode is None or not has_numbers or len(chosen) < 2:
            return np.nan
        spread = self.codes.std(axis=0)
        derivatives = list(jacobians(decode, self.codes[:N_JACOBIANS], spread))
        scale = getattr(self.model, "scale_", 1.0)
        return ima_contrast(np.stack([derivatives[j] for j in chosen]) / scale)

    def likelihood_of(self, name):
        """Return the likelihood of a column; None for an indicator of a level."""
        chosen = getattr(self.model, "column_likelihoods_", {})
        return chosen.get(name) if chosen else "gaussian"

    def _shrunk(self):
        """Return the samples, those with known errors shrunk to the mean by these."""
        if not self.known:
            return self.rows
        mean, scale = self.model.mean_, self.model.scale_
        errors = np.asarray(self.known["error_scale"], dtype=np.float64)
        return mean + (self.rows - mean) / (1 + np.square(errors / scale))

    def _sampled(self):
        """Return a draw from each sample's posterior; None without posteriors."""
        if not hasattr(self.model, "posterior"):
            return None
        mean, std = self.model.posterior(self.inputs, **self.known)
        noise = np.random.RandomState(0).normal(size=mean.shape)
        if getattr(self.model, "rotation_", None) is None:
            return mean + std * noise
        _, covariance = self.model.posterior(self.inputs, **self.known, return_cov=True)
        roots = np.linalg.cholesky(covariance.astype(np.float64))
        return mean + (roots @ noise[:, :, None])[:, :, 0]

    def _audited(self, codes):
        if codes is None:
            return None
        masked = merge_categories(self.model, np.where(self.active, codes, 0.0))
        with collected_undefined():
            return total_correlation_audit(masked, random_state=self.random_state)

    def _baselines(self):
        """Return the codes of linear models, on samples scaled as for the model."""
        if not self.n_baseline:
            return dict.fromkeys(("pca", "ica"), np.zeros((len(self.rows), 1)))
        rows = self.completed
        if number_names(self.model) is not None:
            rows = StandardScaler().fit_transform(rows)
        elif hasattr(self.model, "scale_") and hasattr(self.model, "mean_"):
            rows = (rows - np.nan_to_num(self.model.mean_)) / self.model.scale_
        pca = PCA(self.n_baseline, random_state=self.random_state)
        codes = pca.fit_transform(rows)
        std = codes.std(axis=0)
        white = codes / np.where(std > LEAST_STD * std.max(), std, 1.0)
        rng = check_random_state(self.random_state)
        rotation = ica_rotation(white, rng, tol=ICA_TOLERANCE, max_iter=ICA_STEPS)
        found = {"pca": codes, "ica": white @ rotation.T}
        if self.n_baseline < rows.shape[1] <= MAX_FACTOR_FEATURES:
            found["varimax"] = _rotated_factors(rows, self.n_baseline)
        return found

    def _completed_rows(self):
        """Return the samples; the model replaces what is missing, or else the mean."""
        rows = self.values
        if not np.isnan(rows).any():
            return rows
        if hasattr(self.model, "impute"):
            full = numbers_of(self.model, self.model.impute(self.inputs, **self.known))
            rows = np.where(np.isnan(rows), full, rows)
        return SimpleImputer(keep_empty_features=True).fit_transform(rows)

    def _matched(self, baseline):
        match = match_codes(baseline, np.where(self.active, self.codes, 0.0))
        component = np.where(self.active, match.order, -1)
        return Bunch(component=component, correlation=match.correlation)


def _scalers(model, before):
    """Return the names of the steps before a model of numbers, if all are scalers."""
    is_scaled = all(isinstance(step, SCALERS) for _, step in before)
    is_scaled &= number_names(model) is None
    return [name for name, _ in before] if is_scaled else []


def _floats(table):
    """Return the user's samples as numbers, (n, p) float64."""
    dense = table.toarray() if hasattr(table, "toarray") else table
    return check_array(dense, dtype=np.float64, ensure_all_finite="allow-nan")


def _names_of(model, n_columns):
    """Return the names of the numbers that a model reads, (p,)."""
    names = number_names(model)
    if names is None:
        names = getattr(model, "feature_names_in_", None)
    return [f"x{j}" for j in range(n_columns)] if names is None else list(names)


def _rotated_factors(rows, n_factors):
    """Return expected factors of factor analysis, rotated by varimax, (n, d)."""
    model = fit_factor_analysis(rows, n_factors)
    signal, std = np.sqrt(model.variances - 1), np.sqrt(model.noise)
    loadings = std[:, None] * model.directions * signal
    units = (rows - model.mean) / std
    scores = units @ (model.directions * (signal / model.variances))
    return scores @ orthomax(loadings)
