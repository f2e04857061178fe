"""Formats: what the libraries of neural operators read back, the same bytes twice, damage named by sample."""

import shutil

import numpy as np
import pytest

from ritzkit.problems import (
    ConvectionDiffusion,
    Darcy,
    Helmholtz,
    Obstacles,
    SKRDarcy,
    SKRHelmholtz,
    SKRPoisson,
    generate,
    validate_dataset,
)
from ritzkit.problems.datasets import FORMATS
from ritzkit.problems.datasets.layout import Layout
from ritzkit.problems.datasets.manifest import Manifest

h5py = pytest.importorskip("h5py")

COUNT = 7
ABSORBING = Helmholtz(8, wavenumber=6.0, boundary="absorbing", variation=0.2)
FAMILIES = {
    "darcy": Darcy(8),
    "darcy 3-D": Darcy(5, dim=3),
    "absorbing": ABSORBING,
    "winds": ConvectionDiffusion(6),
    "obstacles": Obstacles((16, 16)),
    "skr": SKRHelmholtz(6),
    "series": SKRPoisson(4),
}
FITS = {
    "h5": list(FAMILIES),
    "pt": ["darcy", "darcy 3-D", "absorbing", "winds", "obstacles", "skr"],
    "mat": ["darcy", "absorbing", "skr"],
    "pdebench": ["darcy", "skr"],
    "well": ["darcy", "darcy 3-D", "absorbing", "winds", "obstacles", "skr"],
}
PAIRS = [(f, name) for f in FORMATS for name in FAMILIES]


def need(format):
    if format == "pt":
        pytest.importorskip("torch")


def make(out, format, family, **more):
    return generate(family, COUNT, out, seed=2, workers=1, chunk=3, format=format, **more)


def rows(folder):
    manifest = Manifest.load(folder)
    return list(FORMATS[manifest.config["format"]].read(folder, Layout.from_json(manifest.layout)))


@pytest.fixture(scope="module")
def darcy(tmp_path_factory):
    """The same samples in every format, and in double precision."""
    made = {}
    for format in FORMATS:
        if format == "pt":
            try:
                import torch  # noqa: F401
            except ImportError:
                continue
        made[format] = tmp_path_factory.mktemp(format)
        make(made[format], format, FAMILIES["darcy"])
    return made


@pytest.mark.parametrize(("format", "name"), PAIRS, ids=[f"{f}-{n}" for f, n in PAIRS])
def test_formats_hold_what_fits_and_refuse_the_rest(tmp_path, format, name):
    need(format)
    if name not in FITS[format]:
        with pytest.raises(ValueError, match=rf"format is '{format}', which .*: use format 'h5'"):
            make(tmp_path, format, FAMILIES[name])
        return
    make(tmp_path / "one", format, FAMILIES[name])
    validate_dataset(tmp_path / "one")
    make(tmp_path / "h5", "h5", FAMILIES[name])
    for (index, x, y), (other, exact_x, exact_y) in zip(rows(tmp_path / "one"), rows(tmp_path / "h5"), strict=True):
        assert index == other
        if format != "h5":
            assert y.dtype in (np.float32, np.complex64)
            assert x.dtype == np.float32
        np.testing.assert_allclose(x, exact_x, rtol=1e-7)
        np.testing.assert_allclose(y, exact_y, rtol=2e-7, atol=1e-7 * np.abs(exact_y).max())


@pytest.mark.parametrize("format", FORMATS)
def test_two_runs_write_the_same_bytes(darcy, tmp_path, format):
    need(format)
    manifest = make(tmp_path, format, FAMILIES["darcy"])
    for name in [*manifest.files, "manifest.json"]:
        assert (tmp_path / name).read_bytes() == (darcy[format] / name).read_bytes()


