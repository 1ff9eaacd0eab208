"""The page in a browser: it draws what the estimator decodes."""

import json
import re
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from _fits import small
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    PowerTransformer,
    StandardScaler,
)
from torch import nn

from skfactorvae import InfoGANTransformer
from skfactorvae.inspection import explore

MOVE = """(() => {{
  const slider = document.getElementById("component-{latent}");
  slider.value = {value};
  slider.dispatchEvent(new Event("input", {{ bubbles: true }}));
  return slider.valueAsNumber;
}})()"""


def move(browser, latent, value):
    """Move a slider, and return the resulting code and sample of the page."""
    assert browser.evaluate(MOVE.format(latent=latent, value=value)) == value
    state = browser.evaluate("({ code: explorer.code, row: explorer.row })")
    return np.array(state["code"]), np.array(state["row"])


def drawn_curve(browser):
    """Read the values of a curve back from the path in the plot."""
    path = browser.evaluate(
        """(() => {
          const path = document.querySelector("path.now");
          return { d: path.getAttribute("d"), ...path.dataset };
        })()"""
    )
    heights = np.array(re.findall(r",([-\d.e]+)", path["d"]), dtype=float)
    low, high, bottom, top = (
        float(path[key]) for key in ("low", "high", "bottom", "top")
    )
    return low + (bottom - heights) / (bottom - top) * (high - low)


def assert_same_row(row, expected):
    """Assert that samples agree to 1e-4 of their range."""
    np.testing.assert_allclose(row, expected, rtol=0, atol=1e-4 * np.ptp(expected))


def test_a_moved_slider_draws_what_inverse_transform_gives(
    browser, pipe, peaks, tmp_path
):
    page = explore(pipe, peaks.data, tmp_path / "page.html", x=peaks.grid)
    browser.open(page.path)
    before = drawn_curve(browser)
    for latent, value in ((0, 2.0), (1, -1.5), (2, 3.0)):
        code, row = move(browser, latent, value)
        expected = pipe.inverse_transform(code[None])[0]
        assert_same_row(row, expected)
        assert_same_row(drawn_curve(browser), expected)
        assert np.ptp(expected - before) > 1
        before = expected


def test_a_slider_counts_standard_deviations_from_the_mean_code(
    browser, vae, peaks, tmp_path
):
    page = explore(vae, peaks.data, tmp_path / "page.html", kind="curve")
    browser.open(page.path)
    code, _ = move(browser, 1, 2.0)
    expected = page.table.centre + 2 * page.table.step * [0, 1, 0]
    np.testing.assert_allclose(code, expected, atol=1e-6)


@pytest.mark.parametrize(
    "activation", ["relu", "leaky_relu", "elu", "silu", "gelu", "tanh"]
)
def test_every_activation_runs_in_the_page(browser, peaks, tmp_path, activation):
    vae = small(activation=activation, init="random", max_iter=40).fit(peaks.data)
    browser.open(explore(vae, peaks.data, tmp_path / "page.html").path)
    code, row = move(browser, 0, -2.0)
    assert_same_row(row, vae.inverse_transform(code[None])[0])


@pytest.mark.parametrize("shape", [(1, 6, 5), (1, 15, 2), (3, 5, 2)])
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_images_are_decoded_by_the_convolutions(
    browser, images, tmp_path, shape, likelihood
):
    vae = small(network="conv", image_shape=shape, likelihood=likelihood, max_iter=20)
    vae.fit(images)
    browser.open(explore(vae, images, tmp_path / "page.html").path)
    code, row = move(browser, 1, 1.0)
    assert_same_row(row, vae.inverse_transform(code[None])[0])
    pixels = browser.evaluate(
        """(() => {
          const canvas = document.querySelector("canvas");
          const { width, height } = canvas;
          const image = canvas.getContext("2d").getImageData(0, 0, width, height);
          return { width, height, data: Array.from(image.data) };
        })()"""
    )
    channels, height, width = shape
    assert (pixels["height"], pixels["width"]) == (height, width)
    shown = np.array(pixels["data"]).reshape(height, width, 4)[..., :channels]
    low, high = browser.evaluate(
        "JSON.parse(document.getElementById('data').textContent).range"
    )
    expected = 255 * (np.moveaxis(row.reshape(shape), 0, -1) - low) / (high - low)
    assert np.abs(shown - np.clip(expected, 0, 255)).max() <= 0.51


