"""Made-up users and files."""

import io
import math
import struct
import wave
from collections.abc import Callable, Iterator

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from PIL import Image, ImageDraw

from example.site.models import Invoice
from example.site.webm import video

BLUE, SAND, INK = (31, 78, 121), (244, 236, 220), (24, 28, 34)


def create_samples(passwords: dict[str, str]) -> None:
    """Make the users, and an invoice of each kind for those who are no staff."""
    film, tune = _film(), _tune()
    for name, password in passwords.items():
        if name == "admin":
            User.objects.create_superuser(name, password=password)
            continue
        user = User.objects.create_user(name, password=password)
        for number, (title, content) in enumerate(_files(name.title(), film, tune)):
            Invoice.objects.create(owner=user, data=ContentFile(content, name=title))
            if not number:
                corrected = _pdf(f"{name.title()} & Co.", "Invoice 2026-11", "corrected")
                Invoice.objects.get(owner=user).replace(ContentFile(corrected, name=title))


def _files(who: str, film: bytes, tune: bytes) -> Iterator[tuple[str, bytes]]:
    yield "invoice-2026-11.pdf", _pdf(f"{who} & Co.", "Invoice 2026-11", "two chairs, one table")
    yield "invoice-2026-10.pdf", _pdf(f"{who} & Co.", "Invoice 2026-10", "a lamp")
    yield "hours-october.csv", b"day,hours\n2026-10-01,7.5\n2026-10-02,8\n"
    yield "terms.txt", b"Payable within 30 days.\nZahlbar binnen 30 Tagen.\n"
    yield "receipt-scan.png", _receipt(who)
    yield "spoken-note.wav", tune
    yield "delivery.webm", film


def _pdf(*lines: str) -> bytes:
    """Return a page with those lines."""
    escaped = (line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in lines)
    text = "BT /F 24 Tf 72 760 Td 36 TL " + " ".join(f"({line}) Tj T*" for line in escaped) + " ET"
    fonts = "<< /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font {fonts} >> >>",
        f"<< /Length {len(text)} >>\nstream\n{text}\nendstream",
    ]
    document, offsets = "%PDF-1.4\n", list[int]()
    for number, body in enumerate(objects, 1):
        offsets.append(len(document))
        document += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(document)}\n%%EOF\n"
    return f"{document}xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode("latin-1")


def _receipt(who: str) -> bytes:
    image = Image.new("RGB", (900, 1200), SAND)
    draw = ImageDraw.Draw(image)
    draw.rectangle((60, 60, 840, 1140), outline=BLUE, width=6)
    for number, line in enumerate((f"{who} & Co.", "RECEIPT", "2 chairs   180.00", "1 table    240.00", "= 420.00")):
        draw.text((120, 140 + 120 * number), line, fill=INK, font_size=56)
    return _saved(lambda file: image.save(file, "PNG"))


def _tune() -> bytes:
    rate, notes = 8000, (262, 330, 392, 523)
    samples = (
        int(8000 * math.sin(2 * math.pi * note * n / rate) * (1 - n / rate)) for note in notes for n in range(rate)
    )
    frames = b"".join(struct.pack("<h", sample) for sample in samples)

    def write(file: io.BytesIO) -> None:
        with wave.open(file, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(frames)

    return _saved(write)


def _film(seconds: int = 12) -> bytes:
    def picture(number: int) -> Image.Image:
        image = Image.new("RGB", (640, 360), BLUE)
        draw = ImageDraw.Draw(image)
        x = 40 + number * 560 // (seconds * 10)
        draw.rectangle((x - 40, 180, x + 40, 250), fill=SAND)
        draw.text((20, 20), f"{number / 10:4.1f} s", fill=SAND, font_size=48)
        return image

    return video([picture(number) for number in range(seconds * 10)], 10)


def _saved(write: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()
