"""What the record of a fit says about its health."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._reading import read

LOG_2 = float(np.log(2))


class Mark(NamedTuple):
    """One finding.

    Attributes
    ----------
    name : str
    is_well : bool
    message : str
        What was seen and, where something is wrong, what to do.
    """

    name: str
    is_well: bool
    message: str


def health_marks(estimator):
    """Read the record of a fitted estimator for signs of trouble.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted, with ``history_``.

    Returns
    -------
    marks : list of (name, is_well, message)
        Named tuples. Marks are hints: they see training, not
        whether factors are right.

    Raises
    ------
    TypeError
        If nothing in the estimator keeps a record.

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.inspection import health_marks
    >>> X, _ = make_gaussian_peaks(200, random_state=0)
    >>> vae = FactorVAETransformer(3, max_iter=50, random_state=0).fit(X)
    >>> [mark.name for mark in health_marks(vae)]
    ['length', 'settled', 'latents', 'discriminator']
    """
    model = recorded(estimator)
    history = model.history_
    marks = [_length(model)]
    if "reconstruction" in history:
        marks.append(_settled(history))
    if hasattr(model, "kl_per_component_"):
        marks.append(_latents(model))
    if "discriminator_accuracy" in history and getattr(model, "gamma", 1):
        judge = _mismatch if "prior_mismatch" in history else _dependence
        marks.append(judge(history, *_verdict(history)))
    if "own_share" in history:
        marks.append(_batches(history))
    return [mark for mark in marks if mark]


def recorded(estimator):
    """Return the model in an estimator that has a record of its fit."""
    model = read(estimator).model
    if not hasattr(model, "history_"):
        raise TypeError(
            f"{type(model).__name__} keeps no record of its training: expected a "
            "fitted estimator with history_, such as FactorVAETransformer."
        )
    return model


def _length(model):
    asked, made = getattr(model, "max_iter", None), getattr(model, "n_iter_", None)
    if asked is None or made is None:
        return None
    if made >= asked:
        return Mark("length", True, f"All {made} steps were made.")
    if getattr(model, "early_stopping", False):
        return Mark("length", True, f"Stopped early, after {made} of {asked} steps.")
    return Mark(
        "length",
        False,
        f"Training ended after {made} of {asked} steps, as it does when it diverges: "
        "lower learning_rate, and look for outliers.",
    )


def _settled(history):
    """Compare the last tenth of the record with the tenth before it."""
    loss = np.asarray(history["reconstruction"], dtype=np.float64)
    tenth = len(loss) // 10
    if tenth < 2:
        return Mark("settled", False, "Too few records to tell; raise max_iter.")
    last, before = loss[-tenth:], loss[-2 * tenth : -tenth]
    fall = before.mean() - last.mean()
    noise = np.sqrt((last.var() + before.var()) / tenth)
    so_far = abs(loss[:tenth].mean() - last.mean())
    if fall > 3 * noise and fall > 0.02 * so_far:
        return Mark(
            "settled",
            False,
            f"Reconstruction still fell by {fall:.3g} nats over the last tenth of the "
            "steps: raise max_iter.",
        )
    return Mark("settled", True, "Reconstruction no longer falls.")


def _latents(model):
    used, every = len(model.active_components_), len(model.kl_per_component_)
    if used == 0:
        return Mark(
            "latents",
            False,
            "No latent holds more than noise would: the posterior has collapsed. Lower "
            "beta or gamma, train longer, or use more rows or fewer columns.",
        )
    if used == every:
        message = f"All {every} latents are used; there may be room for more."
        return Mark("latents", True, message)
    return Mark("latents", True, f"{used} of {every} latents are used.")


def _verdict(history):
    """Return what a discriminator is right in at last, and a sentence's start."""
    accuracy = _last(history, "discriminator_accuracy")
    return accuracy, f"The discriminator is right in {accuracy:.0%} of cases"


def _last(history, term):
    """Return a term's mean over the last fifth of the record."""
    return float(np.mean(history[term][-max(1, len(history[term]) // 5) :]))


def _dependence(history, accuracy, said):
    """Judge a discriminator that tells codes from permuted ones."""
    if accuracy > 0.8:
        return Mark(
            "discriminator",
            False,
            f"{said}: the codes still depend on each other. Raise gamma, or train "
            "longer.",
        )
    loss = np.asarray(history["discriminator_loss"], dtype=np.float64)
    if np.abs(loss / LOG_2 - 1).max() < 0.005:
        return Mark(
            "discriminator",
            False,
            "The discriminator never saw any dependence: either there was none from "
            "the start, or it did not wake up. Raise discriminator_learning_rate, and "
            "look whether that changes it.",
        )
    left = "little" if accuracy < 0.6 else "some"
    message = f"{said}, where 50% is blind: {left} dependence is left."
    return Mark("discriminator", True, message)


def _mismatch(history, accuracy, said):
    """Judge a discriminator that tells codes from draws of the prior."""
    if accuracy > 0.8:
        return Mark(
            "discriminator",
            False,
            f"{said}: the codes do not look like the prior. Raise gamma, train longer, "
            "or ask for fewer components.",
        )
    message = f"{said}, where 50% is blind: the codes look like the prior."
    return Mark("discriminator", True, message)


def _batches(history):
    share = _last(history, "own_share")
    said = f"A row's own share in the density of its code is {share:.0%}"
    if share > 0.9:
        message = f"{said}: batches are too small to see dependence. Raise batch_size."
        return Mark("batches", False, message)
    return Mark("batches", True, f"{said}; batches are large enough.")