def test_deep_convolutions_with_odd_sizes_are_decoded(browser, tmp_path):
    X = np.random.RandomState(0).uniform(size=(30, 18 * 35))
    vae = small(network="conv", image_shape=(1, 18, 35), max_iter=3).fit(X)
    browser.open(explore(vae, X, tmp_path / "page.html").path)
    code, row = move(browser, 0, 3.0)
    assert_same_row(row, vae.inverse_transform(code[None])[0])


@pytest.mark.parametrize(
    "before", [MinMaxScaler(), PCA(12, random_state=0)], ids=["scaler", "pca"]
)
def test_a_page_inverts_affine_steps(browser, peaks, tmp_path, before):
    pipe = make_pipeline(StandardScaler(), before, small()).fit(peaks.data)
    browser.open(explore(pipe, peaks.data, tmp_path / "page.html").path)
    code, row = move(browser, 0, 1.0)
    assert_same_row(row, pipe.inverse_transform(code[None])[0])


def test_a_small_spread_far_from_zero_keeps_its_digits(browser, peaks, tmp_path):
    X = 1e7 + peaks.data
    vae = small().fit(X)
    browser.open(explore(vae, X, tmp_path / "page.html").path)
    code, row = move(browser, 0, 1.0)
    assert_same_row(row, vae.inverse_transform(code[None])[0])


def test_bars_show_the_row_in_its_units(browser, peaks, tmp_path):
    names = [f"channel <{i}>" for i in range(30)]
    vae = small().fit(peaks.data)
    page = explore(vae, peaks.data, tmp_path / "page.html", feature_names=names)
    browser.open(page.path)
    code, _ = move(browser, 0, 1.0)
    lines = browser.evaluate(
        """Array.from(document.querySelectorAll(".bar")).map((bar) => [
          bar.firstElementChild.textContent, +bar.lastElementChild.dataset.value])"""
    )
    assert [name for name, _ in lines] == names
    assert_same_row([v for _, v in lines], vae.inverse_transform(code[None])[0])


def test_the_keyboard_is_enough(browser, vae, peaks, tmp_path):
    """Tab reaches the sliders, arrow keys move them, and the sample follows."""
    browser.open(explore(vae, peaks.data, tmp_path / "page.html", x=peaks.grid).path)
    seen = []
    while "component-0" not in seen:
        browser.press("Tab", 9)
        seen.append(browser.evaluate("document.activeElement.id"))
        assert len(seen) < 10, seen
    assert seen[:2] == ["start", "reset"]
    before = drawn_curve(browser)
    for _ in range(20):
        browser.press("ArrowRight", 39)
    text = browser.evaluate("document.activeElement.getAttribute('aria-valuetext')")
    assert text == "1.00 standard deviations"
    code = np.array(browser.evaluate("explorer.code"))
    after = drawn_curve(browser)
    assert_same_row(after, vae.inverse_transform(code[None])[0])
    assert np.ptp(after - before) > 1


def test_every_control_has_a_name(browser, vae, peaks, tmp_path):
    browser.open(explore(vae, peaks.data, tmp_path / "page.html").path)
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"slider", "button", "combobox", "image", "meter"}
    controls = [
        (node["role"]["value"], node.get("name", {}).get("value"))
        for node in nodes
        if node.get("role", {}).get("value") in roles
    ]
    assert {"slider", "button", "combobox", "image"} <= {role for role, _ in controls}
    assert all(name for _, name in controls)


@pytest.mark.parametrize("kind", ["curve", "bars"])
def test_a_phone_needs_no_sideways_scrolling(browser, vae, peaks, tmp_path, kind):
    page = explore(vae, peaks.data, tmp_path / "page.html", kind=kind)
    browser.open(page.path, width=360, height=740)
    sizes = browser.evaluate(
        """({ page: document.documentElement.scrollWidth,
              drawing: document.getElementById("drawing").getBoundingClientRect().width,
              text: Math.min(...Array.from(document.querySelectorAll(
                "p, td, th, label, summary, svg text, figcaption"),
                (e) => parseFloat(getComputedStyle(e).fontSize))),
              touch: Math.min(...Array.from(document.querySelectorAll("#sliders input"),
                (e) => e.getBoundingClientRect().height)) })"""
    )
    assert sizes["page"] <= 360
    assert sizes["drawing"] > 300
    assert sizes["text"] >= 12
    assert sizes["touch"] >= 24


