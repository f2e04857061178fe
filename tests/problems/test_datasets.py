"""Datasets: the same bytes in every run, however it is interrupted; failures said aloud; damage found."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from ritzkit.linalg.threads import thread_limit
from ritzkit.problems import Darcy, Family, MeshPoisson, Poisson, SKRThermal, generate, validate_dataset
from ritzkit.problems.datasets import ARMS, Manifest
from ritzkit.problems.datasets.chunk import draw, shard_path
from ritzkit.problems.datasets.storage import locked, read_shard, write_shard
from ritzkit.solvers import cg

h5py = pytest.importorskip("h5py")

FAMILY = Darcy(12)
COUNT, CHUNK = 11, 4


def make(out, family=FAMILY, count=COUNT, *, seed=5, workers=1, chunk=CHUNK, **more):
    return generate(family, count, out, seed=seed, workers=workers, chunk=chunk, **more)


def contents(folder):
    """Bytes of everything but the log of seconds."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name != "log.jsonl"
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    make(folder)
    return folder


def test_a_run_leaves_data_and_manifest_alone(undisturbed):
    assert sorted(contents(undisturbed)) == ["darcy.h5", "manifest.json"]
    manifest = Manifest.load(undisturbed)
    assert manifest.success
    assert len(manifest.residuals) == COUNT
    assert max(manifest.residuals) <= 1e-6
    assert "seconds" not in (undisturbed / "manifest.json").read_text()
    log = [json.loads(line) for line in (undisturbed / "log.jsonl").read_text().splitlines()]
    assert sum(entry["samples"] for entry in log) == COUNT
    assert min(entry["solve_seconds"] for entry in log) > 0


def test_labels_solve_their_systems(undisturbed):
    children = np.random.SeedSequence(5).spawn(COUNT)
    with h5py.File(undisturbed / "darcy.h5") as file:
        for index, child in enumerate(children):
            problem = FAMILY.sample(np.random.default_rng(child))
            assert np.array_equal(file["x"][index], problem.fields["coefficient"])
            rest = problem.b - problem.A @ file["y"][index].ravel()
            assert np.linalg.norm(rest) <= 1e-6 * np.linalg.norm(problem.b)


@pytest.mark.parametrize("order", ["greedy", "random", "none"])
def test_the_order_changes_no_input_and_labels_only_within_the_tolerance(undisturbed, tmp_path, order):
    make(tmp_path, order=order, solver="cg-ic")
    with h5py.File(undisturbed / "darcy.h5") as one, h5py.File(tmp_path / "darcy.h5") as other:
        assert np.array_equal(one["x"], other["x"])
        np.testing.assert_allclose(one["y"], other["y"], atol=1e-4 * np.abs(one["y"]).max())


def test_two_workers_write_the_bytes_of_one(undisturbed, tmp_path):
    make(tmp_path, workers=2)
    assert contents(tmp_path) == contents(undisturbed)


def test_any_executor_will_do(undisturbed, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        make(tmp_path, executor=pool)
    assert contents(tmp_path) == contents(undisturbed)


@pytest.mark.parametrize("solver", ["auto", "sequence", "superlu"])
def test_the_number_of_threads_changes_no_bit(tmp_path, solver):
    for threads in (1, 2):
        with thread_limit(threads):
            make(tmp_path / str(threads), solver=solver, count=5)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_a_longer_dataset_begins_with_the_shorter_one(undisturbed, tmp_path):
    make(tmp_path, count=COUNT + 3)
    whole = COUNT // CHUNK * CHUNK
    with h5py.File(undisturbed / "darcy.h5") as one, h5py.File(tmp_path / "darcy.h5") as other:
        assert np.array_equal(one["x"][:], other["x"][:COUNT])
        assert np.array_equal(one["y"][:whole], other["y"][:whole])


class Stop:
    """A callback that presses Ctrl-C when enough samples are done."""

    def __init__(self, after):
        self.after = after

    def __call__(self, done, count):
        if done >= self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_finished_chunks_and_says_how_to_go_on(undisturbed, tmp_path, workers):
    with pytest.raises(KeyboardInterrupt, match=r"of 11 samples are in .* resume=True"):
        make(tmp_path, workers=workers, callback=Stop(4))
    assert not (tmp_path / "manifest.json").exists()
    kept = list((tmp_path / "shards").glob("*.shard"))
    assert kept
    calls = []
    make(tmp_path, callback=lambda done, count: calls.append((done, count)))
    assert calls[0][0] >= 3
    assert calls[-1] == (COUNT, COUNT)
    assert contents(tmp_path) == contents(undisturbed)


DAMAGES = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "one bit": lambda path: path.write_bytes(path.read_bytes()[:500] + b"\x7f" + path.read_bytes()[501:]),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_shards_are_made_again(undisturbed, tmp_path, damage):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, callback=Stop(COUNT))
    damage(shard_path(tmp_path / "shards", 1))
    leftover = tmp_path / "shards" / "chunk-000002.shard.partial-1"
    leftover.write_bytes(b"half")
    calls = []
    make(tmp_path, callback=lambda done, count: calls.append(done))
    assert calls == [COUNT - CHUNK, COUNT]
    assert contents(tmp_path) == contents(undisturbed)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", ["darcy.h5", "manifest.json"])
