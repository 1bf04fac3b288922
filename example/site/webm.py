"""Videos, written without an encoder: each picture of a WebM file is a WebP image's.

A lossy WebP holds one key frame of VP8, which is what WebM wraps (https://www.webmproject.org/docs/container/).
"""

import io
import struct
from collections.abc import Sequence

from PIL import Image


def video(pictures: Sequence[Image.Image], frames_per_second: int) -> bytes:
    """Return a silent video of pictures of one size; any of them can be sought."""
    milliseconds = 1000 // frames_per_second
    width, height = pictures[0].size
    track = _element(
        0xAE,
        _number(0xD7, 1)  # TrackNumber
        + _number(0x73C5, 1)  # TrackUID
        + _number(0x83, 1)  # TrackType: video
        + _element(0x86, b"V_VP8")
        + _element(0xE0, _number(0xB0, width) + _number(0xBA, height)),
    )
    duration = struct.pack(">d", float(len(pictures) * milliseconds))
    info = _number(0x2AD7B1, 1_000_000) + _element(0x4489, duration)  # TimestampScale: ms
    head = _element(0x1549A966, info + _element(0x4D80, b"ledger") + _element(0x5741, b"ledger"))
    head += _element(0x1654AE6B, track)
    clusters: list[bytes] = []
    points: list[tuple[int, int]] = []
    position = len(head)
    for number, picture in enumerate(pictures):
        block = struct.pack(">BhB", 0x81, 0, 0x80) + _key_frame(picture)
        cluster = _element(0x1F43B675, _number(0xE7, number * milliseconds) + _element(0xA3, block))
        points.append((number * milliseconds, position))
        position += len(cluster)
        clusters.append(cluster)
    cues = _element(0x1C53BB6B, b"".join(_cue(*point) for point in points))
    kind = _number(0x4286, 1) + _number(0x42F7, 1) + _number(0x42F2, 4) + _number(0x42F3, 8)
    kind += _element(0x4282, b"webm") + _number(0x4287, 2) + _number(0x4285, 2)
    return _element(0x1A45DFA3, kind) + _element(0x18538067, head + b"".join(clusters) + cues)


def _cue(milliseconds: int, position: int) -> bytes:
    return _element(0xBB, _number(0xB3, milliseconds) + _element(0xB7, _number(0xF7, 1) + _number(0xF1, position)))


def _key_frame(picture: Image.Image) -> bytes:
    image = io.BytesIO()
    picture.convert("RGB").save(image, "WEBP", quality=60)
    riff = image.getvalue()
    start = riff.index(b"VP8 ")
    (size,) = struct.unpack_from("<I", riff, start + 4)
    return riff[start + 8 : start + 8 + size]


def _number(identifier: int, value: int) -> bytes:
    return _element(identifier, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _element(identifier: int, content: bytes) -> bytes:
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + (0x01 << 56 | len(content)).to_bytes(8, "big") + content