@pytest.mark.parametrize("width", [360, 1100])
def test_the_sample_stays_visible_beside_the_sliders_and_covers_nothing_else(
    browser, vae, peaks, tmp_path, width
):
    page = explore(vae, peaks.data, tmp_path / "page.html", x=peaks.grid)
    browser.open(page.path, width=width, height=500)
    see = """(() => {{
      const target = document.getElementById("{name}");
      target.scrollIntoView({{ behavior: "instant", block: "{block}" }});
      const seen = ({{ left, top, width, height }}) =>
        document.elementFromPoint(left + 5, top + height / 2);
      const row = document.getElementById("drawing").getBoundingClientRect();
      return {{
        is_seen: seen(target.getBoundingClientRect()) === target,
        row_is_seen: row.top >= 0 && row.bottom <= innerHeight,
      }};
    }})()"""
    slider = browser.evaluate(see.format(name="component-2", block="end"))
    assert slider == {"is_seen": True, "row_is_seen": True}
    table = browser.evaluate(see.format(name="health-title", block="start"))
    assert table["is_seen"]


def test_starting_samples_and_reset(browser, vae, peaks, tmp_path):
    browser.open(explore(vae, peaks.data, tmp_path / "page.html").path)
    browser.evaluate(
        """(() => { const select = document.getElementById("start");
        select.value = 1; select.dispatchEvent(new Event("change")); })()"""
    )
    codes = vae.transform(peaks.data[:1])
    row = np.array(browser.evaluate("explorer.row"))
    assert_same_row(row, vae.inverse_transform(codes)[0])
    move(browser, 0, 2.5)
    browser.evaluate("document.getElementById('reset').click()")
    np.testing.assert_allclose(browser.evaluate("explorer.row"), row)


def test_bars_begin_at_a_sample_that_shows_something(browser, vae, peaks, tmp_path):
    page = explore(vae, peaks.data, tmp_path / "page.html", kind="bars")
    browser.open(page.path)
    assert browser.evaluate("document.getElementById('start').value") != "0"
    code = np.array(browser.evaluate("explorer.code"))
    assert np.abs((code - page.table.centre) / page.table.step).max() > 0.5


def test_components_are_named_in_the_page(browser, vae, peaks, tmp_path):
    browser.open(explore(vae, peaks.data, tmp_path / "page.html").path)
    browser.evaluate(
        """(() => {
          const input = document.getElementById("name-1");
          input.value = 'the "width"';
          input.dispatchEvent(new Event("input"));
        })()"""
    )
    assert browser.evaluate("document.getElementById('line').value") == (
        'vae.set_component_names({1: "the \\"width\\""})'
    )
    for place in (
        "label[for=component-1]",
        "#table details:nth-of-type(2) summary span",
    ):
        shown = browser.evaluate(f"document.querySelector('{place}').textContent")
        assert shown == 'The "width"'


@pytest.mark.parametrize("kind", ["bars", "curve"])
def test_what_is_shown_can_be_saved(browser, vae, peaks, tmp_path, kind):
    page = explore(vae, peaks.data, tmp_path / "page.html", kind=kind, x_label="nm")
    browser.open(page.path)
    _, row = move(browser, 0, 1.0)
    head, *lines = browser.evaluate("explorer.csv()").strip().split("\r\n")
    assert head == '"nm","value","value of the mean code"'
    np.testing.assert_allclose([float(line.split(",")[1]) for line in lines], row)
    is_hidden = browser.evaluate("document.getElementById('save-png').hidden")
    assert is_hidden == (kind == "bars")
    if kind == "curve":
        picture = browser.evaluate("explorer.pictured()")
        assert picture.startswith("data:image/png;base64,")
        assert len(picture) > 5000


