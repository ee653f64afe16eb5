"""The wheel brings every import package at its top level and nothing else, and works away from the repository."""

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    *("ems_service", "paper_broker", "broker_adapters", "pitline", "pitline_rpc", "pitline_broker"),
    *("pitline_client", "pitline_conform", "pitline_cli"),
}

# Imports every module named on standard input and answers with the file of each.
IMPORT_ALL = """
import importlib, json, sys
print(json.dumps({name: importlib.import_module(name).__file__ for name in json.load(sys.stdin)}))
"""

# Answers with those of the folders named on standard input that can be imported.
IMPORTABLE = """
import importlib.util, json, sys
print(json.dumps([name for name in json.load(sys.stdin) if importlib.util.find_spec(name)]))
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """A virtual environment with the wheel in it, and the wheel's own files."""

    folder: Path
    files: tuple[str, ...]

    def run(self, *command: str, asked: object = None) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment outside the repository, with `asked` as JSON on its standard input."""
        return subprocess.run(
            [self.folder / "bin" / command[0], *command[1:]],
            cwd=self.folder,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Build the wheel and install it into an environment of its own; nothing is downloaded."""
    dist, folder = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("venv")
    _succeed("-m", "build", "--wheel", "--no-isolation", "--outdir", str(dist), str(ROOT))
    (wheel,) = dist.glob("*.whl")
    venv.create(folder, symlinks=True)
    _succeed("-m", "pip", "--python", str(folder), "install", "--quiet", "--no-index", "--no-deps", str(wheel))
    # Dependencies come from the environment of the tests. Its own .pth files, and with them the editable install, are
    # not read from a folder that is itself named in a .pth file.
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    with zipfile.ZipFile(wheel) as archive:
        return Installation(folder, tuple(archive.namelist()))


def test_wheel_holds_the_import_packages_at_its_top_level(installation: Installation) -> None:
    top_level = {name.partition("/")[0] for name in installation.files}
    folders = {name for name in top_level if not name.endswith(".dist-info")}
    assert folders == PACKAGES


def test_every_module_is_imported_from_the_wheel(installation: Installation) -> None:
    # Importing a `__main__` would start the program; what needs an extra cannot be imported without it.
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in installation.files
        if name.endswith(".py") and not name.endswith("__main__.py") and not _lacks_quickfix(name)
    ]
    run = installation.run("python", "-I", "-c", IMPORT_ALL, asked=modules)
    assert run.returncode == 0, run.stderr
    origins: dict[str, str] = json.loads(run.stdout)
    assert origins.keys() == set(modules)
    assert [name for name, file in origins.items() if not file.startswith(str(installation.folder))] == []


def test_folders_that_only_hold_packages_are_none_themselves(installation: Installation) -> None:
    run = installation.run("python", "-I", "-c", IMPORTABLE, asked=["clients", "protos", "tests", "docs", "bench"])
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == []


def test_the_command_shows_its_help(installation: Installation) -> None:
    run = installation.run("pitline", "--help")
    assert run.returncode == 0, run.stderr
    assert "Usage" in run.stdout


def _lacks_quickfix(name: str) -> bool:
    return name.startswith("broker_adapters/fix/") and "/core/" not in name and find_spec("quickfix") is None


def _succeed(*arguments: str) -> None:
    run = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
