"""A small estimator."""

from skfactorvae import FactorVAETransformer


def small(**parameters):
    """Return an estimator that is fitted quickly, and nonlinear."""
    return FactorVAETransformer(
        **{
            "n_components": 3,
            "hidden_layer_sizes": (16, 12),
            "discriminator_hidden_layer_sizes": (8,),
            "learning_rate": 1e-2,
            "max_iter": 150,
            "random_state": 0,
            **parameters,
        }
    )