def test_the_page_requests_nothing_else(browser, vae, peaks, tmp_path):
    browser.open(explore(vae, peaks.data, tmp_path / "page.html").path)
    assert all(url.startswith(("file:", "data:")) for url in browser.requests())
    assert len([url for url in browser.requests() if url.startswith("file:")]) == 1


def test_the_page_shows_table_health_and_stability(browser, vae, peaks, tmp_path):
    other = small(random_state=1).fit(peaks.data)
    page = explore(
        vae, peaks.data, tmp_path / "page.html", x=peaks.grid, others=[other]
    )
    browser.open(page.path)
    text = browser.evaluate("document.body.innerText")
    assert all(
        sentence.capitalize()[:1] + sentence[1:] in text
        for sentence in page.table.summary
    )
    assert "All 150 steps were made." in text
    assert browser.evaluate("document.querySelectorAll('meter').length") == 3


# ------------------------------------------------------------------ without a browser
def test_names_cannot_break_out_of_the_page(vae, peaks, tmp_path):
    evil = "</script><script>alert(1)</script><!--"
    page = explore(
        vae,
        peaks.data,
        tmp_path / "page.html",
        title=evil,
        feature_names=[evil] * 30,
        kind="bars",
    )
    text = page.path.read_text("utf-8")
    assert evil not in text
    assert "alert(1)</script>" not in text
    data = re.search(r'id="data">(.*?)</script>', text, re.S)[1]
    assert json.loads(data)["names"] == [evil] * 30