def spoil(path, format, index):
    """Change the label of one sample by five per cent."""
    if format == "pt":
        import torch

        content = torch.load(path, weights_only=True)
        content["y"][index] *= 1.05
        torch.save(content, path)
    elif format == "mat":
        from scipy.io import loadmat, savemat

        content = {name: values for name, values in loadmat(path).items() if not name.startswith("_")}
        content["sol"][index] *= 1.05
        savemat(path, content)
    else:
        with h5py.File(path, "r+") as file:
            labels = file[{"h5": "y", "pdebench": "tensor", "well": "t0_fields/u"}[format]]
            labels[index] = labels[index] * 1.05


@pytest.mark.parametrize("format", FORMATS)
def test_a_changed_label_is_named(darcy, tmp_path, format):
    need(format)
    shutil.copytree(darcy[format], tmp_path, dirs_exist_ok=True)
    train = next(path for path in Manifest.load(tmp_path).paths if "test" not in str(path.relative_to(tmp_path)))
    spoil(train, format, 4)
    with pytest.raises(ValueError, match=r"sample 4: its residual is 5\.\d+e-02, allowed are \d"):
        validate_dataset(tmp_path)


@pytest.mark.parametrize("format", FORMATS)
def test_a_single_file_is_checked_by_its_structure(darcy, tmp_path, format):
    need(format)
    for path in Manifest.load(darcy[format]).paths:
        copy = tmp_path / path.name
        shutil.copy(path, copy)
        assert validate_dataset(copy) is None
        copy.write_bytes(copy.read_bytes()[:300])
        with pytest.raises(ValueError, match=path.name.replace(".", r"\.")):
            validate_dataset(copy)


def test_torch_tensors_have_no_channel_axis_and_are_single(darcy):
    torch = pytest.importorskip("torch")
    train = torch.load(darcy["pt"] / "darcy_train_8.pt", weights_only=True)
    test = torch.load(darcy["pt"] / "darcy_test_8.pt", weights_only=True)
    assert set(train) == {"x", "y"}
    assert train["x"].shape == train["y"].shape == (6, 8, 8)
    assert test["y"].shape == (1, 8, 8)
    assert {t.dtype for t in (*train.values(), *test.values())} == {torch.float32}


def test_torch_files_can_be_split_otherwise(tmp_path):
    torch = pytest.importorskip("torch")
    make(tmp_path, "pt", FAMILIES["darcy"], test=3)
    assert len(torch.load(tmp_path / "darcy_test_8.pt", weights_only=True)["x"]) == 3
    validate_dataset(tmp_path)


def test_bad_files_of_others_are_explained(tmp_path):
    torch = pytest.importorskip("torch")
    good = torch.zeros(3, 4, 4)
    files = {
        "no x.pt": ({"y": good}, "has no x"),
        "lengths.pt": ({"x": good, "y": good[:2]}, "numbers of samples differ: x 3, y 2"),
        "double.pt": ({"x": good, "y": good.double()}, "y is float64: wanted float32"),
        "nan.pt": ({"x": good, "y": good.index_fill(0, torch.tensor([1]), float("nan"))}, "sample 1: y holds NaN"),
        "list.pt": ([good], "holds a list"),
    }
    for name, (content, words) in files.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(ValueError, match=words):
            validate_dataset(tmp_path / name)
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(ValueError, match="of an unknown kind"):
        validate_dataset(tmp_path / "a.csv")


def test_mat_files_hold_coeff_and_sol_in_single_precision_and_no_date(darcy):
    from scipy.io import loadmat

    path = darcy["mat"] / f"darcy_r8_N{COUNT}.mat"
    content = loadmat(path)
    assert content["coeff"].shape == content["sol"].shape == (COUNT, 8, 8)
    assert content["coeff"].dtype == content["sol"].dtype == np.float32
    assert set(np.unique(content["coeff"])) <= {3.0, 12.0}
    assert path.read_bytes()[:116] == b"MATLAB 5.0 MAT-file, written by ritzkit".ljust(116)


