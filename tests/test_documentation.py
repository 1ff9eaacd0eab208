"""The site documents every public name and has no broken link."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

import skfactorvae
import skfactorvae.base

ROOT = Path(__file__).parents[1]
MODULES = {
    "estimators": skfactorvae,
    "metrics": skfactorvae.metrics,
    "evaluation": skfactorvae.evaluation,
    "identification": skfactorvae.identification,
    "datasets": skfactorvae.datasets,
    "model_selection": skfactorvae.model_selection,
    "inspection": skfactorvae.inspection,
    "base": skfactorvae.base,
    "runtime": skfactorvae.runtime,
    "interchange": skfactorvae.interchange,
}
SUBMODULES = {module.__name__.rpartition(".")[2] for module in MODULES.values()}


def listed(page):
    """Return the names that a page of the reference lists, in order."""
    text = (ROOT / "docs/api" / f"{page}.rst").read_text("utf-8")
    blocks = re.findall(r"^\.\. autosummary::\n((?:   .*\n|\n)*)", text, re.M)
    return re.findall(r"^   (\w+)$", "".join(blocks), re.M)


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestReference:
    @pytest.mark.parametrize("page", MODULES)
    def test_every_public_name_is_in_it_once(self, page):
        public = set(MODULES[page].__all__) - SUBMODULES
        assert sorted(listed(page)) == sorted(public)

    @pytest.mark.parametrize("page", MODULES)
    def test_a_page_documents_its_module(self, page):
        text = (ROOT / "docs/api" / f"{page}.rst").read_text("utf-8")
        assert f".. currentmodule:: {MODULES[page].__name__}\n" in text

    def test_every_page_is_reached(self):
        index = (ROOT / "docs/api/index.rst").read_text("utf-8")
        pages = {p.stem for p in ROOT.glob("docs/api/*.rst")} - {"index"}
        assert pages == set(MODULES) == set(re.findall(r"^   (\w+)$", index, re.M))


class TestGallery:
    EXAMPLES = sorted(ROOT.glob("examples/plot_*.py"))

    def test_there_are_at_least_eight_examples(self):
        assert len(self.EXAMPLES) >= 8

    @pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
    def test_an_example_has_an_introduction_and_a_figure(self, path):
        text = path.read_text("utf-8")
        title, line, blank, *story = ast.get_docstring(ast.parse(text)).split("\n")
        assert line == "=" * len(title)
        assert not blank
        assert len(" ".join(story)) > 150
        assert "\n# %%\n" in text
        assert "plt.show()" in text

    @pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
    def test_an_example_is_in_the_table_of_examples(self, path):
        assert f"({path.name})" in (ROOT / "examples/README.md").read_text("utf-8")

    def test_the_reading_order_names_examples_that_exist(self):
        order = load(ROOT / "docs/_ext/gallery_order.py")
        assert set(order.FIRST) <= {path.name for path in self.EXAMPLES}
        key = order.ReadingOrder("examples")
        assert sorted(["plot_zebra.py", *reversed(order.FIRST)], key=key) == [
            *order.FIRST,
            "plot_zebra.py",
        ]


PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/[!_]*/*.md")]


class TestExampleLinks:
    """Links to examples work in the repository, and lead to the gallery in the site."""

    @pytest.mark.parametrize(
        ("source", "built"),
        [
            ("[a](../examples/plot_wine.py).", "[a](auto_examples/plot_wine.rst)."),
            ("[a\nb](../../examples/plot_x.py)", "[a\nb](../auto_examples/plot_x.rst)"),
            ("[a](../examples/README.md)", "[a](auto_examples/index.rst)"),
            ("`examples/plot_wine.py`", "`examples/plot_wine.py`"),
        ],
    )
    def test_a_link_to_a_script_becomes_one_to_its_page(self, source, built):
        assert load(ROOT / "docs/_ext/example_links.py").in_gallery(source) == built

    def test_no_page_has_roles_that_only_the_site_understands(self):
        offenders = [
            f"{path.relative_to(ROOT)}: {role}"
            for path in PAGES
            for role in re.findall(
                r"\{(?:ref|doc|func|class)\}`", path.read_text("utf-8")
            )
        ]
        assert offenders == []


class TestLinks:
    @staticmethod
    def complaints(folder, **pages):
        for name, body in pages.items():
            (folder / f"{name}.html").write_text(f"<html><body>{body}</body></html>")
        return load(ROOT / "docs/check_links.py").complaints(folder)

    def test_valid_links_are_accepted(self, tmp_path):
        assert not self.complaints(
            tmp_path,
            a='<a href="b.html#x">b</a> <a href="#y">y</a> <p id="y">'
            '<a href="https://example.org/none">far</a> <a href="mailto:a@b.c">a</a>',
            b='<p id="x"> <img src="a.html">',
        )

    @pytest.mark.parametrize(
        "body",
        [
            '<a href="c.html">c</a>',
            '<a href="#z">z</a>',
            '<a href="b.html#z">b</a>',
            '<a href="../outside.html">out</a>',
            '<img src="c.png">',
            '<script src="c.js"></script>',
            '<link rel="stylesheet" href="c.css">',
        ],
    )
    def test_a_broken_link_is_reported(self, tmp_path, body):
        inner = tmp_path / "built"
        inner.mkdir()
        (tmp_path / "outside.html").write_text("there, but not of these pages")
        (found,) = self.complaints(inner, a=body, b="<p id='x'>")
        assert found.startswith("a.html: ")
        assert found.endswith("leads nowhere.")

    @pytest.mark.parametrize(
        "body",
        [
            '<script src="https://example.org/a.js"></script>',
            '<link rel="stylesheet" href="//example.org/a.css">',
            '<img src="https://example.org/a.png">',
        ],
    )
    def test_a_page_loads_nothing_from_the_network(self, tmp_path, body):
        (found,) = self.complaints(tmp_path, a=body)
        assert "from the network" in found

    def test_a_missing_site_is_an_error(self, tmp_path):
        assert "build them first" in self.complaints(tmp_path)[0]