def test_damaged_files_are_found_and_made_again(undisturbed, tmp_path, damage, name):
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    damage(tmp_path / name)
    with pytest.raises((ValueError, FileNotFoundError), match=name if "h5" not in name else "darcy"):
        validate_dataset(tmp_path)
    make(tmp_path)
    assert contents(tmp_path) == contents(undisturbed)


def test_a_finished_dataset_is_not_made_again(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "darcy.h5").stat().st_mtime_ns
    calls = []
    manifest = make(tmp_path, callback=lambda done, count: calls.append(done))
    assert calls == [COUNT]
    assert (tmp_path / "darcy.h5").stat().st_mtime_ns == before
    assert manifest.files == Manifest.load(undisturbed).files


# --- honesty


class Weak:
    """Conjugate gradients that give up early on every third system."""

    calls = 0

    def __init__(self, rtol):
        self.rtol = rtol

    def solve(self, A, b):
        Weak.calls += 1
        return cg(A, b, rtol=self.rtol, maxiter=2 if Weak.calls % 3 == 0 else None)


def test_a_failed_sample_is_listed_and_has_no_label(tmp_path):
    Weak.calls = 0
    manifest = make(tmp_path, solver=Weak, order="none", count=7)
    assert [entry["index"] for entry in manifest.failed] == [2, 5]
    assert not manifest.success
    assert all(entry["residual"] > 1e-6 for entry in manifest.failed)
    with h5py.File(tmp_path / "darcy.h5") as file:
        bad = np.isnan(file["y"][:]).all(axis=(1, 2))
        assert np.flatnonzero(bad).tolist() == [2, 5]
        assert np.isfinite(file["y"][:][~bad]).all()
    with pytest.raises(ValueError, match=r"sample 2 has no label: .* \(2 of 7 samples failed\)"):
        validate_dataset(tmp_path)


class Liar(Weak):
    """Says that it has converged when it has not."""

    def solve(self, A, b):
        import dataclasses

        result = cg(A, b, rtol=self.rtol)
        return dataclasses.replace(result, x=result.x * 1.001)


def test_residuals_are_recomputed_not_believed(tmp_path):
    manifest = make(tmp_path, solver=Liar, count=2)
    assert [entry["index"] for entry in manifest.failed] == [0, 1]
    assert manifest.residuals == pytest.approx([1e-3, 1e-3], rel=0.05)


@pytest.mark.parametrize("index", [0, 6, COUNT - 1])
@pytest.mark.parametrize("name", ["x", "y"])
def test_validation_names_the_first_bad_sample(undisturbed, tmp_path, index, name):
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    with h5py.File(tmp_path / "darcy.h5", "r+") as file:
        for k in {index, COUNT - 1}:
            file[name][k, 3, 4] *= 1.0 + 1e-3
    words = "its residual is" if name == "y" else "its input is not the one"
    with pytest.raises(ValueError, match=rf"sample {index}: {words}"):
        validate_dataset(tmp_path)


