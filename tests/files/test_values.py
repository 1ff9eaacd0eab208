"""Plain values as JSON and arrays: what comes back, and what is refused."""

import json

import numpy as np
import pytest

from skfactorvae.files import ModelFileError, Reader, Writer

VALUES = [
    None,
    True,
    -(2**80),
    0.1,
    -0.0,
    5e-324,
    float("inf"),
    "text \N{SNOWMAN} \ud800",
    (),
    (1, (2.5, None), ["a", (True,)]),
    {"a": {"b": [1]}, "": None},
    {1: "a", -1: "b", "1": None, ("a", 2): [np.float32(0.5)], np.int64(3): {}},
    {"$": 1},
    np.float32(0.1),
    np.float64("-inf"),
    np.longdouble("1.1"),
    np.int8(-3),
    np.uint64(2**64 - 1),
    np.bool_(True),
    np.str_("level"),
    np.arange(6, dtype=np.int16).reshape(2, 3),
    np.array([1.5, np.nan]),
    np.array([True, False]),
    np.array(["a", "bcd", ""]),
    np.array(["a", None, 3, 2.5, True], dtype=object),
    np.array([], dtype="U1"),
    np.array([1.1, 2.2], dtype=np.longdouble),
]


def through_json(value, **options):
    writer = Writer()
    node = json.loads(json.dumps(writer.write(value, "value"), allow_nan=False))
    return Reader("file", writer.arrays, **options).read(node, "value")


def assert_same(found, expected):
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
        assert list(map(type, found.tolist())) == list(map(type, expected.tolist()))
    else:
        assert repr(found) == repr(expected)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_with_its_type(value):
    assert_same(through_json(value), value)


def test_a_generator_of_random_numbers_continues_its_stream():
    generator = np.random.RandomState(3)
    generator.normal(size=5)  # leaves one number over
    copied = through_json(generator)
    np.testing.assert_array_equal(copied.normal(size=9), generator.normal(size=9))


def build(n_features, n_components):
    """Stands for a function of the user's own."""


def test_a_function_is_named_and_has_to_be_passed():
    assert through_json({"network": build}, function=build)["network"] is build
    with pytest.raises(ModelFileError, match=r"test_values\.build.*network=build"):
        through_json({"network": build})


def test_a_function_is_restored_as_a_network_only():
    with pytest.raises(TypeError, match="gamma"):
        Writer().write(build, "gamma")
    node = {"$": "function", "of": "os.system"}
    with pytest.raises(ModelFileError, match="which only networks can be"):
        Reader("file", {}, function=build).read(node, "gamma")


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        b"bytes",
        {1: object()},
        object(),
        int,
        1j,
        np.array([1j]),
        np.array("2020", "M8"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_a_file_cannot_hold_is_refused_by_name(value):
    with pytest.raises(TypeError, match="gamma"):
        Writer().write(value, "gamma")


@pytest.mark.parametrize(
    "node",
    [
        {"$": "pickle", "of": "gASVBQ=="},
        {"$": ["tuple"], "of": []},
        {"$": "tuple"},
        {"$": "tuple", "of": {}},
        {"$": "pairs"},
        {"$": "pairs", "of": {"1": 2}},
        {"$": "pairs", "of": [[1, 2, 3]]},
        {"$": "pairs", "of": ["ab"]},
        {"$": "pairs", "of": [[[], 2]]},
        {"$": "pairs", "of": [[1, 2], [1, 3]]},
        {"$": "float", "of": "1e5"},
        {"$": "array", "of": "weights"},
        {"$": "entries", "of": [1], "dtype": "V8", "shape": [1]},
        {"$": "entries", "of": [1], "dtype": "O", "shape": [2]},
        {"$": "entries", "of": [], "dtype": "O", "shape": [0, 2**60]},
        {"$": "entries", "of": ["a"], "dtype": "f8", "shape": [1]},
        {"$": "entries", "of": ["a"], "dtype": "Ux", "shape": [1]},
        {"$": "entries", "of": [1]},
        {"$": "scalar", "of": "abc", "dtype": "f8"},
        {"$": "scalar", "of": "1", "dtype": "O"},
        {"$": "scalar", "of": "1", "dtype": "f8, f8"},
        {"$": "scalar", "of": "2", "dtype": "b1"},
        {"$": "scalar", "of": "9" * 5000, "dtype": "i8"},
        {"$": "random_state", "of": {"key": 1, "pos": 0}},
        {"$": "estimator", "of": {"class": "os.system"}},
        {"$": "estimator", "of": 3},
    ],
    ids=str,
)
def test_json_that_stands_for_nothing_is_refused(node):
    with pytest.raises(ModelFileError, match="'file'"):
        Reader("file", {}).read(node, "value")


def test_deep_nesting_is_refused():
    node = []
    for _ in range(100):
        node = [node]
    with pytest.raises(ModelFileError, match="levels"):
        Reader("file", {}).read(node, "value")


def test_strings_take_the_memory_of_their_length_only():
    node = {"$": "entries", "of": ["a", "b"], "dtype": "U2000000000", "shape": [2]}
    assert Reader("file", {}).read(node, "value").nbytes < 1000
