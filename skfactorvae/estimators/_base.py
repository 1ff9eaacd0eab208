"""Parameters of the estimators, and the stages of ``fit``."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any, Literal

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from .. import core
from .._batching import check_ranks_can_join, memoized, shared_array, train
from .._checkpoints import check_seed
from .._compat import CallbackSupportMixin, _fit_context
from .._health import fit_warnings
from .._validation import (
    MAX_SEED,
    POSITIVE,
    at_least,
    check_numbers,
    one_of,
)
from ..columns import column_dtypes
from ..preparation import (
    FitOptions,
    ModelSpec,
    Prepared,
    PreviousFit,
    prepare,
)
from ._active_components import active_components
from ._callbacks import FitCallbacks, restore_on_error
from ._column_report import JudgedColumns
from ._explained_variance import explained_variance_ratio
from ._fit_arguments import FitArguments
from ._parameters import declared, parameter, shared_parameter
from ._progress import FitProgress
from ._rotation import RotationMixin
from ._shared_parameters import KEEP
from ._streams import StreamFitting
from ._training_data import TrainingDataMixin
from ._transform import LatentTransformer

WHITENED = (
    "The features of X are uncorrelated and have equal variances, as after whitening. "
    "No linear component explains more of them than any other, so that few components "
    "or none will be found. Fit the original features, or principal components with "
    "PCA(whiten=False)."
)
"""Warning about whitened features."""

SCORED_ROWS = 500
"""Training samples that ``fit_score_`` is computed from, at most."""


@declared
class BaseLatentTransformer(
    StreamFitting,
    TrainingDataMixin,
    CallbackSupportMixin,
    RotationMixin,
    LatentTransformer,
    ABC,
):
    """Base class of transformers with an encoder and a decoder.

    A subclass declares its parameters and implements ``_objective``. Fitted state is
    numpy arrays and plain values; networks are rebuilt from it when they are needed, so
    that pickles contain no torch object.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        Trained weights of encoder and decoder, and of all other trained networks.
    history_ : dict of str to ndarray of shape (n_records,)
        ``step``, and the mean of each named term since the record before. At most 200
        records.
    kl_per_component_ : ndarray of shape (n_components,)
        Mean KL divergence of each component's posterior from a standard normal prior,
        nats; descending, among components of one group. It bounds the information that
        the component holds about the samples.
    n_components_ : int
        Number of components, d: ``n_components``, or what ``"auto"`` stands for.
    active_components_ : ndarray of int
        Components with a KL divergence above 0.05 nats whose codes have a variance
        above 0.01. Where the noise scale is learned, the divergence must also exceed
        that of a linear component on pure noise in n samples of p features,
        log(1 + sqrt(p / n)) nats.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Share of the variance of (500) standardised training samples that the
        reconstruction gains with each component, later ones at their means, as in PCA;
        can be negative for a nonlinear decoder. Not set by a model without a score.
    fit_score_ : float
        Mean score of the training samples, or of 500 of them, nats; to be compared with
        ``score`` on held-out samples. Not set by a model without a score.
    components_ : ndarray of shape (n_codes, n_features)
        Loadings: mean derivative of decoded samples by each component, over codes of
        the prior, in the units of X. Computed when it is read. Of columns of several
        types, features are those named by ``number_names_``.
    mean_, scale_ : ndarray of shape (n_features,)
        Offset and scale of the standardisation; of columns of several types, those of
        their features, ordered by likelihood.
    init_ : {"ica", "pca", "varimax", "random"}
        Initialisation that was used. After ``"varimax"``, components are rotated.
    init_criteria_ : dict of str to float
        Numbers by which ``init="auto"`` chose. Between FastICA and factor analysis:
        ``ica_non_normality``, the median distance of FastICA's components from normal
        variables, by the mean of log cosh (below .015 they are nearly normal);
        ``negentropy_ratio``, the negentropy of varimax-rotated factors relative to that
        of FastICA's components. If these are not nearly normal and the ratio is at
        least .8: ``level_effect``, what columns of few levels add to a non-normality
        below .02 (components are nearly normal if the difference is below .012), and if
        they are not, ``simplicity_z``, the simplicity of the loadings relative to
        random ones, in standard deviations (simple from 2). Between that start and
        PCA's, where the area under the ROC curve of the test of independence,
        ``independence_area``, is at least .75: ``ica_directions``, the number of
        directions that FastICA was fitted to; ``gain_over_pca``, the held-out bound of
        the start less that of PCA's, nats per feature. PCA's start is used unless this
        exceeds a threshold: .2 at an area of .9 and more, and for fits of all steps; 0
        for other fits of few steps; .05 after longer fits. The last two are -.02 where
        20 levels make up four fifths of the values of most columns. Empty without a
        comparison.
    rotation_ : ndarray of shape (n_components, n_components) or None
        Orthogonal matrix R by which components were rotated after the fit, after
        ``init="varimax"`` or by ``rotate``: codes are ``latents @ R``. None without a
        rotation.
    separation_ : ndarray of shape (n_components,)
        Of a model that ``rotate`` returned: how far conditions separate each component
        from the nearest other one, the standard deviation over conditions of the
        logarithm of the ratio of their spreads, >= 0. NaN for components that were not
        rotated, since they are inactive.
    weight_decay_ : float
        Weight decay that was used.
    held_out_ : dict of str to float
        Scores of a fit with that weight decay to four fifths of the samples, the last
        that was compared: its ``score`` on the ``n_samples`` held-out ones, its
        ``training_score``, both in nats per sample, its held-out ``r2``, and, on the
        same samples, the ``factor_analysis_score`` of scikit-learn's FactorAnalysis
        (NaN for more than 300 features) and the ``first_component_r2`` of one principal
        component; and ``max_iter``, the steps that the fit to all samples may make.
        Scores are means without the 2.5 % of the samples at either end. Empty if
        weight decay was not chosen on held-out samples.
    temperature_ : float
        Temperature of the likelihood at the first step; 1 without annealing.
    solver_ : {"adam", "soap"}
        The solver used.
    max_iter_ : int
        ``max_iter``, or the number that ``"auto"`` stands for.
    warmup_fraction_ : float
        Share of ``max_iter`` over which the objective grew to its full form, in [0, 1]:
        ``warmup``, or 0.8 with likelihood annealing (``temperature_`` above 1) where
        that is more.
    n_iter_ : int
        Number of gradient steps made.
    n_samples_seen_ : int
        Number of samples of the stream, held-out ones included. Set by ``partial_fit``.
    drift_ : dict of str to float
        Set by ``partial_fit``, from the second block: the mean ``score`` of up to 500
        samples of the newest block before it was trained on; ``earlier_score``, that of
        up to 500 held-out samples of earlier blocks; their ``difference``, nats, and
        its ``standard_error``. A difference of several standard errors below zero is a
        drift. Empty before, and for a model without a score.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had names that are all strings.
    component_names_ : ndarray of str
        Names of the components, see ``set_component_names``.
    column_report_ : ColumnReport
        What the fit did with each column of the table: its type and likelihood, one
        that its values suggest, missing values, noise, and how well others
        predict it.
    """

    n_components: int | Literal["auto"] = parameter(
        default=10,
        kind='int or "auto"',
        rules=[at_least(1), one_of("auto")],
        description="""Number of latents, d: the maximum number of components.
        Components that do not lower the loss stay at the prior, except in
        ``AAETransformer``, which uses all of them; see ``active_components_``.
        ``"auto"`` counts the principal components with more variance than chance gives
        them, by parallel analysis (Horn 1965), from 1 to 30; ``n_components_`` holds
        the number.""",
        kw_only=False,
    )
    keep: str = shared_parameter(KEEP, default="all")
    standardize: str | None = parameter(
        default="auto",
        kind='{"auto", "feature", "global"} or None',
        rules=[one_of("auto", "feature", "global"), None],
        description="""Scaling of the features: each to mean 0 and variance 1
        (``"feature"``); each centred and all divided by one number (``"global"``),
        which preserves the shape of spectra, series and images; or none. ``"auto"``
        means ``"feature"``, but ``"global"`` for features that are uncorrelated in the
        sample, as after PCA. All output is in the original units. Ignored by the
        Bernoulli likelihood.""",
    )
    network: Any = parameter(
        default="mlp",
        kind='{"mlp", "conv"} or callable',
        rules=[one_of("mlp", "conv"), callable],
        description="""Dense networks; the convolutional networks of Kim & Mnih (2018),
        for flattened images; or a function (n_features, n_components) -> (encoder,
        decoder) that returns ``torch.nn`` modules: the encoder maps (B, n_features) to
        (B, 2 * n_components), means first and then log-variances, and the decoder maps
        (B, n_components) to (B, n_features), to logits for a Bernoulli likelihood.
        Modules are used in evaluation mode and may not mix samples. An estimator can be
        pickled only if the function can be imported; a lambda cannot.""",
    )
    hidden_layer_sizes: Any = parameter(
        default=(128, 128),
        kind="int or array-like of int",
        rules=[at_least(1), "array-like"],
        description="""Hidden layers of the encoder; the decoder has them in reverse
        order. For ``network="mlp"``. Wider layers reconstruct better, and do not
        improve the recovery of factors.""",
    )
    activation: str = parameter(
        default="silu",
        kind='{"relu", "leaky_relu", "elu", "silu", "gelu", "tanh"}',
        rules=[one_of(*core.ACTIVATIONS)],
        description="""Activation of the encoder and the decoder. Smooth activations
        reconstruct a little better.""",
    )
    image_shape: Any = parameter(
        default=None,
        kind="tuple (channels, height, width)",
        rules=["array-like", None],
        description="""Shape of the images whose pixels, channel by channel and row by
        row, are the features. For ``network="conv"``.""",
    )
    max_iter: int | Literal["auto"] = parameter(
        default="auto",
        kind='"auto" or int',
        rules=[one_of("auto"), at_least(1)],
        description="""Number of gradient steps, at most: held-out samples can limit
        them, see ``weight_decay``. ``"auto"``: 5000, or 1500 with ``solver="soap"``.
        Twice as many improve recovery a little, in twice the time. ``max_iter_`` holds
        the number.""",
    )
    batch_size: int = parameter(
        default=128,
        kind="int",
        rules=[at_least(2)],
        description="""Samples of a batch, drawn with replacement. With 64, FactorVAE
        recovers factors less well, in nearly the same time.""",
    )
    solver: str = parameter(
        default="adam",
        kind='{"adam", "soap"}',
        rules=[one_of("adam", "soap")],
        description="""Optimiser of the weight matrices of encoder and decoder; Adam
        updates all other weights. SOAP (Vyas et al. 2024) is Adam in the eigenbasis of
        a second-order preconditioner: its steps take longer, and it needs a third of
        them. A fit takes about seven tenths of the time and recovers factors a little
        less well. Weight decays are compared with Adam in any case, and Adam also makes
        the fit if held-out samples choose a weight decay or few steps.""",
    )
    learning_rate: Any = parameter(
        default="auto",
        kind='"auto" or float',
        rules=[one_of("auto"), POSITIVE],
        description="""Learning rate of encoder and decoder at the first step, which
        decays as a cosine with ``solver="adam"``, and as its power 1.5 with SOAP.
        ``"auto"``: 3e-3 with Adam, and 8e-3 with SOAP. A third of it reconstructs
        worse after the same number of steps. With ``network="mlp"`` and a
        Gaussian likelihood, weights that multiply more than 600 features have a
        learning rate of 600 / ``n_features_in_`` times this one, since the updates of
        correlated features add up.""",
    )
    warm_start: bool = parameter(
        default=False,
        kind="bool",
        rules=["boolean"],
        description="""Whether ``fit`` continues from the fitted weights and scales, for
        X of the same features. The state of the optimiser is not kept.""",
    )
    device: Any = parameter(
        default="auto",
        kind="str or list of str",
        rules=[str, list, tuple],
        description="""Torch device for training: ``"auto"`` uses CUDA, else MPS, else
        the CPU. A fitted model uses the CPU where its device is missing. Of a list,
        such as ``["cuda:0", "cuda:1"]``, a fit uses the first; fits that are trained
        together, as by ``BatchedGridSearchCV``, are divided between all.
        ``"torchrun"``, in a program that ``torchrun`` starts, divides the batches of a
        fit between its processes, each on a CUDA device of its own, or on the CPU. They
        must fit equal data with equal parameters, and get equal fitted models.""",
    )
    precision: str = parameter(
        default="float32",
        kind='{"float32", "float64", "bfloat16"}',
        rules=[one_of("float32", "float64", "bfloat16")],
        description="""Precision of training and inference. Codes are float32 in each
        case. With ``"bfloat16"``, training multiplies the matrices of dense layers with
        at least 512 inputs and 512 outputs in bfloat16, which is faster on processors
        that have instructions for it; all else is float32. It raises an error where
        there are no such instructions or no such layers.""",
    )
    n_jobs: int | None = parameter(
        default=None,
        kind="int",
        rules=[Integral, None],
        description="""CPU threads of a fit, at most one for each core; -1 uses all
        cores. None uses one for small models, for which more are slower, and torch's
        number for large ones. In one of several processes of joblib, it is at most the
        process's share of the cores.""",
    )
    verbose: Any = parameter(
        default="auto",
        kind='"auto" or int',
        rules=[one_of("auto"), "verbose"],
        description="""What a fit prints. With ``"auto"``, fits of more than about three
        seconds have a progress bar, by tqdm if it is installed, in notebooks and where
        standard error is a terminal; batched fits have one together. There is none in
        other processes and threads, and for estimators with callbacks. Zero prints
        nothing; one prints about ten lines during a fit; two prints every record.""",
    )
    random_state: Any = parameter(
        default=None,
        kind="int, RandomState instance or None",
        rules=["random_state"],
        description="""Seed of everything random. With an int, fits on one machine with
        one number of threads are equal bit for bit.""",
    )

    @abstractmethod
    def _objective(self) -> core.Objective:
        """Return the objective that a fit minimises.

        Where ``_attributes`` returns any, it is called with their training targets.
        """

    # ------------------------------------------------------------------- fitting
    @restore_on_error
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None, sample_groups=None, error_scale=None):
        """Fit the encoder and the decoder to X.

        A fit that fails or is interrupted leaves the estimator unchanged.

        Parameters
        ----------
        X : array-like, sparse matrix or row source, (n_samples, n_features)
            Training samples; NaN where a value is missing. Memory maps, lists of
            ``.npy`` files, data sets of Arrow, and what has a shape, a dtype and slices
            of rows, such as data sets of h5py, zarr and dask, are read in parts if they
            are large.
        y : array-like of shape (n_samples, n_attributes), default=None
            Labels of samples, for ``SupervisedFactorVAETransformer``: a column for each
            attribute, NaN where unknown. Ignored by the other estimators.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples. An integer weight is equivalent to repeating the
            sample.
        sample_groups : array-like of shape (n_samples,), default=None
            Label of each sample's group, such as a subject, a batch or a day: numbers,
            strings, times or categories. Where samples are held out, for
            ``weight_decay="auto"``, for ``early_stopping`` and for comparisons of
            initialisations, those of one group are
            held out together. None takes samples one by one.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known standard deviation of the error of each value, in the units of X, >=
            0: zero where a value is exact, infinite where it is missing. Its square
            adds to the variance of the noise that is learned. None knows no errors.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used, or no finite model was found; the
            message states what was expected.
        RuntimeError
            If ``device="torchrun"`` and another of its processes has ended.

        Warns
        -----
        UserWarning
            If the features are whitened: uncorrelated and of equal variance; or if
            a column has no observed value, looks like an identifier, or holds numbers
            or dates as text.
        ConvergenceWarning
            If training diverged; the weights are then the last finite ones. If no
            component is active, or if held-out samples show that the model overfits
            by more than 0.4 nats per feature, that one principal component
            reconstructs more of the variance, or that FactorAnalysis has a higher
            likelihood: each with the numbers and what to do.
        """
        return self._fit(X, y, sample_weight, sample_groups, error_scale)

    def _fit(self, X, y, sample_weight, sample_groups, error_scale, **own):
        """Go through the stages of a fit; ``own`` are arguments of a subclass."""
        check_numbers(self.get_params(deep=False), self.precision)
        check_seed(self.random_state)
        devices = core.resolve_devices(self.device)
        core.check_products(self.precision, devices[0])
        check_ranks_can_join(self.device)
        with core.joined_ranks(self.device):
            prepared, columns = self._prepared(
                FitArguments(X, y, sample_weight, sample_groups, error_scale, **own),
                FitOptions.of(self),
                self._previous_fit(),
                lambda: check_random_state(self.random_state).randint(MAX_SEED),
            )
            self._forget_stream()
            return self._trained(prepared, columns, X, y, devices)

    def _trained(self, prepared: Prepared, columns, X, y, devices):
        """Train the model of a fit, and set the fitted attributes."""
        device = devices[0]
        with FitProgress(self) as progress:
            prepared = self._regularized(prepared, devices, progress)
            schedule = prepared.schedule
            callbacks = FitCallbacks(self, X, y, schedule, prepared.fitted)
            bar = progress.stage("fitting", schedule)
            (fit,) = train(
                [prepared.job],
                schedule,
                devices=devices,
                n_jobs=self.n_jobs,
                watch=callbacks if callbacks.is_active else bar,
            )
        fit = prepared.calibrated(fit, device)
        prepared, fit = prepared.rotated(fit, device)
        for name in (
            "_component_names",
            "separation_",
            "_column_scores",
        ):  # of another fit
            self.__dict__.pop(name, None)
        self._set_fitted(prepared, fit)
        self._column_state = self._column_findings(columns)
        callbacks.end(lambda: prepared.fitted(self.weights_))
        return self

    def _prepared(self, given, options, previous, draw_seed):
        """Check the arguments of a fit, and prepare its training.

        Parameters
        ----------
        given : FitArguments
        options : FitOptions
        previous : PreviousFit or None
            Fit to continue.
        draw_seed : callable () -> int

        Returns
        -------
        prepared : Prepared
        columns : JudgedColumns
            What is reported of the columns of X.
        """
        table = self._read_table(
            given.X, given.sample_weight, keeps=previous is not None
        )
        dtypes = column_dtypes(given.X)
        self._set_table(table)
        X, errors = self._training_features(given.X, previous, given.error_scale)
        data = self._training_data(X, given, errors, previous)
        labelled = () if data.targets is None else (data.targets,)
        objective = self._objective(*labelled)
        before = None if previous is None else previous.spec
        columns = None if table is None else table.kinds
        options = options.of_columns(columns).resolved(data, before)
        is_warning = core.current_ranks().is_first
        if options.is_whitened and is_warning:
            warnings.warn(WHITENED, UserWarning, stacklevel=6)
        spec = ModelSpec.from_options(
            options,
            X.shape[1],
            objective,
            wrapper=self._wrapper(),
            levels=data.levels,
            takes_errors=errors is not None,
        )
        prepared = prepare(
            spec,
            data,
            objective,
            options,
            draw_seed(),
            previous=previous,
            memoize=memoized,
            share=shared_array,
        )
        if is_warning and (message := self._empty_columns(prepared)):
            warnings.warn(message, UserWarning, stacklevel=6)
        return prepared, JudgedColumns.of(dtypes, data, self._redundant_columns(X))

    def _empty_columns(self, prepared: Prepared) -> str | None:
        """Return a warning about columns without any value, if there are some."""
        empty = np.flatnonzero(np.isnan(prepared.scaling.mean))
        if not len(empty):
            return None
        if (table := self._table) is not None:
            names = np.array(table.ordered_names, dtype=object)
        else:
            names = getattr(self, "feature_names_in_", np.arange(self.n_features_in_))
        shown = ", ".join(repr(name) for name in names[empty[:5]].tolist())
        more = ", ..." if len(empty) > 5 else ""
        return (
            f"Columns of X without any observed value ({len(empty)}): {shown}{more}. "
            "They do not take part in the fit, and are NaN in reconstructions. Leave "
            "them out, or check how X was read."
        )

    def _regularized(self, prepared: Prepared, devices, progress) -> Prepared:
        """Choose what held-out samples decide, where the fit asks for it."""
        while plans := prepared.comparisons:
            plan, jobs = plans[0], [job for plan in plans for job in plan.jobs]
            fits = train(
                jobs,
                plan.schedule,
                devices=devices,
                n_jobs=self.n_jobs,
                watch=progress.stage(plan.purpose, plan.schedule, len(jobs)),
            )
            prepared = prepared.regularized(fits, devices[0])
        return prepared

    def _wrapper(self) -> tuple[str, dict[str, Any]] | None:
        """Return the network around encoder and decoder, as ``ModelSpec`` names it."""
        return None

    def _previous_fit(self) -> PreviousFit | None:
        """Return the state that this fit continues, if any."""
        if not (self.warm_start and self.__sklearn_is_fitted__()):
            return None
        return self._as_previous()

    def _as_previous(self) -> PreviousFit:
        """Return the state of the fitted estimator, from which a fit can continue."""
        return PreviousFit(
            spec=self._spec.unrotated(),
            scaling=self._scaling,
            weights=core.without_rotation(self.weights_),
            init=self.init_,
            weight_decay=self.weight_decay_,
            inflation=self._inflation,
        )

    def _set_fitted(self, prepared: Prepared, fit: core.Fit):
        """Set the fitted attributes, with a warning if training has failed."""
        if not core.current_ranks().is_first:
            self._set_attributes(prepared, fit)
            return
        if fit.status == "diverged":
            warnings.warn(
                f"Training diverged at step {fit.diverged_at}: a value was not finite, "
                "or the reconstruction error exploded. "
                f"The weights of step {fit.kept_step} were restored. Lower "
                f"learning_rate (now {prepared.schedule.learning_rate:g}), look for "
                "outliers in X, or raise noise_scale.",
                ConvergenceWarning,
                stacklevel=7,
            )
        readout = prepared.job.objective.readout
        if message := readout.convergence_warning(fit.history):
            warnings.warn(message, ConvergenceWarning, stacklevel=7)
        self._set_attributes(prepared, fit)
        if fit.status != "diverged":
            for message in fit_warnings(self):
                warnings.warn(message, ConvergenceWarning, stacklevel=7)

    def _set_attributes(self, prepared: Prepared, fit: core.Fit):
        """Set the attributes that describe a trained model."""
        job = prepared.job
        readout = job.objective.readout
        shown = slice(readout.n_hidden_components, None)
        kl, variance = fit.kl[shown], fit.variance[shown]
        for values in (*fit.weights.values(), fit.kl, fit.variance):
            _check_fit(values, prepared, fit)
        for name, value in prepared.fitted(fit.weights).items():
            setattr(self, name, value)
        self.history_ = fit.history
        self.n_iter_ = fit.n_iter
        self.kl_per_component_ = kl
        self.active_components_ = active_components(
            prepared.spec, kl, variance, job.sample_size
        )
        if not prepared.spec.is_generator:
            some = slice(SCORED_ROWS)  # canonical order is as good as a random one
            bounds = _check_fit(self._bound(job.rows[some]), prepared, fit)
            weights = job.row_weights[some]
            self.fit_score_ = float(np.average(bounds, weights=weights))
            codes, _ = self._encoded(job.rows[some])
            self.explained_variance_ratio_ = explained_variance_ratio(
                self._decoded, codes, job.values[some], weights
            )


def _check_fit(values, prepared: Prepared, fit: core.Fit):
    """Return values of a fitted model, or raise an error if they are not finite."""
    if np.isfinite(values).all():
        return values
    spec, rows = prepared.spec, prepared.job.values
    noise = f", noise_scale={spec.noise_scale}" if spec.likelihood == "gaussian" else ""
    raise ValueError(
        f"No finite model was found: with the weights of step {fit.kept_step}, codes "
        f"or scores of the training samples overflow in {spec.precision}. The "
        f"standardised samples have values up to {np.nanmax(np.abs(rows)):.4g}{noise}. "
        "Set standardize='feature', remove outliers from X, raise noise_scale, lower "
        "learning_rate, or set precision='float64'."
    )
