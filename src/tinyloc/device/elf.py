"""The few things read from a linked program: sections, symbols, load segments."""

from __future__ import annotations

import bisect
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from tinyloc.errors import DeviceError

BROKEN = (ELFError, KeyError, ValueError, IndexError, AttributeError, TypeError, struct.error)
"""What pyelftools lets escape from a file that is cut or no ELF."""

SHT_NOBITS = "SHT_NOBITS"
SHF_ALLOC = 0x2
MACHINES = ("EM_ARM", "EM_RISCV", "EM_AVR")


@dataclass(frozen=True)
class Section:
    """An allocated section: address and size in bytes, and whether the file holds its content."""

    address: int
    size: int
    stored: bool


@dataclass(frozen=True)
class Program:
    """A linked program, as far as it matters here."""

    segments: tuple[tuple[int, bytes], ...]
    """Load address and content of each segment that goes to flash."""
    sections: dict[str, Section]
    symbols: dict[str, int]
    """Address of each named symbol, Thumb bit cleared for functions."""
    functions: tuple[tuple[int, int, str], ...]
    """(start, end, name) of each function, ascending; assembly may give no size, so that start is end."""

    def word(self, symbol: str) -> int:
        """The 32-bit little-endian constant at `symbol`."""
        address = self.symbols[symbol]
        return int(struct.unpack("<I", self.read(address, 4))[0])

    def read(self, address: int, count: int) -> bytes:
        """`count` bytes of the flash image from `address`."""
        for start, data in self.segments:
            if start <= address and address + count <= start + len(data):
                return data[address - start : address - start + count]
        raise DeviceError(f"address {address:#x} lies outside the program")

    def section_bytes(self, name: str) -> int:
        """Size of a section in bytes, 0 when it is absent."""
        section = self.sections.get(name)
        return section.size if section else 0

    def function_at(self, address: int) -> str:
        """The function that `address` lies in, or ``?``."""
        index = bisect.bisect_right(self.functions, (address, 0xFFFF_FFFF, "")) - 1
        if index < 0:
            return "?"
        start, end, name = self.functions[index]
        return name if address < end or start == end else "?"


def read_program(path: Path) -> Program:
    """Read an ELF file. Raises DeviceError when it is missing or is none."""
    try:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            if elf["e_machine"] not in MACHINES:
                raise DeviceError(f"{path}: a program for {elf['e_machine']}, not for one of our cores")
            segments = tuple(
                (int(segment["p_paddr"]), bytes(segment.data()))
                for segment in elf.iter_segments("PT_LOAD")
                if segment["p_filesz"]
            )
            sections = {
                section.name: Section(
                    int(section["sh_addr"]), int(section["sh_size"]), section["sh_type"] != SHT_NOBITS
                )
                for section in elf.iter_sections()
                if section["sh_flags"] & SHF_ALLOC
            }
            table: Any = elf.get_section_by_name(".symtab")
            symbols: dict[str, int] = {}
            functions: dict[int, tuple[int, int, str]] = {}
            # libgcc's and avr-libc's assembly names its functions without saying that they are such
            text = elf.get_section_index(".text") if elf["e_machine"] == "EM_AVR" else None
            for symbol in table.iter_symbols() if table else ():
                address = int(symbol["st_value"])
                kind = symbol["st_info"]["type"]
                if kind == "STT_NOTYPE" and text and symbol["st_shndx"] == text and symbol.name:
                    functions.setdefault(address, (address, address, symbol.name))
                if kind == "STT_FUNC":
                    address &= ~1
                    functions[address] = (address, address + int(symbol["st_size"]), symbol.name)
                if symbol.name and not symbol.name.startswith("$"):
                    symbols[symbol.name] = address
    except OSError as error:
        raise DeviceError(f"{path}: no program there ({error.strerror or error})") from error
    except BROKEN as error:
        raise DeviceError(f"{path}: not a program (no readable ELF)", hint="Build it again.") from error
    if not segments:
        raise DeviceError(f"{path}: an ELF without a program in it", hint="Build it again.")
    return Program(segments, sections, symbols, tuple(sorted(functions.values())))
