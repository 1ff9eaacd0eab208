"""Every transformer of the family works with every display."""

from skfactorvae.inspection import (
    LatentTraversalDisplay,
    ReconstructionDisplay,
    TrainingDisplay,
    explore,
    factor_table,
)


def test_each_transformer_has_a_table_pictures_and_a_page(small, X, tmp_path):
    estimator = small().fit(X)
    table = factor_table(estimator, X)
    assert table.effect.shape == (3, 5)
    for Display in (LatentTraversalDisplay, ReconstructionDisplay):
        Display.from_estimator(estimator, X).plot()
    training = TrainingDisplay.from_estimator(estimator).plot()
    assert len(training.ax_) == len(estimator.history_) - 1
    assert explore(estimator, X, tmp_path / "factors.html").n_bytes > 10_000
