"""What the manifests of package systems must hold, as their public documentation says.

Arduino: "Library specification" (arduino.github.io/arduino-cli) and the schema of arduino-lint. PlatformIO:
"library.json" (docs.platformio.org). Zephyr: "Modules (External projects)" (docs.zephyrproject.org). ESP-IDF:
"idf_component.yml Manifest File" (docs.espressif.com/projects/idf-component-manager) and "Build System".
"""

import json
import re
from pathlib import Path

SEMANTIC = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
CATEGORIES = {
    "Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing", "Data Storage",
    "Data Processing", "Other",
}  # fmt: skip


def arduino(folder: Path) -> None:
    """library.properties, sources below src, one folder of its own name for each sketch."""
    lines = (folder / "library.properties").read_text().splitlines()
    said = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    for name in ("name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url",
                 "architectures"):  # fmt: skip
        assert said[name].strip(), name
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}", said["name"])
    assert not said["name"].lower().startswith("arduino")
    assert SEMANTIC.fullmatch(said["version"])
    assert said["category"] in CATEGORIES
    assert said["url"].startswith("https://")
    for header in said["includes"].split(","):
        assert (folder / "src" / header.strip()).is_file()
    assert not (folder / "utility").exists(), "a library with src has no utility folder"
    assert not list(folder.glob("*.c")) + list(folder.glob("*.h")), "sources lie in src"
    sketches = list((folder / "examples").rglob("*.ino"))
    assert len(sketches) == 2
    assert all(sketch.stem == sketch.parent.name for sketch in sketches)


def platformio(folder: Path) -> None:
    """library.json."""
    said = json.loads((folder / "library.json").read_text())
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", said["name"])
    assert len(said["name"]) <= 50
    assert SEMANTIC.fullmatch(said["version"])
    assert len(said["version"]) <= 20
    assert 0 < len(said["description"]) <= 255
    assert re.fullmatch(r"[a-z0-9 ,-]+", said["keywords"])
    assert said["frameworks"] == said["platforms"] == "*"
    source = folder / said["build"]["srcDir"]
    assert (source / "tinyloc_model.c").is_file()
    assert all((folder / said["build"]["includeDir"] / header).is_file() for header in said["headers"])
    for example in said["examples"]:
        assert all((folder / example["base"] / name).is_file() for name in example["files"])


def zephyr(folder: Path) -> None:
    """zephyr/module.yml names a folder with CMakeLists.txt and a Kconfig; an application beside it."""
    said = tree(folder / "zephyr" / "module.yml")
    assert re.fullmatch(r"[a-z0-9_-]+", str(said["name"]))
    assert set(said) <= {"name", "build", "tests", "samples", "boards"}
    build = said["build"]
    assert isinstance(build, dict)
    assert set(build) == {"cmake", "kconfig"}
    cmake = folder / str(build["cmake"]) / "CMakeLists.txt"
    kconfig = (folder / str(build["kconfig"])).read_text()
    (symbol,) = re.findall(r"^config ([A-Z][A-Z0-9_]*)$", kconfig, re.MULTILINE)
    assert re.search(r'^\tbool "[^"]+"$', kconfig, re.MULTILINE)
    assert f"CONFIG_{symbol}" in cmake.read_text()
    _named(cmake)
    sample = folder / "samples" / "selftest"
    text = (sample / "CMakeLists.txt").read_text()
    order = [text.index(word) for word in ("cmake_minimum_required", "find_package(Zephyr", "project(")]
    assert order == sorted(order), "the boilerplate stands in this order"
    assert "target_sources(app PRIVATE src/main.c)" in text
    assert (sample / "src" / "main.c").is_file()
    assert f"CONFIG_{symbol}=y" in (sample / "prj.conf").read_text().splitlines()


def esp_idf(folder: Path) -> None:
    """idf_component.yml, a registered component, a project beside it that depends on it by its path."""
    said = tree(folder / "idf_component.yml")
    assert SEMANTIC.fullmatch(str(said["version"]))
    assert said["description"]
    assert said["license"] == "MIT"
    needs = said["dependencies"]
    assert isinstance(needs, dict)
    assert re.fullmatch(r">=\d+\.\d+", str(needs["idf"]))
    text = _named(folder / "CMakeLists.txt")
    assert re.search(r'idf_component_register\(.*SRCS.*INCLUDE_DIRS "src"', text, re.DOTALL)
    project = folder / "examples" / "selftest"
    assert "$ENV{IDF_PATH}/tools/cmake/project.cmake" in (project / "CMakeLists.txt").read_text()
    assert "void app_main(void)" in (project / "main" / "main.c").read_text()
    needs = tree(project / "main" / "idf_component.yml")["dependencies"]
    assert isinstance(needs, dict)
    path = needs["tinyloc_model"]
    assert isinstance(path, dict)
    assert (project / "main" / str(path["path"])).resolve() == folder.resolve()


def tree(path: Path) -> dict[str, object]:
    """The part of YAML that the manifests are written in: names, values, deeper by two spaces."""
    root: dict[str, object] = {}
    levels = [root]
    for line in path.read_text().splitlines():
        depth, (name, value) = (len(line) - len(line.lstrip())) // 2, line.strip().split(":", 1)
        del levels[depth + 1 :]
        text = value.strip()
        if text:
            levels[depth][name] = json.loads(text) if text.startswith('"') else text
        else:
            levels.append({})
            levels[depth][name] = levels[-1]
    return root


def _named(cmake: Path) -> str:
    """The text of a CMakeLists.txt that names every source of the package, each of which is there."""
    text = cmake.read_text()
    named = {(cmake.parent / name).resolve() for name in re.findall(r"[\w./]+\.c", text)}
    source = next(path.parent for path in named)
    assert named == {path.resolve() for path in source.glob("*.c")}
    return text
