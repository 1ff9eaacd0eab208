"""Grid and randomized search with batched training."""

from time import perf_counter

from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from .._batching import batched_fits


def _check_factors(scoring, y, metadata):
    """Raise if a score needs factors that are not given, before the fits."""
    for scorer in scoring.values() if isinstance(scoring, dict) else [scoring]:
        if hasattr(scorer, "check_factors"):
            scorer.check_factors(y, metadata)


def _fit_together(search, fit, X, y, params):
    """Run the fit of a search with batched training, and return the search."""
    _check_factors(search.scoring, y, params)
    start = perf_counter()
    with batched_fits():
        fit(X, y, **params)
    _share_fit_time(search, perf_counter() - start)
    return search


def _share_fit_time(search, seconds):
    """Set the time of each fit to its share of the seconds that the search took.

    scikit-learn measures the time until a fit returns, and a fit returns when its whole
    stack is trained.
    """
    results, n_splits = search.cv_results_, search.n_splits_
    elsewhere = getattr(search, "refit_time_", 0.0)
    elsewhere += n_splits * results["mean_score_time"].sum()
    n_fits = n_splits * len(results["params"])
    results["mean_fit_time"][:] = max(0.0, seconds - elsewhere) / n_fits
    results["std_fit_time"][:] = 0.0


class BatchedGridSearchCV(GridSearchCV):
    """Grid search whose fits are trained together, in one batch.

    It is :class:`~sklearn.model_selection.GridSearchCV` otherwise. Candidates that
    differ in ``gamma``, ``beta``, ``n_components``, seed, folds or earlier steps of a
    pipeline are trained in one stack of models, which costs as much as a few fits.
    Candidates that differ in network or ``max_iter`` form several stacks.

    Parameters
    ----------
    estimator : estimator
        A transformer of this package, a pipeline that contains one, or any other
        estimator. Only transformers of this package are trained together.
    param_grid : dict or list of dict
        Lists of values for each parameter.
    scoring : str, callable, list, tuple or dict, default=None
        One score or several, as in scikit-learn; None uses the ``score`` of the
        estimator.
    n_jobs : int, default=None
        Number of workers that train stacks on the CPU: processes, or those of the
        backend that ``joblib.parallel_config`` has activated, such as a Dask cluster;
        see :func:`batched_fits`. -1 uses all; None one process, or what the backend
        was activated with.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all samples, and the name of the score, or
        the rule, by which it is the best.
    cv : int, cross-validation generator or iterable, default=None
        Splits; None uses five folds. Samples that are sorted, such as a grid of
        factors, need ``KFold(shuffle=True)``.
    verbose : int, default=0
        Verbosity of the search, from 0 to 3.
    pre_dispatch : int or str, default="2*n_jobs"
        Ignored: memory is bounded by splitting stacks.
    error_score : "raise" or numeric, default=np.nan
        Score of a candidate whose fit fails; other candidates are not affected.
    return_train_score : bool, default=False
        Whether to compute scores on the training folds as well.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        Results as in scikit-learn, one entry for each candidate. The time of a fit is
        that of all fits of the search, divided by their number.
    best_estimator_ : estimator
        The best candidate, fitted to all samples after the search, on its own.
    best_score_ : float
        Mean score of the best candidate over the splits.
    best_params_ : dict
        Parameters of the best candidate.
    best_index_ : int
        Index of the best candidate in ``cv_results_``.
    scorer_ : callable or dict
        Scorer or scorers of the candidates.
    n_splits_ : int
        Number of splits.
    refit_time_ : float
        Time of fitting the best candidate to all samples, in seconds.
    multimetric_ : bool
        Whether there are several scores.
    classes_ : ndarray of shape (n_classes,)
        Labels, where the estimator is a classifier.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had names that are all strings.

    See Also
    --------
    batched_fits : Batched training for any other meta-estimator.
    sklearn.model_selection.GridSearchCV : The search without batched training.

    Notes
    -----
    ``fit`` calls the ``fit`` of scikit-learn inside :func:`batched_fits`. Keys, order
    and types of ``cv_results_``, multiple scores, metadata routing and callbacks are
    therefore those of scikit-learn.

    References
    ----------
    .. [1] Pedregosa, F. et al. (2011). "Scikit-learn: Machine Learning in Python."
       JMLR 12. https://jmlr.org/papers/v12/pedregosa11a.html

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.model_selection import BatchedGridSearchCV
    >>> X, factors = make_gaussian_peaks(200, random_state=0)
    >>> vae = FactorVAETransformer(n_components=5, max_iter=50, random_state=0)
    >>> search = BatchedGridSearchCV(vae, {"gamma": [1.0, 10.0, 50.0]}, cv=3)
    >>> search.fit(X).cv_results_["mean_test_score"].shape
    (3,)
    """

    def fit(self, X, y=None, **params):
        """Fit all candidates on all splits together, score them, and refit the best.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,) or (n_samples, n_factors), default=None
            Targets of the scores, such as known factors. Also passed to the fits.
        **params : dict of str to object
            Passed to the estimator, the scorers and the splitter.

        Returns
        -------
        self : object
            The fitted search.

        Raises
        ------
        ValueError
            If a scorer needs factors and there are none; nothing is fitted then.
        """
        return _fit_together(self, super().fit, X, y, params)


