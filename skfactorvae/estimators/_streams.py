"""Fits to streams: ``partial_fit``, block by block."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from .. import core
from .._compat import _fit_context
from .._inputs import check_sample_weight
from .._validation import MAX_SEED, check_numbers
from .._workers import count_cores
from ..preparation import STREAM_RATE, FitOptions, Prepared, Stream, drift
from ..sources import as_source
from ._callbacks import restore_on_error
from ._fit_arguments import FitArguments

SCORED_ROWS = 500
"""Samples of the newest block that are scored for drift, at most."""


class StreamFitting:
    """Training that goes on with each block of a stream.

    It is mixed into the estimators, whose stages of ``fit`` it uses.
    """

    _stream: dict[str, Any]
    _prepared: Any
    _as_previous: Any
    _set_attributes: Any
    _bound: Any
    _column_findings: Any
    _spec: Any
    get_params: Any
    precision: str
    device: Any
    random_state: Any
    n_jobs: Any
    batch_size: int

    @restore_on_error
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X,
        y=None,
        sample_weight=None,
        *,
        total_samples=None,
        validation_fraction=0.1,
    ):
        """Train on one block of a stream, with one pass over its samples.

        The first call determines features, standardisation and initialisation from its
        samples, which should therefore be some hundred and in random order. None of
        them changes later, since a trained encoder expects them, and neither do the
        order and the signs of the components. Weights, the state of the optimiser and
        the discriminator are kept between calls, and by pickles; after ``load``, the
        optimiser begins anew. After ``fit``, the first call goes on from the fitted
        model. ``fit`` itself begins anew.

        A call that fails leaves the estimator unchanged.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The next block, at least two samples; NaN where a value is missing, if some
            of the first block were missing, too.
        y : array-like of shape (n_samples, n_attributes), default=None
            Labels, as in ``fit``. The first block has all levels of an attribute; later
            ones may lack some.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples relative to others of the block.
        total_samples : int, default=None
            Number of samples of the whole stream, if it is known at the first call. The
            learning rate then decays, and warm-up and likelihood annealing take place,
            as over the steps of a fit. None keeps the learning rate, by default 1e-3,
            and the objective as they are.
        validation_fraction : float, default=0.1
            Share of the samples of each block that is held out for ``drift_``, in [0,
            1); set by the first call.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the block or a parameter cannot be used, ``early_stopping`` is set, or
            the training diverged; the message states what was expected.

        See Also
        --------
        fit : Fit to samples that are all there, several passes over them.
        """
        check_numbers(self.get_params(deep=False), self.precision)
        kept = vars(self).get("_stream")
        stream = None if kept is None else Stream(**kept)
        self._check_stream(stream, total_samples, validation_fraction)
        device = core.resolve_devices(self.device)[0]
        core.check_products(self.precision, device)
        has_end = stream.horizon is not None if stream else total_samples is not None
        given = FitArguments(X, y, sample_weight)
        seed = stream.seed if stream else self._drawn_seed()
        prepared, columns = self._prepared(
            given,
            FitOptions.of(self).of_stream(STREAM_RATE, has_end=has_end),
            self._as_previous() if "weights_" in vars(self) else None,
            lambda: seed,
        )
        if stream is None:
            settings = seed, total_samples, validation_fraction
            stream = Stream.begin(prepared, *settings, vars(self).get("weights_"))
        weight = check_sample_weight(sample_weight, _n_rows(X))
        n_samples = int(np.count_nonzero(weight))
        drifted = self._drift(stream, prepared.job.rows)
        is_first = "weights_" not in vars(self)
        self._train_block(stream, prepared, n_samples, device)
        if is_first:
            self._column_state = self._column_findings(columns)
        self.drift_ = drifted
        return self

    def _drawn_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(MAX_SEED))

    def _train_block(self, stream, prepared: Prepared, n_samples: int, device) -> None:
        """Train on a block, and set the fitted attributes."""
        is_new = stream.orientation is None
        criteria = vars(self).get("init_criteria_") or prepared.known["init_criteria_"]
        known = {"init_criteria_": criteria, "temperature_": stream.temperature}
        stream, job = stream.with_block(prepared, n_samples)
        n_trained = n_samples * len(job.rows) / len(prepared.job.rows)
        schedule = stream.schedule(prepared.schedule, int(np.ceil(n_trained)))
        described = stream.described(job)
        fit, state, orientation = core.continue_fit(
            job,
            schedule,
            stream.state,
            described,
            stream.orientation,
            device=device,
            n_threads=None if self.n_jobs is None else count_cores(self.n_jobs),
        )
        if fit.status == "diverged":
            raise ValueError(
                f"Training diverged on the block after {stream.n_samples - n_samples} "
                "samples of the stream: a value was not finite, or the reconstruction "
                "error exploded. The estimator is as it was before. Look for outliers "
                "in the block, or lower learning_rate "
                f"(now {schedule.learning_rate:g})."
            )
        prepared = replace(prepared, job=described, known=prepared.known | known)
        if stream.rotation is not None:
            weights, kl, variance = core.keep_rotation(
                described, fit.weights, stream.rotation, device
            )
            prepared = replace(prepared, spec=prepared.spec.rotated())
            fit = replace(fit, weights=weights, kl=kl, variance=variance)
        elif is_new:
            prepared, fit = prepared.rotated(fit, device)
        vars(self).pop("separation_", None)  # of the model before this block
        self._set_attributes(prepared, fit)
        stream = replace(
            stream,
            step=schedule.max_iter,
            arrays=state.arrays,
            values=state.values,
            orientation=orientation,
            rotation=core.rotation_of(fit.weights),
        )
        self._stream = dict(vars(stream))
        self.n_samples_seen_ = stream.n_samples

    def _drift(self, stream: Stream, rows: np.ndarray) -> dict[str, float]:
        """Compare the scores of a block with those of earlier held-out samples."""
        is_scored = "weights_" in vars(self) and not self._spec.is_generator
        if not is_scored or not len(stream.held_out):
            return {}
        return drift(self._bound(rows[:SCORED_ROWS]), self._bound(stream.held_out))

    def _check_stream(self, stream, total_samples, validation_fraction) -> None:
        """Raise if the arguments of ``partial_fit`` cannot be used."""
        if getattr(self, "early_stopping", False):
            raise ValueError(
                "partial_fit does not support early_stopping=True, since a stream has "
                "no fixed held-out samples. Set early_stopping=False, and stop when "
                "drift_['earlier_score'] no longer rises."
            )
        if core.is_torchrun(self.device):
            raise ValueError(
                f"partial_fit does not support device={core.TORCHRUN!r}: it trains in "
                "one process. Set another device."
            )
        is_number = isinstance(total_samples, Integral) and int(total_samples) >= 2
        if total_samples is not None and not is_number:
            raise ValueError(
                "total_samples must be None or an int of at least 2, the number of "
                f"samples of the whole stream; got {total_samples!r}."
            )
        is_share = isinstance(validation_fraction, Real) and not isinstance(
            validation_fraction, bool
        )
        if not is_share or not 0 <= validation_fraction < 1:
            raise ValueError(
                "validation_fraction must be a number in [0, 1); got "
                f"{validation_fraction!r}."
            )
        if stream is None or total_samples is None:
            return
        batch_size = self.batch_size
        if stream.horizon != -(-total_samples // batch_size):
            raise ValueError(
                f"total_samples={total_samples} differs from that of the first call "
                "of partial_fit. Give the same number, or leave it out."
            )

    def _forget_stream(self) -> None:
        """Remove the state of an earlier stream, before a fit."""
        for name in ("_stream", "n_samples_seen_", "drift_"):
            vars(self).pop(name, None)


def _n_rows(X) -> int:
    if (source := as_source(X)) is not None:
        return len(source)
    return int(np.shape(X)[0]) if hasattr(X, "shape") else len(X)
