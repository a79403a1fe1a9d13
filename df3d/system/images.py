"""Pictures of strangers: told by their first bytes, of few kinds, and of a size that is known before they are unpacked.

Pillow reads some forty formats, one of them (PostScript) by starting another program. Here it never sees the others' bytes.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from df3d.errors import PromptError
from df3d.prompt import Picture

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TGA")
OTHERS = {  # by the bytes that they begin with: to be named, not to be read
    b"\xabKTX 20\xbb": "KTX2", b"\xabKTX 11\xbb": "KTX", b"DDS ": "DDS", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"8BPS": "PSD",
    b"%!PS": "PostScript", b"\x76\x2f\x31\x01": "OpenEXR", b"#?": "Radiance HDR", b"<svg": "SVG", b"<?xml": "SVG",
    b"\0\0\0\x0cjP": "JPEG 2000", b"sB": "basis", b"%PDF": "PDF",
}  # fmt: skip
LARGEST = 100_000_000  # pixels of one picture


def kind_of(data: bytes, name: str = "") -> str:
    """The format that the first bytes tell; "" for one that is not read. TGA has no such bytes: its name tells."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"BM"):
        return "BMP"
    return "TGA" if name.lower().endswith(".tga") and data[:4] != b"%!PS" else ""


def open_picture(data: bytes, name: str = "", *, largest: int = LARGEST) -> Image.Image:
    """A picture of a known format, not yet unpacked.

    Raises ValueError, with the reason, when it is of another format, damaged, or of more than `largest` pixels.
    """
    from PIL import Image

    kind = kind_of(data, name)
    if not kind:
        found = next((name for start, name in OTHERS.items() if data.startswith(start)), "")
        raise ValueError(f"it is no PNG, JPEG, WebP, GIF, BMP or TGA{f', but {found}' if found else ''}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=[kind])
    except Image.DecompressionBombError:
        raise ValueError(f"it has more than {largest:,} pixels") from None
    except (OSError, ValueError, SyntaxError, TypeError, EOFError):
        raise ValueError("it is damaged") from None
    if picture.width * picture.height > largest:
        raise ValueError(f"it has {picture.width} x {picture.height} pixels; at most {largest:,} are read")
    return picture


def pixels(picture: Picture) -> np.ndarray:
    """(H, W, 4) float32 in [0, 1] of a prompt's picture: sRGB and opacity, upright as its EXIF orientation says.

    Raises PromptError when it cannot be read.
    """
    import numpy as np
    from PIL import ImageOps

    path = picture.path
    try:
        with open_picture(path.read_bytes(), path.name) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGBA"), np.float32) / 255
    except (OSError, ValueError, SyntaxError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PromptError(f"picture `{path}` cannot be read: {reason}", "give a PNG, JPEG or WebP file") from None