def content_of(page):
    """Return the data in a page, as a browser parses them."""
    written = re.search(
        r'<script type="application/json"[^>]*>(.*?)</script>',
        page.path.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    return json.loads(written[1])


def test_names_and_labels_may_be_of_any_kind(vae, peaks, tmp_path):
    names = ["\ud800", "<b>", "µm", *range(27)]
    page = explore(
        vae,
        peaks.data,
        tmp_path / "page.html",
        kind="bars",
        feature_names=names,
        title="\udfff & 1",
        x_label=np.int64(3),
        y_label=np.datetime64("2020-01-01"),
    )
    content = content_of(page)
    assert content["names"] == [str(name) for name in names]
    assert (content["x_label"], content["y_label"]) == (3, "2020-01-01")


def test_what_is_not_finite_is_left_out_or_refused(vae, peaks, tmp_path):
    model = deepcopy(vae)
    model.kl_per_component_ = np.array([1.0, np.nan, np.inf])
    model.history_ = {"step": np.array([1, 2]), "kl": np.array([np.nan, np.inf])}
    content = content_of(explore(model, peaks.data, tmp_path / "page.html"))
    assert [latent["kl"] for latent in content["latents"]] == [1.0, None, None]
    assert content["health"]["history"]["kl"] == [None, None]
    model.inverse_transform = lambda codes: np.full((len(codes), 30), np.inf)
    with pytest.raises(ValueError, match="Decoded samples contain NaN or infinity"):
        explore(model, peaks.data, tmp_path / "page.html")


def test_shares_of_variance_are_at_most_one(vae, peaks, tmp_path):
    """A decoder that overshoots explains all of the variance, and not more."""
    model = deepcopy(vae)
    model.inverse_transform = lambda codes: 9 * vae.inverse_transform(codes)
    page = explore(model, peaks.data, tmp_path / "page.html")
    assert page.table.share.max() > 1
    latents = content_of(page)["latents"]
    shares = [f["share"] for latent in latents for f in latent["features"]]
    assert max(shares) == 1
    assert max(latent["share"] for latent in latents) <= 1


def test_the_size_is_stated(vae, peaks, tmp_path):
    page = explore(vae, peaks.data, tmp_path / "page.html")
    assert page.n_bytes == page.path.stat().st_size < 100_000


def test_a_model_too_large_is_refused_before_anything_is_written(vae, peaks, tmp_path):
    with pytest.raises(ValueError, match=r"more than max_bytes=0\.0 MB"):
        explore(vae, peaks.data, tmp_path / "page.html", max_bytes=1000)
    with pytest.raises(ValueError, match=r"The page would have 0\.1 MB"):
        explore(vae, peaks.data, tmp_path / "page.html", max_bytes=20_000)
    assert not list(tmp_path.iterdir())


def test_modules_of_the_user_are_refused(peaks, tmp_path):
    def own(n_features, n_components):
        return nn.Linear(n_features, 2 * n_components), nn.Linear(
            n_components, n_features
        )

    vae = small(network=own, max_iter=2).fit(peaks.data)
    with pytest.raises(ValueError, match="module of your own"):
        explore(vae, peaks.data, tmp_path / "page.html")


def test_a_step_that_mixes_columns_is_refused(peaks, tmp_path):
    mix = FunctionTransformer(
        lambda X: X,
        inverse_func=lambda X: X * np.linalg.norm(X, axis=1)[:, None],
        check_inverse=False,
    )
    pipe = make_pipeline(mix, small(max_iter=20)).fit(peaks.data)
    with pytest.raises(ValueError, match=r"'functiontransformer'.*neither affine"):
        explore(pipe, peaks.data, tmp_path / "page.html")


# The ends of sliders can be beyond the domain of an inverse power, as numpy warns.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.slow
@pytest.mark.parametrize(
    "before",
    [
        [FunctionTransformer(np.log, inverse_func=np.exp)],
        [PowerTransformer(), StandardScaler()],
        [FunctionTransformer(np.log, inverse_func=np.exp), PCA(8, random_state=0)],
    ],
    ids=["log", "power", "log and pca"],
)
def test_a_page_inverts_functions_of_each_column(browser, peaks, tmp_path, before):
    X = np.exp(peaks.data / 400)
    pipe = make_pipeline(*before, small()).fit(X)
    browser.open(explore(pipe, X, tmp_path / "page.html").path)
    for latent, value in ((0, 1.0), (1, -1.0)):
        code, row = move(browser, latent, value)
        assert_same_row(row, pipe.inverse_transform(code[None])[0])


def test_a_model_without_layers_is_refused(peaks, tmp_path):
    with pytest.raises(TypeError, match="got PCA"):
        explore(PCA(2).fit(peaks.data), peaks.data, tmp_path / "page.html")


# ------------------------------------------------------------- a sample of one's own
ENTER = """(() => {{
  document.getElementById("own-text").value = {text};
  document.getElementById("own-show").click();
  const note = document.getElementById("own-note");
  return {{ note: note.textContent, is_wrong: note.classList.contains("wrong"),
           code: explorer.code, row: explorer.row }};
}})()"""


def enter(browser, text):
    """Enter a sample as text, and return what the page shows of it."""
    return browser.evaluate(ENTER.format(text=json.dumps(text)))


def test_a_sample_of_ones_own_has_the_codes_of_transform(
    browser, pipe, peaks, tmp_path
):
    names = [f"x{i}" for i in range(30)]
    browser.open(explore(pipe, peaks.data, tmp_path / "page.html").path)
    sample = peaks.data[7]
    code = pipe.transform(sample[None])[0]
    values = [repr(float(v)) for v in sample]
    forms = {
        "one line": ",".join(values),
        "one column": "\n".join(values),
        "decimal commas": ";".join(values).replace(".", ","),
        "names": ",".join(names[::-1]) + "\n" + ",".join(values[::-1]),
        "a saved file": "\n".join(
            ['"feature","value"', *map("{},{}".format, names, values)]
        ),
    }
    for form, text in forms.items():
        shown = enter(browser, text)
        assert not shown["is_wrong"], form
        np.testing.assert_allclose(shown["code"], code, atol=2e-4, err_msg=form)
        assert_same_row(shown["row"], pipe.inverse_transform(code[None])[0])
    assert "error of" in shown["note"]
    starts = browser.evaluate("document.getElementById('start').textContent")
    assert starts.count("your sample") == 1


def test_a_bad_value_of_a_sample_is_named(browser, vae, peaks, tmp_path):
    names = ["width", "the rest"] + [f"x{i}" for i in range(28)]
    page = explore(vae, peaks.data, tmp_path / "page.html", feature_names=names)
    browser.open(page.path)
    before = browser.evaluate("explorer.code")
    values = ["1"] * 30
    cases = {
        "": "There are 0 values; expected 30 numbers: width, the rest",
        "1,2": "There are 2 values; expected 30",
        ",".join(["abc", *values[1:]]): "column width is not a number: abc",
        "a,b\n1,2": "no column width",
        ",".join(["1e999", *values[1:]]): "column width is not a number: 1e999",
    }
    for text, message in cases.items():
        shown = enter(browser, text)
        assert shown["is_wrong"]
        assert message in shown["note"]
        assert shown["code"] == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "parameters",
    [
        {"likelihood": "bernoulli", "init": "random", "activation": "elu"},
        {"init": "varimax"},
        {"hidden_fraction": 0.1},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
def test_every_dense_encoder_runs_in_the_page(browser, peaks, tmp_path, parameters):
    X = (peaks.data - peaks.data.min()) / np.ptp(peaks.data)
    vae = small(max_iter=40, **parameters).fit(X)
    browser.open(explore(vae, X, tmp_path / "page.html").path)
    shown = enter(browser, " ".join(repr(float(v)) for v in X[3]))
    np.testing.assert_allclose(shown["code"], vae.transform(X[3:4])[0], atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 6, 5), (1, 15, 2), (3, 5, 2)])
