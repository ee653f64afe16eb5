"""What a reader may rely on in every file: telling names, modules of one idea, no trace of somebody's machine."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
STUBS = ROOT / "protos" / "python" / "pitline"
SKIPPED = {"__pycache__", "node_modules", "dist"}
KEPT_HIDDEN = {".ci", ".gitignore", ".gitattributes", ".dockerignore", ".pre-commit-config.yaml"}

MODULE_LINES_MAX = 400
"""A module has one idea, most have 60 to 200 lines. Beyond this it hides a second one."""

BANNED_NAMES = {"util", "helper", "common", "misc", "manager", "data", "info", "handler", "process"}
"""Words that name no idea. A plural is no better."""

MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(work|root|home/\w+|Users/\w+)(/|\b)")
REGISTRY_HOST = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs|registry\.yarnpkg|proxy\.golang|static\.crates|index\.docker\.io"
)


def test_no_module_is_named_after_a_bucket() -> None:
    banned = [path.relative_to(ROOT) for path in _modules() if _banned(path.stem) or _banned(path.parent.name)]
    assert banned == []


def test_no_class_is_named_after_a_bucket() -> None:
    banned = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in _modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and _banned(re.split(r"(?=[A-Z])", node.name)[-1])
    ]
    assert banned == []


def test_no_module_outgrows_its_idea() -> None:
    # A test module may be one long table.
    modules = [path for path in _modules() if path.relative_to(ROOT).parts[0] != "tests"]
    lines = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in modules}
    assert {path: count for path, count in lines.items() if count > MODULE_LINES_MAX} == {}


def test_no_file_names_a_path_of_one_machine() -> None:
    assert _lines_with(MACHINE_PATH) == []


def test_no_file_names_a_package_registry() -> None:
    assert _lines_with(REGISTRY_HOST) == []


def test_folders_of_tests_hide_no_package() -> None:
    # `tests` is on the path of the tests: tests/ems_service/__init__.py would be imported as ems_service.
    packages = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")}
    assert packages <= {"support", "chaos", "simulation"}


def _banned(name: str) -> bool:
    return name.lower().removesuffix("s") in BANNED_NAMES


def _modules() -> Iterator[Path]:
    """Python written by hand."""
    return (path for path in _files(ROOT) if path.suffix == ".py" and not path.is_relative_to(STUBS))


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    found: list[str] = []
    for path in _files(ROOT):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # a recording or an image
        found += [
            f"{path.relative_to(ROOT)}:{n} {line.strip()}" for n, line in enumerate(lines, 1) if pattern.search(line)
        ]
    return found


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in SKIPPED or (path.name.startswith(".") and path.name not in KEPT_HIDDEN):
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path
