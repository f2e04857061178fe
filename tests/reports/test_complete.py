"""``ritzkit complete``: triplet files in all their forms, the hold-out error, the saved model, mistakes in one line."""

from __future__ import annotations

import numpy as np
import pytest

from ritzkit.reports import cli
from ritzkit.reports.complete_command import read_triplets
from ritzkit.reports.errors import UserError
from ritzkit.solvers import load_completion


@pytest.fixture
def ratings(tmp_path):
    """A file of ratings whose names are numbers with gaps, and what it holds."""
    rng = np.random.default_rng(0)
    m, n = 60, 40
    matrix = 3.0 + rng.standard_normal((m, 2)) @ rng.standard_normal((2, n)) + rng.standard_normal(m)[:, None]
    rows, cols = np.divmod(rng.choice(m * n, 1500, replace=False), n)
    values = np.round(matrix[rows, cols], 3)
    path = tmp_path / "ratings.csv"
    lines = [f"{7 * i + 3},{100 - j},{y},96498{k}" for k, (i, j, y) in enumerate(zip(rows, cols, values, strict=True))]
    path.write_text("user,item,rating,time\n" + "\n".join(lines) + "\n")
    return path, rows, cols, values, matrix


FORMS = {
    "commas": "1,10,2.5\n1,20,3\n4,10,1\n",
    "header": "user,item,rating\n1,10,2.5\n1,20,3\n4,10,1\n",
    "tabs and time": "1\t10\t2.5\t881250949\n1\t20\t3\t881250949\n4\t10\t1\t1\n",
    "double colons": "1::10::2.5::978300760\n1::20::3::978300760\n4::10::1::9\n",
    "semicolons": "1;10;2.5\n1;20;3\n4;10;1\n",
    "blanks and comments": "% observed\n1 10 2.5\n\n1 20 3\n# more\n4  10  1\n",
    "no last newline": "1,10,2.5\n1,20,3\n4,10,1",
}


@pytest.mark.parametrize("form", list(FORMS))
def test_every_form_of_file_is_the_same_data(tmp_path, form):
    path = tmp_path / "data.txt"
    path.write_text(FORMS[form])
    data = read_triplets(str(path))
    assert data.shape == (2, 2)
    assert data.row_names.tolist() == [1, 4]
    assert data.col_names.tolist() == [10, 20]
    assert list(zip(data.rows.tolist(), data.cols.tolist(), data.values.tolist(), strict=True)) == [
        (0, 0, 2.5),
        (0, 1, 3.0),
        (1, 0, 1.0),
    ]


def test_names_may_be_text_even_late_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("ritzkit.reports.complete_command._LINES", 2)
    path = tmp_path / "data.csv"
    path.write_text("1,x,1\n2,y,2\nanna,x,3\n1,z,4\n")
    data = read_triplets(str(path), float32=True)
    assert data.row_names.tolist() == ["1", "2", "anna"]
    assert data.col_names.tolist() == ["x", "y", "z"]
    assert data.rows.tolist() == [0, 1, 2, 0]
    assert data.values.dtype == np.float32


MISTAKES = {
    "missing": (None, "no such file"),
    "empty": ("", "no entries"),
    "only a header": ("user,item,rating\n", "a header but no entries"),
    "two columns": ("1,2\n", "wanted a row, a column and a number"),
    "broken line": ("1,2,3\n1,3\n", "entry 2 is '1,3'"),
    "no number": ("1,2,3\n1,3,good\n", "entry 2 is '1,3,good'"),
}


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_broken_files_are_named(tmp_path, mistake):
    content, text = MISTAKES[mistake]
    path = tmp_path / "data.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=text):
        read_triplets(str(path))


def test_ratings_are_fitted_held_out_and_saved(ratings, tmp_path, capsys):
    path, rows, cols, values, matrix = ratings
    out = tmp_path / "model.npz"
    arguments = ["complete", str(path), "--rank", "2", "--ridge", "0.001", "--holdout", "0.1", "--out", str(out)]
    assert cli.main([*arguments, "--threads", "1"]) == 0
    printed = capsys.readouterr().out
    assert "60 rows, 40 columns, 1,500 entries" in printed
    held = float(printed.split("150 held-out entries: ")[1].split()[0])
    assert held < 0.1 * values.std()
    model = load_completion(out)
    with np.load(out) as file:
        names = file["row_names"], file["col_names"]
    assert names[0].tolist() == [7 * i + 3 for i in range(60)]
    place = names[0].searchsorted(7 * rows + 3), names[1].searchsorted(100 - cols)
    assert np.abs(model.predict(*place) - matrix[rows, cols]).max() < 0.5


def test_exact_data_are_completed_without_a_ridge(tmp_path, capsys):
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((40, 2)) @ rng.standard_normal((2, 30))
    rows, cols = np.nonzero(rng.random(matrix.shape) < 0.6)
    path = tmp_path / "exact.tsv"
    path.write_text("".join(f"{i}\t{j}\t{matrix[i, j]:.17g}\n" for i, j in zip(rows, cols, strict=True)))
    assert cli.main(["complete", str(path), "--rank", "2", "--ridge", "0", "--holdout", "0"]) == 0
    assert "converged" in capsys.readouterr().out
    assert cli.main(["complete", str(path), "--rank", "1", "--ridge", "0"]) == 1
    assert "stagnation" in capsys.readouterr().err


REFUSED = {
    "rank above": (["--rank", "99"], "rank is 99: wanted at most 40"),
    "no rank": ([], "--rank"),
    "method": (["--rank", "2", "--method", "magic"], "--method magic: unknown"),
    "ridge elsewhere": (["--rank", "2", "--method", "rcg", "--ridge", "1"], "--ridge: only the method altmin"),
    "holdout": (["--rank", "2", "--holdout", "1.5"], "below 1"),
    "out": (["--rank", "2", "--out", "model.txt"], "ends in .npz"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_mistakes_are_one_line(ratings, capsys, case):
    arguments, text = REFUSED[case]
    assert cli.main(["complete", str(ratings[0]), *arguments]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1


def test_duplicates_are_named_as_the_file_names_them(tmp_path, capsys):
    path = tmp_path / "data.csv"
    path.write_text("u5,a,1\nu5,b,2\nu7,a,3\nu5,b,4\n")
    assert cli.main(["complete", str(path), "--rank", "1", "--holdout", "0"]) == 2
    assert "entry (u5, b) more than once" in capsys.readouterr().err