def test_convolutions_encode_an_image_in_the_page(browser, images, tmp_path, shape):
    vae = small(network="conv", image_shape=shape, max_iter=20).fit(images)
    browser.open(explore(vae, images, tmp_path / "page.html").path)
    shown = enter(browser, " ".join(repr(float(v)) for v in images[3]))
    assert not shown["is_wrong"], shown["note"]
    np.testing.assert_allclose(shown["code"], vae.transform(images[3:4])[0], atol=2e-4)


DROP = """(async () => {
  const canvas = document.createElement("canvas");
  canvas.width = %d;
  canvas.height = %d;
  const context = canvas.getContext("2d"), pixels = %s;
  pixels.forEach(([r, g, b], i) => {
    context.fillStyle = `rgb(${r}, ${g}, ${b})`;
    context.fillRect(i %% canvas.width, Math.floor(i / canvas.width), 1, 1);
  });
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  const files = new DataTransfer();
  files.items.add(new File([blob], "own.png", { type: "image/png" }));
  const input = document.getElementById("own-file");
  const written = document.getElementById("own-text");
  written.value = "";
  input.files = files.files;
  input.dispatchEvent(new Event("change"));
  for (let i = 0; i < 100 && !written.value; i++) {
    await new Promise((done) => setTimeout(done, 50));
  }
  return written.value.split(" ").map(Number);
})()"""


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 6, 5), (3, 5, 2)])
def test_a_picture_can_be_opened(browser, images, tmp_path, shape):
    vae = small(network="conv", image_shape=shape, max_iter=20).fit(images)
    browser.open(explore(vae, images, tmp_path / "page.html").path)
    channels, height, width = shape
    levels = np.random.RandomState(0).randint(256, size=(height * width, channels))
    pixels = np.broadcast_to(levels, (height * width, 3)).tolist()
    found = browser.evaluate(DROP % (width, height, pixels))
    low, high = browser.evaluate(
        "JSON.parse(document.getElementById('data').textContent).range"
    )
    expected = low + (high - low) * levels.T.reshape(-1) / 255
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert "error of" in browser.evaluate(
        "document.getElementById('own-note').textContent"
    )


@pytest.mark.slow
def test_the_steps_before_the_model_are_applied_to_a_sample(browser, peaks, tmp_path):
    X = np.exp(peaks.data / 400)
    log = FunctionTransformer(np.log, inverse_func=np.exp)
    pipe = make_pipeline(log, PCA(12, random_state=0), small()).fit(X)
    browser.open(explore(pipe, X, tmp_path / "page.html").path)
    shown = enter(browser, " ".join(repr(float(v)) for v in X[3]))
    np.testing.assert_allclose(shown["code"], pipe.transform(X[3:4])[0], atol=1e-3)
    shown = enter(browser, " ".join(["1e6", *(repr(float(v)) for v in X[3, 1:])]))
    assert "column x0 is beyond those that the page can transform" in shown["note"]


