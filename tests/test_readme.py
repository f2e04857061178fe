"""What the README shows is true: its example runs, its links lead somewhere, its commands exist."""

import pathlib
import re

from ritzkit.reports.cli import main

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text()


def test_the_example_runs_and_solves(capsys):
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert blocks
    for block in blocks:
        names: dict = {}
        exec(compile(block, "README.md", "exec"), names)
        assert names["result"].success
    assert "converged" in capsys.readouterr().out


def test_links_lead_to_files():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_commands_exist(capsys):
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", TEXT, re.MULTILINE):
        assert f"\n{target}:" in makefile
    main(["list"])
    listed = capsys.readouterr().out
    for suite in re.findall(r"ritzkit bench (\w+)", TEXT):
        assert suite in listed