def test_large_mat_files_come_in_parts(tmp_path, monkeypatch):
    from ritzkit.problems.datasets import formats

    monkeypatch.setattr(formats, "MAT_LIMIT", 3 * 4 * 64)
    manifest = make(tmp_path, "mat", FAMILIES["darcy"])
    assert sorted(manifest.files) == [f"darcy_r8_N7_{k}.mat" for k in (1, 2, 3)]
    validate_dataset(tmp_path)


def test_pdebench_files_stack_as_its_loader_does(darcy):
    with h5py.File(darcy["pdebench"] / "2D_darcy_Train.hdf5") as file:
        assert file["tensor"].shape == (COUNT, 1, 8, 8)
        assert file["nu"].shape == (COUNT, 8, 8)
        assert {file[name].dtype for name in ("tensor", "nu", "x-coordinate", "y-coordinate")} == {np.dtype("f4")}
        assert file.attrs["beta"] == 1.0
        np.testing.assert_allclose(file["x-coordinate"], (np.arange(8) + 0.5) / 8)


def test_hdf5_for_neuraloperator_is_the_plain_file(darcy):
    with h5py.File(darcy["h5"] / "darcy.h5") as file:
        assert file["x"].shape == file["y"].shape == (COUNT, 8, 8)
        assert list(file["x"].attrs["inputs"]) == ["coefficient"]


def test_the_well_gets_its_groups(darcy):
    with h5py.File(darcy["well"] / "data" / "train" / "darcy.hdf5") as file:
        assert set(file) == {"dimensions", "boundary_conditions", "scalars", "t0_fields", "t1_fields", "t2_fields"}
        assert file.attrs["n_trajectories"] == 6
        assert list(file["t0_fields"].attrs["field_names"]) == ["coefficient", "u"]
        assert file["t0_fields/u"].shape == (6, 1, 8, 8)
        assert file["t0_fields/coefficient"].attrs["time_varying"] == False  # noqa: E712


# --- the real loaders


def test_the_loader_of_neuraloperator_reads_it(darcy, capsys):
    module = pytest.importorskip("neuralop.data.datasets.pt_dataset")
    data = module.PTDataset(
        root_dir=darcy["pt"],
        dataset_name="darcy",
        n_train=6,
        n_tests=[1],
        batch_size=2,
        test_batch_sizes=[1],
        train_resolution=8,
        test_resolutions=[8],
    )
    sample = data.train_db[3]
    expected = rows(darcy["pt"])[3]
    np.testing.assert_array_equal(sample["x"].numpy()[0], expected[1])
    np.testing.assert_array_equal(sample["y"].numpy()[0], expected[2])
    assert len(data.test_dbs[8]) == 1


@pytest.mark.parametrize("name", ["darcy", "absorbing", "darcy 3-D"])
def test_the_loader_of_the_well_reads_it(tmp_path, name):
    module = pytest.importorskip("the_well.data.datasets")
    make(tmp_path, "well", FAMILIES[name])
    data = module.WellDataset(
        path=str(tmp_path), well_split_name="train", n_steps_input=1, n_steps_output=0, use_normalization=False
    )
    assert len(data) == 6
    sample = data[2]
    _, x, y = rows(tmp_path)[2]
    np.testing.assert_array_equal(sample["constant_fields"][..., 0].numpy(), x)
    fields = sample["input_fields"][0].numpy()
    np.testing.assert_array_equal(fields[..., 0], y.real)
    if name == "absorbing":
        np.testing.assert_array_equal(fields[..., 1], y.imag)


def test_skr_sets_keep_their_scalars(tmp_path):
    make(tmp_path, "h5", SKRDarcy(5))
    with h5py.File(tmp_path / "skr-darcy.h5") as file:
        assert file["scalars"].shape == (COUNT, 0)
    make(tmp_path / "k", "h5", SKRHelmholtz(5))
    with h5py.File(tmp_path / "k" / "skr-helmholtz.h5") as file:
        assert list(file["scalars"].attrs["names"]) == ["wavenumber"]
        assert 0 <= file["scalars"][:].min() < file["scalars"][:].max() < 1
