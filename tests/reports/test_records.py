"""Records survive odd numbers, kills in the middle of a line, resuming and changed configurations."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ritzkit.reports.errors import UserError
from ritzkit.reports.fields import decode, encode
from ritzkit.reports.records import Recorder, digest, dumps, environment, plain, read, thin


def test_round_trip_keeps_everything(tmp_path, config, record_of):
    path = tmp_path / "records.jsonl"
    record = record_of(solver="cg", products=7)
    with Recorder(path, config) as recorder:
        recorder.add_environment(environment(2))
        recorder.add("a", record)
    environment_line, back = read(path)
    assert environment_line["versions"]["numpy"] == np.__version__
    assert {k: back[k] for k in record} == plain(record)
    assert back["settings"] == config


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_what_json_cannot_say_is_null(value):
    assert json.loads(dumps({"kind": "solve", "x": value, "deep": [{"y": value}]})) == {
        "kind": "solve",
        "x": None,
        "deep": [{"y": None}],
    }


def test_every_record_is_on_disk_when_add_returns(tmp_path, config, record_of):
    path = tmp_path / "records.jsonl"
    recorder = Recorder(path, config)
    recorder.add("a", record_of())
    assert len(read(path)) == 1
    recorder.close()


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_truncated_last_line_is_ignored_and_repaired(tmp_path, config, record_of, cut):
    path = tmp_path / "records.jsonl"
    with Recorder(path, config) as recorder:
        recorder.add("a", record_of(solver="cg"))
        recorder.add("b", record_of(solver="mic-cg"))
    whole = path.read_bytes()
    path.write_bytes(whole[: -cut - 1])
    assert [r["solver"] for r in read(path)] == ["cg"]
    with Recorder(path, config, resume=True) as recorder:
        assert recorder.has("a")
        assert not recorder.has("b")
        recorder.add("b", record_of(solver="mic-cg"))
    assert path.read_bytes() == whole


def test_missing_line_end_loses_nothing(tmp_path, config, record_of):
    path = tmp_path / "records.jsonl"
    with Recorder(path, config) as recorder:
        recorder.add("a", record_of())
    path.write_bytes(path.read_bytes()[:-1])
    with Recorder(path, config, resume=True) as recorder:
        assert recorder.has("a")
        recorder.add("b", record_of())
    assert len(read(path)) == 2


def test_garbage_in_the_middle_is_named_with_its_line(tmp_path, config, record_of):
    path = tmp_path / "records.jsonl"
    with Recorder(path, config) as recorder:
        recorder.add("a", record_of())
    path.write_bytes(path.read_bytes() + b"not json\n" + path.read_bytes())
    with pytest.raises(UserError, match=r"records\.jsonl, line 2: not a benchmark record"):
        read(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threads": 1}, "threads 2 -> 1"),
        ({"seed": 3, "rtol": 1e-6}, "rtol 1e-08 -> 1e-06, seed 0 -> 3"),
        ({"environment": "other"}, "environment e -> other"),
    ],
)
def test_resume_refuses_another_configuration_and_leaves_the_file_alone(tmp_path, config, record_of, change, said):
    path = tmp_path / "records.jsonl"
    with Recorder(path, config) as recorder:
        recorder.add("a", record_of())
    before = path.read_bytes()
    with pytest.raises(UserError) as error:
        Recorder(path, {**config, **change}, resume=True)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before


def test_a_fresh_start_sets_older_records_aside(tmp_path, config, record_of):
    path = tmp_path / "records.jsonl"
    with Recorder(path, config) as recorder:
        recorder.add("a", record_of())
    with Recorder(path, config) as recorder:
        assert not recorder.has("a")
    assert len(read(tmp_path / "records.previous.jsonl")) == 1


def test_a_failure_closes_its_other_repeats(tmp_path, config, record_of):
    path = tmp_path / "records.jsonl"
    with Recorder(path, config) as recorder:
        recorder.add("a0", {**record_of(solved=False), "closes": ["a1", "a2"]})
    with Recorder(path, config, resume=True) as recorder:
        assert all(recorder.has(key) for key in ("a0", "a1", "a2"))


def test_environment_is_written_once(tmp_path, config):
    path = tmp_path / "records.jsonl"
    for _ in range(2):
        with Recorder(path, config, resume=True) as recorder:
            recorder.add_environment(environment(2))
    assert len(read(path)) == 1


def test_environment_holds_no_date():
    assert not {"date", "time", "host", "user"} & set(environment(1))


@pytest.mark.parametrize("length", [0, 1, 299, 300, 301, 5000])
def test_thinned_history_keeps_its_ends_and_its_order(length):
    column = np.arange(length, dtype=float)
    thinned = thin({"residual": column, "products": 2 * column})
    assert len(thinned["residual"]) == min(length, len(thinned["residual"])) <= 300
    assert thinned["products"] == [2 * v for v in thinned["residual"]]
    if length:
        assert thinned["residual"][0] == 0
        assert thinned["residual"][-1] == length - 1
        assert sorted(set(thinned["residual"])) == thinned["residual"]


def test_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [1.5, None]}) == digest({"b": (1.5, math.nan), "a": np.int64(1)})
    assert digest({"a": 1}) != digest({"a": 2})


def test_fields_are_right_to_their_quantisation_and_keep_the_mask():
    rng = np.random.default_rng(0)
    field = rng.standard_normal((17, 9)) * 1e-7 + 3.0
    field[2, 3] = np.nan
    back = decode(json.loads(json.dumps(encode(field))))
    span = np.nanmax(field) - np.nanmin(field)
    assert np.isnan(back[2, 3])
    assert np.nanmax(np.abs(back - field)) <= span / 65534
    np.testing.assert_array_equal(decode(encode(np.full((2, 2), 5.0))), 5.0)


def test_compressed_records_are_read_and_damaged_ones_refused(tmp_path):
    import gzip

    line = b'{"kind": "environment"}\n'
    (tmp_path / "records.jsonl.gz").write_bytes(gzip.compress(2 * line))
    assert len(read(tmp_path)) == len(read(tmp_path / "records.jsonl.gz")) == 2
    (tmp_path / "records.jsonl.gz").write_bytes(gzip.compress(2 * line)[:-9])
    with pytest.raises(UserError, match="not a whole gzip file"):
        read(tmp_path)
