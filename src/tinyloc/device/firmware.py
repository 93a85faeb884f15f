"""A program linked for a board, and how many bytes of each kind it takes there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tinyloc.device.boards import Board
from tinyloc.device.elf import Program, read_program
from tinyloc.errors import DeviceError

HARNESS_SECTION = ".harness"
HARNESS_RAM_SECTION = ".harness_bss"


@dataclass(frozen=True)
class Firmware:
    """An ELF for a board, with its memory accounts. All sizes in bytes."""

    elf: Path
    board: Board
    compiler: str
    """Name and version of what built it, for the page."""
    ram_bytes: int
    """The RAM the emulated machine will have: the budget, to the byte."""
    flash_budget_bytes: int

    @cached_property
    def program(self) -> Program:
        """The ELF's content. Raises DeviceError when it is not one of ours."""
        program = read_program(self.elf)
        if "tinyloc_harness_record_bytes" not in program.symbols or HARNESS_SECTION not in program.sections:
            raise DeviceError(f"{self.elf}: a program without the tinyloc harness", hint="Build it again.")
        return program

    @property
    def text_bytes(self) -> int:
        """Machine code of the model and the library functions it calls."""
        return self.program.section_bytes(".text")

    @property
    def constant_bytes(self) -> int:
        """Weights and tables in flash."""
        return sum(self.program.section_bytes(name) for name in (".rodata", ".ARM.extab", ".ARM.exidx"))

    @property
    def data_bytes(self) -> int:
        """Initialised variables: as many bytes of RAM, and again of flash for their initial values."""
        return self.program.section_bytes(".data")

    @property
    def bss_bytes(self) -> int:
        """Zeroed variables of the model: its state, one sample and one result among them."""
        return self.program.section_bytes(".bss")

    @property
    def harness_bytes(self) -> int:
        """Flash taken by vectors, start-up, harness and port."""
        return self.program.section_bytes(HARNESS_SECTION)

    @property
    def flash_bytes(self) -> int:
        """All that is linked into flash, harness, start-up and padding included."""
        origin = self.board.cpu.flash_origin
        return max(start + len(data) for start, data in self.program.segments) - origin

    @property
    def model_flash_bytes(self) -> int:
        """Flash of the model alone: text, constants and initial values, without harness and start-up."""
        return self.text_bytes + self.constant_bytes + self.data_bytes

    @property
    def static_ram_bytes(self) -> int:
        """RAM known before anything runs: data and bss, the harness's few bytes and padding included."""
        origin = self.board.cpu.ram_origin
        ends = [s.address + s.size for s in self.program.sections.values() if s.address >= origin]
        return max(ends, default=origin) - origin - self.stack_room_bytes

    @property
    def stack_room_bytes(self) -> int:
        """What data and bss leave of the RAM: all of it is the stack's."""
        return self.program.symbols["__stack_top"] - self.program.symbols["__stack_bottom"]

    @property
    def record_bytes(self) -> int:
        """Length of a record: the flag and a sample."""
        return self.program.word("tinyloc_harness_record_bytes")

    @property
    def answer_bytes(self) -> int:
        """Length of an answer: an int16 for each room, the room, the settled room."""
        return self.program.word("tinyloc_harness_answer_bytes")

    @property
    def window_steps(self) -> int:
        """Steps of one window, as the model's header says."""
        return self.program.word("tinyloc_harness_window_steps")

    def is_harness(self, address: int) -> bool:
        """Whether the instruction at `address` is the harness's or the start-up's, not the model's."""
        section = self.program.sections[HARNESS_SECTION]
        return section.address <= address < section.address + section.size
