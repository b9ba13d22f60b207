"""Sample files of several types, made by hand, so that the demonstration needs no download."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sample:
    """One file at the source, with its object tags and user metadata."""

    key: str
    content: bytes
    mime_type: str
    tags: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


CHANGED_KEY = "campaigns/spring_2026/brief.txt"
DELETED_KEY = "reports/visits_2025.csv"


def samples() -> list[Sample]:
    """Return the files that the source begins with."""
    marketing = {"category": "Marketing"}
    return [
        Sample(CHANGED_KEY, b"Spring campaign 2026\n\nThree films, two posters.\n", "text/plain", marketing),
        Sample("campaigns/spring_2026/poster_2026.png", png(96, 64, (240, 120, 40)), "image/png", marketing),
        Sample("campaigns/spring_2026/logo.png", png(32, 32, (40, 90, 200)), "image/png", {"category": "Brand"}),
        Sample("campaigns/autumn_2025/jingle_2025.wav", wav(440.0, seconds=0.5), "audio/wav", marketing),
        Sample("campaigns/autumn_2025/notes.md", b"# Autumn\n\n- radio first\n", "text/markdown", marketing),
        Sample("reports/visits_2026.csv", _csv(2026), "text/csv", {"category": "Report"}, {"owner": "ana"}),
        Sample(DELETED_KEY, _csv(2025), "text/csv", {"category": "Report"}, {"owner": "ben"}),
        Sample("reports/summary_2026.pdf", pdf("Summary 2026"), "application/pdf", {"category": "Report"}),
        Sample("config/settings.json", _json(), "application/json", {}, {"owner": "ana"}),
        Sample("config/empty.txt", b"", "text/plain"),
        Sample("archive/Übersicht 你好.txt", "Grüße, 你好.\n".encode(), "text/plain", {}, {"owner": "mei"}),
        Sample("page.html", b"<!doctype html><title>Demo</title><p>Hello.</p>\n", "text/html"),
    ]


def changed() -> Sample:
    """Return the changed content of a file that was there."""
    content = b"Spring campaign 2026, second version\n\nFour films, no posters.\n"
    return Sample(CHANGED_KEY, content, "text/plain", {"category": "Marketing"})


def added() -> Sample:
    """Return a file that was not there."""
    content = wav(660.0, seconds=0.25)
    return Sample("campaigns/spring_2026/jingle_2026.wav", content, "audio/wav", {"category": "Marketing"})


def png(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """Return a PNG image whose colour fades from left to right."""
    row = b"".join(bytes(part * (width - x) // width for part in colour) for x in range(width))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress((b"\x00" + row) * height)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, data) for kind, data in chunks)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def wav(hertz: float, *, seconds: float) -> bytes:
    """Return a tone as 8 kHz mono PCM."""
    rate = 8_000
    frames = (round(12_000 * math.sin(2 * math.pi * hertz * n / rate)) for n in range(round(rate * seconds)))
    data = b"".join(struct.pack("<h", frame) for frame in frames)
    header = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    body = b"WAVE" + header + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def pdf(title: str) -> bytes:
    """Return a PDF of one page with a line of text."""
    stream = f"BT /F1 24 Tf 72 720 Td ({title}) Tj ET".encode()
    font = b"<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources " + font + b" >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    document, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    entries = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, entries)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(document))
    return document + table + trailer


def _csv(year: int) -> bytes:
    lines = ["month,visits", *(f"{year}-{month:02},{1000 + 37 * month}" for month in range(1, 13))]
    return ("\n".join(lines) + "\n").encode()


def _json() -> bytes:
    return json.dumps({"language": "en", "colours": ["#f07828", "#285ac8"]}, indent=2).encode()
