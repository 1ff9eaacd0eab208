"""The order in which the gallery is best read."""

FIRST = (
    "plot_quickstart.py",
    "plot_methods.py",
    "plot_oscillator.py",
    "plot_spectra.py",
    "plot_sensors.py",
    "plot_penguins.py",
    "plot_wine.py",
    "plot_bicycles.py",
    "plot_hospitals.py",
    "plot_nuclei.py",
    "plot_abilities.py",
    "plot_digits.py",
    "plot_choosing_gamma.py",
    "plot_negative_control.py",
    "plot_pairs.py",
    "plot_nests.py",
    "plot_conditions.py",
    "plot_hospital_effects.py",
    "plot_compare_objectives.py",
)


class ReadingOrder:
    """Sort by :data:`FIRST`; others come last, by name."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, name):
        """Return the key of a file."""
        return (FIRST.index(name) if name in FIRST else len(FIRST), name)
