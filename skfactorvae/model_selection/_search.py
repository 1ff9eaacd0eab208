"""scikit-learn's searches, with all fits trained together."""

from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from .._batching import batched_fits


class BatchedGridSearchCV(GridSearchCV):
    """A :class:`~sklearn.model_selection.GridSearchCV` that trains all fits together.

    Candidates that differ in ``gamma``, ``beta``, ``n_components`` or seed, on whatever
    folds and after whatever earlier steps of a pipeline, share one stack: a whole grid
    for the price of a few fits. Different networks or budgets form several.

    Parameters
    ----------
    estimator : estimator
        One of this package's transformers, a pipeline with one, or any other.
    param_grid : dict or list of dict
        Lists of values for each parameter.
    scoring : str, callable, list, tuple or dict, default=None
        One score or several, as scikit-learn takes them; None takes the estimator's
        own.
    n_jobs : int, default=None
        Processes that train stacks on the CPU; -1 takes all cores, None one.
    refit : bool, str or callable, default=True
        Whether, and by which score or rule, to fit the best candidate to all data.
    cv : int, cross-validation generator or iterable, default=None
        Splits; None takes five folds. Rows that come in order, as those of a grid of
        factors, need ``KFold(shuffle=True)``.
    verbose : int, default=0
        How much the search prints, from 0 to 3.
    pre_dispatch : int or str, default="2*n_jobs"
        Without effect: memory is bounded by cutting stacks.
    error_score : "raise" or numeric, default=np.nan
        Score of a candidate whose fit fails; it costs the others nothing.
    return_train_score : bool, default=False
        Whether to score the training folds, too.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        scikit-learn's table, one entry for each candidate. A fit's time includes that
        of waiting for the others.
    best_estimator_ : estimator
        The best candidate, fitted to all data; alone, after the search.
    best_score_ : float
        Its mean score over the splits.
    best_params_ : dict
        Its parameters.
    best_index_ : int
        Its row of ``cv_results_``.
    scorer_ : callable or dict
        What scored the candidates.
    n_splits_ : int
        Number of splits.
    refit_time_ : float
        Seconds of the last fit.
    multimetric_ : bool
        Whether there were several scores.
    classes_ : ndarray of shape (n_classes,)
        Labels, where the estimator is a classifier.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had names that are all strings.

    See Also
    --------
    batched_fits : The same for any other meta-estimator.
    sklearn.model_selection.GridSearchCV : The search that this one runs.

    Notes
    -----
    ``fit`` is scikit-learn's own, inside :func:`batched_fits`. So is what it returns:
    keys, order and types of ``cv_results_``, several scores, metadata routing,
    callbacks.

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
        """Train every candidate on every split together, score them, and refit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_factors), default=None
            What the scores compare with; known factors, say.
        **params : dict of str to object
            Passed on to the estimator, the scores and the splitter.

        Returns
        -------
        self : object
            The fitted search.
        """
        with batched_fits():
            return super().fit(X, y, **params)


class BatchedRandomizedSearchCV(RandomizedSearchCV):
    """A randomized search that trains all its fits together.

    It is :class:`~sklearn.model_selection.RandomizedSearchCV` otherwise. Candidates
    that differ in ``gamma``, ``beta``, ``n_components`` or seed share one stack;
    different networks or budgets form several.

    Parameters
    ----------
    estimator : estimator
        One of this package's transformers, a pipeline with one, or any other.
    param_distributions : dict or list of dict
        Lists of values, or distributions with ``rvs``, for each parameter.
    n_iter : int, default=10
        Candidates to draw.
    scoring : str, callable, list, tuple or dict, default=None
        One score or several, as scikit-learn takes them; None takes the estimator's
        own.
    n_jobs : int, default=None
        Processes that train stacks on the CPU; -1 takes all cores, None one.
    refit : bool, str or callable, default=True
        Whether, and by which score or rule, to fit the best candidate to all data.
    cv : int, cross-validation generator or iterable, default=None
        Splits; None takes five folds. Rows that come in order, as those of a grid of
        factors, need ``KFold(shuffle=True)``.
    verbose : int, default=0
        How much the search prints, from 0 to 3.
    pre_dispatch : int or str, default="2*n_jobs"
        Without effect: memory is bounded by cutting stacks.
    random_state : int, RandomState instance or None, default=None
        Seed of the candidates.
    error_score : "raise" or numeric, default=np.nan
        Score of a candidate whose fit fails; it costs the others nothing.
    return_train_score : bool, default=False
        Whether to score the training folds, too.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        scikit-learn's table, one entry for each candidate. A fit's time includes that
        of waiting for the others.
    best_estimator_ : estimator
        The best candidate, fitted to all data; alone, after the search.
    best_score_ : float
        Its mean score over the splits.
    best_params_ : dict
        Its parameters.
    best_index_ : int
        Its row of ``cv_results_``.
    scorer_ : callable or dict
        What scored the candidates.
    n_splits_ : int
        Number of splits.
    refit_time_ : float
        Seconds of the last fit.
    multimetric_ : bool
        Whether there were several scores.
    classes_ : ndarray of shape (n_classes,)
        Labels, where the estimator is a classifier.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had names that are all strings.

    See Also
    --------
    batched_fits : The same for any other meta-estimator.
    sklearn.model_selection.RandomizedSearchCV : The search that this one runs.

    Notes
    -----
    ``fit`` is scikit-learn's own, inside :func:`batched_fits`. So is what it returns:
    keys, order and types of ``cv_results_``, several scores, metadata routing,
    callbacks.

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
        """Train every candidate on every split together, score them, and refit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_factors), default=None
            What the scores compare with; known factors, say.
        **params : dict of str to object
            Passed on to the estimator, the scores and the splitter.

        Returns
        -------
        self : object
            The fitted search.
        """
        with batched_fits():
            return super().fit(X, y, **params)
