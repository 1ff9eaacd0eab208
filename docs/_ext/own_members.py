"""Reference pages of classes tell what is ours; scikit-learn tells the rest."""


def _skip(app, what, name, member, skip, options):
    made_of = getattr(member, "fget", getattr(member, "func", member))
    home = getattr(made_of, "__module__", None) or ""
    if what != "class" or skip:
        return None
    return not home.startswith("skfactorvae") or home == "skfactorvae._compat"


def setup(app):
    """Connect the filter."""
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