def mixed_table(n=200):
    """Return a table of columns of six types, which depend on one number."""
    rng = np.random.RandomState(0)
    z = rng.normal(size=n)
    grades = pd.Categorical.from_codes(
        np.digitize(z, [-1, 0, 1]), ["low", "fair", "good", "best"], ordered=True
    )
    return pd.DataFrame(
        {
            "visits": rng.poisson(np.exp(z)),
            "size": z + 0.2 * rng.normal(size=n),
            "kind": np.select([z < -0.5, z < 0.5], ["a", "b"], "c"),
            "price": np.exp(8 + z + 0.1 * rng.normal(size=n)),
            "flag": z + rng.normal(size=n) > 0,
            "grade": grades,
        }
    )


MIXED = {"likelihood": {"visits": "poisson", "price": "lognormal"}, "max_iter": 60}


def written(row):
    """Return a row of a table as a reader types it."""
    return ",".join("" if pd.isna(value) else str(value) for value in row)


@pytest.mark.slow
@pytest.mark.parametrize("is_complete", [True, False], ids=["complete", "gaps"])
def test_a_sample_of_several_types_has_the_codes_of_transform(
    browser, tmp_path, is_complete
):
    X = mixed_table()
    gaps = np.random.RandomState(1).uniform(size=X.shape) < 0.2
    X_gaps = X.astype({"flag": object}).mask(gaps)
    model = small(**MIXED).fit(X if is_complete else X_gaps)
    page = explore(model, X if is_complete else X_gaps, tmp_path / "page.html")
    browser.open(page.path)
    for i in range(4):
        for table in (X, X_gaps):
            code = model.transform(table[i : i + 1])[0]
            shown = enter(browser, written(table.iloc[i]))
            assert not shown["is_wrong"], shown["note"]
            np.testing.assert_allclose(shown["code"], code, atol=5e-4)
        assert ("are missing: " in shown["note"]) == bool(gaps[i].any())
    for text, message in {
        "1,1,z,1,True,low": "column kind has no level z; expected one of a, b, c",
        "-1,1,a,1,True,low": "column visits is negative: -1",
        "1,x,a,1,True,low": "column size is not a number: x",
    }.items():
        shown = enter(browser, text)
        assert shown["is_wrong"]
        assert message in shown["note"]
    shown = enter(browser, "NA,NA,NA,NA,NA,NA")
    assert shown["code"] == [0.0] * len(code)


@pytest.mark.slow
@pytest.mark.parametrize("parameters", [{}, {"init": "varimax"}], ids=str)
@pytest.mark.parametrize("is_complete", [True, False], ids=["complete", "gaps"])
def test_a_sample_with_gaps_has_the_codes_of_transform(
    browser, peaks, tmp_path, parameters, is_complete
):
    gaps = np.random.RandomState(0).uniform(size=peaks.data.shape) < 0.2
    X_gaps = np.where(gaps, np.nan, peaks.data)
    X = peaks.data if is_complete else X_gaps
    pipe = make_pipeline(StandardScaler(), small(max_iter=40, **parameters)).fit(X)
    browser.open(explore(pipe, X, tmp_path / "page.html").path)
    for row in X_gaps[:4]:
        shown = enter(browser, written(row))
        code = pipe.transform(row[None])[0]
        np.testing.assert_allclose(shown["code"], code, atol=5e-4)
    assert "Expected where values are missing: " in shown["note"]


@pytest.mark.slow
def test_a_page_says_what_needs_a_complete_sample(browser, peaks, tmp_path):
    pipe = make_pipeline(PCA(5), small(max_iter=3)).fit(peaks.data)
    browser.open(explore(pipe, peaks.data, tmp_path / "page.html").path)
    shown = enter(browser, ",".join(["1", "", *["1"] * 28]))
    assert shown["is_wrong"]
    assert "x1 has no value; a step before the model needs a complete" in shown["note"]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((), None),
        ((StandardScaler(),), None),
        ((SimpleImputer(),), "a step before the model"),
        ((PCA(5),), "a step before the model"),
    ],
    ids=["none", "scaler", "imputer", "pca"],
)
def test_steps_that_change_missing_values_need_complete_samples(
    peaks, tmp_path, steps, expected
):
    pipe = make_pipeline(*steps, small(max_iter=3)).fit(peaks.data)
    content = content_of(explore(pipe, peaks.data, tmp_path / "page.html"))
    assert content["encoder"]["complete_for"] == expected