def test_changed_bytes_that_no_sample_shows_are_named_too(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    with h5py.File(tmp_path / "darcy.h5", "r+") as file:
        file.attrs["family"] = "poisson"
    with pytest.raises(ValueError, match=r"darcy\.h5: its bytes are not those of the manifest"):
        validate_dataset(tmp_path)


def test_validation_counts_and_returns_the_manifest(undisturbed):
    seen = []
    assert validate_dataset(undisturbed, callback=lambda done, count: seen.append(done)).count == COUNT
    assert seen == list(range(1, COUNT + 1))
    assert validate_dataset(undisturbed / "darcy.h5").count == COUNT
    with pytest.raises(FileNotFoundError, match="nowhere"):
        validate_dataset(undisturbed / "nowhere")


@dataclass(frozen=True)
class Homemade(Family):
    """A family that is in no list."""

    family_name: ClassVar[str] = "homemade"
    n: int = 6

    def sample(self, rng=None):
        return Poisson((self.n, self.n), rhs="smooth").sample(rng)


def test_families_of_ones_own_work_and_validate_when_given(tmp_path):
    manifest = make(tmp_path, Homemade(), count=3)
    assert manifest.config["family"] == {"family": "homemade", "n": 6}
    assert validate_dataset(tmp_path) is not None
    validate_dataset(tmp_path, family=Homemade())
    with pytest.raises(ValueError, match=r"sample 0: its (label|input)"):
        validate_dataset(tmp_path, family=Poisson((6, 6), rhs="random"))


@pytest.mark.parametrize("solver", [name for name in ARMS if name not in ("auto",)])
def test_every_arm_makes_valid_labels(tmp_path, solver):
    manifest = make(tmp_path, Darcy(8, "lognormal"), count=3, solver=solver)
    assert manifest.success
    validate_dataset(tmp_path)


def test_meshes_are_stored_with_their_nodes(tmp_path):
    make(tmp_path, SKRThermal(4), count=3)
    validate_dataset(tmp_path)
    with h5py.File(tmp_path / "skr-thermal.h5") as file:
        assert file["points"].shape == (file["y"].shape[1], 2)
        assert list(file["scalars"].attrs["names"]) == ["flux", "temperature"]
        assert file["y"][:, file["points"][:, 0] == -0.5] == pytest.approx(
            np.repeat(file["scalars"][:, 1:], 9 * 2 - 1, axis=1)[:, : (file["points"][:, 0] == -0.5).sum()]
        )


# --- bad input


BAD = {
    "family": (lambda out: make(out, "darzy"), ValueError, "family is 'darzy'"),
    "family of no kind": (lambda out: make(out, 3), TypeError, "family is a int"),
    "count": (lambda out: make(out, count=0), ValueError, "count is 0"),
    "seed": (lambda out: make(out, seed=-1), ValueError, "seed is -1"),
    "rtol": (lambda out: make(out, rtol=1.0), ValueError, "rtol is 1"),
    "solver": (lambda out: make(out, solver="magic"), ValueError, "solver is 'magic'"),
    "solver of no kind": (lambda out: make(out, solver=3), TypeError, "solver is 3"),
    "order": (lambda out: make(out, order="best"), ValueError, "order is 'best'"),
    "workers": (lambda out: make(out, workers=0), ValueError, "workers is 0"),
    "executor": (lambda out: make(out, executor="slurm"), ValueError, "executor is 'slurm'"),
    "executor of no kind": (lambda out: make(out, executor=3), TypeError, "executor is 3"),
    "format": (lambda out: make(out, format="csv"), ValueError, "format is 'csv'"),
    "chunk": (lambda out: make(out, chunk=0), ValueError, "chunk is 0"),
    "test without a test set": (lambda out: make(out, test=2), ValueError, "has no test set"),
    "more tests than samples": (lambda out: make(out, test=11, format="pt"), ValueError, "test is 11"),
    "one mesh for each": (lambda out: make(out, MeshPoisson(4, rhs="ones")), ValueError, "another mesh or shape"),
}


@pytest.mark.parametrize(("call", "error", "words"), BAD.values(), ids=BAD)
def test_bad_arguments_are_named(tmp_path, call, error, words):
    with pytest.raises(error, match=words):
        call(tmp_path / "new")


@pytest.mark.parametrize(("name", "package"), [("mpi4py", "mpi4py"), ("dask", "distributed")])
def test_a_missing_cluster_package_is_named(tmp_path, name, package):
    try:
        __import__(package)
    except ImportError:
        with pytest.raises(ImportError, match=f"the package {package} is not installed"):
            make(tmp_path, executor=name)
    else:
        pytest.skip(f"{package} is installed")


def test_another_configuration_does_not_mix_in(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    with pytest.raises(ValueError, match=r"another configuration \(seed: 5, now 6\)"):
        make(tmp_path, seed=6)
    with pytest.raises(ValueError, match="there is a dataset in it"):
        make(tmp_path, resume=False)
    assert contents(tmp_path) == contents(undisturbed)
    with pytest.raises(ValueError, match="there is a file of that name"):
        make(tmp_path / "darcy.h5")


def test_one_run_at_a_time(tmp_path):
    with locked(tmp_path), pytest.raises(ValueError, match="another run is writing"):
        make(tmp_path)
    make(tmp_path, count=1)


def test_shards_come_back_as_they_were(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([True, False])}
    write_shard(tmp_path / "s", arrays)
    again = read_shard(tmp_path / "s")
    assert all(np.array_equal(arrays[k], again[k]) for k in arrays)
    assert [p.name for p in tmp_path.iterdir()] == ["s"]
    assert read_shard(tmp_path / "t") is None


def test_drawing_is_that_of_the_spawned_seed():
    child = np.random.SeedSequence(9).spawn(4)[3]
    expected = FAMILY.sample(np.random.default_rng(child)).fields["coefficient"]
    assert np.array_equal(draw(FAMILY, 9, 3).fields["coefficient"], expected)
