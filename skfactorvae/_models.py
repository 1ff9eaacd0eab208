"""The public estimators: one thin final class for each objective."""

from __future__ import annotations

from typing import ClassVar

from . import core
from ._estimator import BaseVAETransformer
from ._validation import (
    COMMON_CONSTRAINTS,
    DISCRIMINATOR_CONSTRAINTS,
    NOT_NEGATIVE,
    check_sizes,
)


class FactorVAETransformer(BaseVAETransformer):
    r"""FactorVAE: independent latent factors of a table, spectra or small images.

    A variational autoencoder whose codes are pushed towards independence by a penalty
    on their total correlation (Kim & Mnih 2018). It minimises

    .. math:: \mathbb{E}_{q(z|x)}[-\log p(x|z)] + \beta\,\mathrm{KL}(q(z|x)\,\|\,p(z))
        + \gamma\,\mathrm{TC}(q(z))

    where TC, the divergence of the codes' joint distribution from the product of their
    marginals, is estimated by a discriminator. All terms are nats per row, summed over
    features. Not to be confused with the model of stock returns of the same name.

    Codes are nearly independent coordinates of a nonlinear model: candidates for
    factors, not identified causes. No objective on the data alone can tell factors from
    an entangled version of them (Locatello et al. 2019); refit with several seeds, and
    do not interpret what does not return.

    Parameters
    ----------
    n_components : int, default=10
        Number of latents, d: the most that can be used. Components that the data do not
        pay for stay at the prior; see ``active_components_``.
    gamma : float, default=10.0
        Weight of the total correlation, >= 0. Zero gives a VAE, bit for bit.
    beta : float, default=1.0
        Weight of the KL divergence, >= 0. More than one prunes components harder.
    likelihood : {"gaussian", "bernoulli"}, default="gaussian"
        Distribution of a feature given the code. Bernoulli is for values in [0, 1].
    noise_scale : {"auto", "feature", "shared"} or float, default="auto"
        Standard deviation of the Gaussian noise, in units of the standardized data:
        learned for each feature, learned once for all, or fixed. ``"auto"`` means
        ``"feature"``. A fixed scale s acts like a ``beta`` of s**2. Images are better
        off with ``"shared"``. Ignored by the Bernoulli likelihood.
    standardize : {"feature", "global"} or None, default="feature"
        Bring each feature to mean 0 and variance 1; or centre each and divide all by
        one number, which keeps the shape of spectra, series and images; or neither.
        Everything that comes out is in the original units. Ignored by the Bernoulli
        likelihood.
    network : {"mlp", "conv"} or callable, default="mlp"
        Dense networks; the convolutional ones of the paper, for flattened images; or
        your own: a function (n_features, n_components) -> (encoder, decoder) of
        ``torch.nn`` modules, where the encoder maps (B, n_features) to
        (B, 2 * n_components), means first and then log-variances, and the decoder maps
        (B, n_components) to (B, n_features), to logits for a Bernoulli likelihood.
        Modules are used in evaluation mode and may not mix rows. To be pickled, the
        function must be importable; a lambda is not.
    hidden_layer_sizes : int or array-like of int, default=(128, 128)
        Hidden layers of the encoder; the decoder mirrors them. For ``network="mlp"``.
    discriminator_hidden_layer_sizes : int or array-like, default=(256, 256, 256)
        Hidden layers of the discriminator. The paper uses six of 1000.
    activation : {"relu", "leaky_relu", "elu", "silu", "gelu", "tanh"}, default="relu"
        Activation of the encoder and the decoder.
    init : {"ica", "pca", "random"}, default="ica"
        Where training starts. ``"ica"`` and ``"pca"`` add a linear path to encoder and
        decoder, and start it at scikit-learn's FastICA or PCA, on the principal
        directions that carry more variance than an average feature; all else starts at
        zero. ``"random"`` has no linear path. The start is used by ``network="mlp"``
        with a Gaussian likelihood; other models start at random.
    image_shape : tuple (channels, height, width), default=None
        Shape of the images whose pixels, channel by channel and row by row, are the
        features. For ``network="conv"``.
    max_iter : int, default=5000
        Gradient steps.
    batch_size : int, default=64
        Rows of a batch. Each step draws two, with replacement.
    learning_rate : float, default=1e-3
        Adam's, for encoder and decoder. It falls along a cosine over the last 40 % of
        the steps.
    discriminator_learning_rate : float, default=1e-3
        Adam's, for the discriminator; falls likewise. The paper's 1e-4 is for 300,000
        steps: in 5000, such a discriminator has hardly woken up.
    warmup : float, default=0.1
        Share of the steps over which gamma grows from zero.
    early_stopping : bool, default=False
        Whether to hold rows out and stop when their ELBO no longer rises. The best
        weights after the warm-up are kept.
    validation_fraction : float, default=0.1
        Share of the distinct rows that early stopping holds out.
    n_iter_no_change : int, default=1000
        Steps without a better held-out ELBO after which training stops.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the fitted weights and scales. The optimiser starts
        afresh.
    device : str, default="auto"
        Where to train: ``"auto"`` takes CUDA, then MPS, then the CPU. A fitted model
        falls back to the CPU where its device is missing.
    precision : {"float32", "float64"}, default="float32"
        Precision of training and inference. Codes are float32 in either.
    n_jobs : int, default=None
        CPU threads of a fit; -1 takes all. None takes one for small models, for which
        more are slower, and torch's number for large ones.
    verbose : int, default=0
        One prints about ten lines during a fit; two prints every record.
    random_state : int, RandomState instance or None, default=None
        Seed of everything random. An int makes fits bit-equal on one machine.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        Trained weights of encoder, decoder, likelihood and discriminator.
    history_ : dict of str to ndarray of shape (n_records,)
        Means of the named terms over the steps since the record before: ``step``,
        ``reconstruction``, ``kl``, ``total_correlation`` (nats per row),
        ``discriminator_loss`` (log 2 where no dependence is seen) and
        ``discriminator_accuracy``; with early stopping, ``validation_elbo``. At most
        200 records. The discriminator's total correlation tells the health of a fit;
        never choose between models by it.
    kl_per_component_ : ndarray of shape (n_components,)
        Information each component holds about the rows: mean KL divergence from the
        prior, nats, descending.
    active_components_ : ndarray of int
        Components that hold more than 0.01 nats.
    mean_, scale_ : ndarray of shape (n_features_in_,)
        Offset and scale of the standardization.
    n_iter_ : int
        Gradient steps made.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had names that are all strings.

    See Also
    --------
    sklearn.decomposition.FastICA : Linear independent components; always worth a look
        beside a nonlinear model.
    skfactorvae.metrics.mig_scorer : Score a search with, where factors are known.

    Notes
    -----
    Rows are drawn with replacement from the weighted table, in an order that depends on
    their values alone. So an integer ``sample_weight`` equals repetition, and the order
    of the rows does not matter, bit for bit.

    References
    ----------
    .. [1] Kim, H. & Mnih, A. (2018). "Disentangling by Factorising." ICML. Eq. 2 and
       Algorithm 2. https://arxiv.org/abs/1802.05983
    .. [2] Locatello, F. et al. (2019). "Challenging Common Assumptions in the
       Unsupervised Learning of Disentangled Representations." ICML.
       https://arxiv.org/abs/1811.12359

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> X, factors = make_gaussian_peaks(200, random_state=0)
    >>> vae = FactorVAETransformer(n_components=5, max_iter=50, random_state=0)
    >>> codes = vae.fit_transform(X)
    >>> codes.shape, codes.dtype
    ((200, 5), dtype('float32'))
    >>> vae.inverse_transform(codes).shape
    (200, 100)
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON_CONSTRAINTS,
        **DISCRIMINATOR_CONSTRAINTS,
        "gamma": [NOT_NEGATIVE],
    }

    def __init__(
        self,
        n_components=10,
        *,
        gamma=10.0,
        beta=1.0,
        likelihood="gaussian",
        noise_scale="auto",
        standardize="feature",
        network="mlp",
        hidden_layer_sizes=(128, 128),
        discriminator_hidden_layer_sizes=(256, 256, 256),
        activation="relu",
        init="ica",
        image_shape=None,
        max_iter=5000,
        batch_size=64,
        learning_rate=1e-3,
        discriminator_learning_rate=1e-3,
        warmup=0.1,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=1000,
        warm_start=False,
        device="auto",
        precision="float32",
        n_jobs=None,
        verbose=0,
        random_state=None,
    ):
        self.n_components = n_components
        self.gamma = gamma
        self.beta = beta
        self.likelihood = likelihood
        self.noise_scale = noise_scale
        self.standardize = standardize
        self.network = network
        self.hidden_layer_sizes = hidden_layer_sizes
        self.discriminator_hidden_layer_sizes = discriminator_hidden_layer_sizes
        self.activation = activation
        self.init = init
        self.image_shape = image_shape
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.discriminator_learning_rate = discriminator_learning_rate
        self.warmup = warmup
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    def _objective(self):
        return core.FactorVAE(
            gamma=float(self.gamma),
            beta=float(self.beta),
            hidden_layer_sizes=check_sizes(
                "discriminator_hidden_layer_sizes",
                self.discriminator_hidden_layer_sizes,
            ),
            learning_rate=float(self.discriminator_learning_rate),
        )
