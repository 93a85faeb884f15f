"""The file of a package's addresses: what it says, and the line of what it should not say."""

from pathlib import Path

import pytest

from tinyloc.errors import DataError
from tinyloc.pipeline.package import read_addresses

POINTS = ("hall", "Küche", "study, left")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a mark of UTF-8"])
@pytest.mark.parametrize("head", ["", "name,address\n", "# name,address\n", "Name , Address\n\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_it_is_read(tmp_path: Path, mark: bytes, head: str, end: str) -> None:
    path = tmp_path / "anchors.csv"
    text = head + 'Küche, 0a:1b:2c:3d:4e:5f\n\n"study, left",0A1B2C3D4E60\n  # the hall has none\n'
    path.write_bytes(mark + text.replace("\n", end).encode())
    assert read_addresses(path, POINTS) == {"Küche": "0a:1b:2c:3d:4e:5f", "study, left": "0A1B2C3D4E60"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hall\n", "line 1, value 'hall': expected name,address"),
        ("name,address\nhall,0A:1B:2C:3D:4E:5F,x\n", "line 2, value 'hall,0A:1B:2C:3D:4E:5F,x': expected"),
        ("# mine\n\nattic,0A:1B:2C:3D:4E:5F\n", "line 3, value 'attic': the model knows no access point"),
        (",0A:1B:2C:3D:4E:5F\n", "line 1, value '': the model knows no access point"),
        ("hall,0A:1B:2C\n", "line 1, value '0A:1B:2C': no address: expected six bytes"),
        ("hall,0A1B2C3D4E5F\nhall,0A1B2C3D4E60\n", "line 2, value 'hall': it is in line 1 already"),
        (
            "hall,0A1B2C3D4E5F\nKüche,0a:1b:2c:3d:4e:5f\n",
            "line 2, value '0a:1b:2c:3d:4e:5f': it is in line 1 already",
        ),
    ],
)
def test_a_mistake_has_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "anchors.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_addresses(path, POINTS)
    assert str(caught.value).startswith(f"{path}, {said}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"hall,\xff\n"], ids=["missing", "no UTF-8"])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "anchors.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        read_addresses(path, POINTS)