def test_a_sample_is_taken_where_every_sample_of_the_data_has_gaps(peaks, tmp_path):
    X = np.where(np.random.RandomState(0).uniform(size=(300, 30)) < 0.2, np.nan, 1.0)
    X *= peaks.data
    assert np.isnan(X).any(axis=1).mean() > 0.99
    pipe = make_pipeline(StandardScaler(), small(max_iter=3)).fit(X)
    assert content_of(explore(pipe, X, tmp_path / "p.html"))["encoder"]["fill"]


def test_a_model_that_takes_no_missing_values_says_so(peaks, tmp_path):
    model = InfoGANTransformer(2, hidden_layer_sizes=8, max_iter=3).fit(peaks.data)
    content = content_of(explore(model, peaks.data, tmp_path / "page.html"))
    assert content["encoder"]["complete_for"] == "InfoGANTransformer"


def test_a_page_of_several_types_has_the_columns_of_the_table(tmp_path):
    X = mixed_table(60)
    model = small(**MIXED | {"max_iter": 3}, handle_unknown="missing").fit(X)
    content = content_of(explore(model, X, tmp_path / "page.html"))
    assert content["columns"] == list(X)
    assert content["handles_unknown"]
    first = content["encoder"]["before"][0]
    assert [column["levels"] for column in first["columns"]][2] == ["a", "b", "c"]


def test_large_models_take_no_sample(vae, peaks, tmp_path):
    page = explore(vae, peaks.data, tmp_path / "page.html")
    assert "encoder" in content_of(page)
    page = explore(vae, peaks.data, tmp_path / "page.html", max_bytes=page.n_bytes - 1)
    assert "encoder" not in content_of(page)


def test_a_step_that_mixes_columns_takes_no_sample(peaks, tmp_path):
    mix = FunctionTransformer(
        lambda X: X / np.linalg.norm(X, axis=1)[:, None],
        inverse_func=lambda X: X,
        check_inverse=False,
    )
    pipe = make_pipeline(StandardScaler(), mix, small(max_iter=3)).fit(peaks.data)
    assert "encoder" not in content_of(explore(pipe, peaks.data, tmp_path / "p.html"))


@pytest.mark.slow
def test_a_page_of_columns_of_several_types_shows_chances_and_levels(browser, tmp_path):
    rng = np.random.RandomState(0)
    z = rng.normal(size=200)
    X = pd.DataFrame(
        {
            "kind": np.select([z < -0.5, z < 0.5], ["a", "b"], "c"),
            "visits": rng.poisson(np.exp(z)),
            "flag": z + rng.normal(size=200) > 0,
            "grade": pd.Categorical(
                np.digitize(z, [-1, 0, 1]), [0, 1, 2, 3], ordered=True
            ).rename_categories(["low", "fair", "good", "best"]),
            "price": np.exp(8 + z + 0.1 * rng.normal(size=200)),
            "size": z + 0.2 * rng.normal(size=200),
        }
    )
    model = small(likelihood={"visits": "poisson", "price": "lognormal"}).fit(X)
    page = explore(model, X, tmp_path / "page.html")
    browser.open(page.path)
    for value in (-3.0, 1.5):
        code, row = move(browser, 0, value)
        expected = model.expected_numbers(code[None])[0]
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-6)
        texts = browser.evaluate(
            "[...document.querySelectorAll('.bar .value')].map((e) => e.textContent)"
        )
        shown = dict(zip(model.number_names_, texts, strict=True))
        assert shown["kind = a"].endswith("%")
        share = 100 * row[list(model.number_names_).index("kind = a")]
        assert float(shown["kind = a"].removesuffix(" %")) == pytest.approx(
            share, abs=1
        )
        assert shown["grade"] == model.inverse_transform(code[None])["grade"][0]
    widths = browser.evaluate(
        "[...document.querySelectorAll('.chance .fill')].map((e) => e.style.width)"
    )
    assert len(widths) == 4
    assert browser.errors() == []
