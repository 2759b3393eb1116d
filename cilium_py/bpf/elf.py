"""One section of an ELF object file."""

from __future__ import annotations

import struct
from pathlib import Path

_FILE_HEADER = struct.Struct("=16sHHIQQQIHHHHHH")
_SECTION_HEADER = struct.Struct("=IIQQQQIIQQ")
_IDENT = b"\x7fELF\x02"
SHT_NOBITS = 8


def section(path: Path, name: str) -> bytes:
    """Read a section of a 64-bit ELF file of this machine's byte order. Raise ValueError if there is none."""
    data = path.read_bytes()
    try:
        header = _FILE_HEADER.unpack_from(data)
        if not header[0].startswith(_IDENT):
            raise ValueError(f"{path}: not a 64-bit ELF file")
        at, size, count, names = header[6], header[11], header[12], header[13]
        headers = [_SECTION_HEADER.unpack_from(data, at + size * index) for index in range(count)]
        names_at = headers[names][4]
        wanted = name.encode() + b"\0"
        for label, kind, _, _, offset, length, *_ in headers:
            if kind != SHT_NOBITS and data.startswith(wanted, names_at + label):
                return data[offset : offset + length]
    except (struct.error, IndexError) as error:
        raise ValueError(f"{path}: ELF file cut short") from error
    raise ValueError(f"{path}: no section {name}")