class BatchedRandomizedSearchCV(RandomizedSearchCV):
    """Randomized search whose fits are trained together, in one batch.

    It is :class:`~sklearn.model_selection.RandomizedSearchCV` otherwise. Candidates
    that differ in ``gamma``, ``beta``, ``n_components``, seed, folds or earlier steps
    of a pipeline are trained in one stack of models, which costs as much as a few fits.
    Candidates that differ in network or ``max_iter`` form several stacks.

    Parameters
    ----------
    estimator : estimator
        A transformer of this package, a pipeline that contains one, or any other
        estimator. Only transformers of this package are trained together.
    param_distributions : dict or list of dict
        Lists of values, or distributions with a method ``rvs``, for each parameter.
    n_iter : int, default=10
        Number of candidates to draw.
    scoring : str, callable, list, tuple or dict, default=None
        One score or several, as in scikit-learn; None uses the ``score`` of the
        estimator.
    n_jobs : int, default=None
        Number of workers that train stacks on the CPU: processes, or those of the
        backend that ``joblib.parallel_config`` has activated, such as a Dask cluster;
        see :func:`batched_fits`. -1 uses all; None one process, or what the backend
        was activated with.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all samples, and the name of the score, or
        the rule, by which it is the best.
    cv : int, cross-validation generator or iterable, default=None
        Splits; None uses five folds. Samples that are sorted, such as a grid of
        factors, need ``KFold(shuffle=True)``.
    verbose : int, default=0
        Verbosity of the search, from 0 to 3.
    pre_dispatch : int or str, default="2*n_jobs"
        Ignored: memory is bounded by splitting stacks.
    random_state : int, RandomState instance or None, default=None
        Determines the candidates.
    error_score : "raise" or numeric, default=np.nan
        Score of a candidate whose fit fails; other candidates are not affected.
    return_train_score : bool, default=False
        Whether to compute scores on the training folds as well.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        Results as in scikit-learn, one entry for each candidate. The time of a fit is
        that of all fits of the search, divided by their number.
    best_estimator_ : estimator
        The best candidate, fitted to all samples after the search, on its own.
    best_score_ : float
        Mean score of the best candidate over the splits.
    best_params_ : dict
        Parameters of the best candidate.
    best_index_ : int
        Index of the best candidate in ``cv_results_``.
    scorer_ : callable or dict
        Scorer or scorers of the candidates.
    n_splits_ : int
        Number of splits.
    refit_time_ : float
        Time of fitting the best candidate to all samples, in seconds.
    multimetric_ : bool
        Whether there are several scores.
    classes_ : ndarray of shape (n_classes,)
        Labels, where the estimator is a classifier.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had names that are all strings.

    See Also
    --------
    batched_fits : Batched training for any other meta-estimator.
    sklearn.model_selection.RandomizedSearchCV : The search without batched training.

    Notes
    -----
    ``fit`` calls the ``fit`` of scikit-learn inside :func:`batched_fits`. Keys, order
    and types of ``cv_results_``, multiple scores, metadata routing and callbacks are
    therefore those of scikit-learn.

    References
    ----------
    .. [1] Pedregosa, F. et al. (2011). "Scikit-learn: Machine Learning in Python."
       JMLR 12. https://jmlr.org/papers/v12/pedregosa11a.html

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.model_selection import BatchedRandomizedSearchCV
    >>> X, factors = make_gaussian_peaks(200, random_state=0)
    >>> vae = FactorVAETransformer(n_components=5, max_iter=50, random_state=0)
    >>> gammas = {"gamma": [1.0, 3.0, 10.0, 30.0]}
    >>> search = BatchedRandomizedSearchCV(vae, gammas, n_iter=2, cv=3, random_state=0)
    >>> search.fit(X).cv_results_["mean_test_score"].shape
    (2,)
    """

    def fit(self, X, y=None, **params):
        """Fit all candidates on all splits together, score them, and refit the best.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,) or (n_samples, n_factors), default=None
            Targets of the scores, such as known factors. Also passed to the fits.
        **params : dict of str to object
            Passed to the estimator, the scorers and the splitter.

        Returns
        -------
        self : object
            The fitted search.

        Raises
        ------
        ValueError
            If a scorer needs factors and there are none; nothing is fitted then.
        """
        return _fit_together(self, super().fit, X, y, params)
