"""Small pictures of the kinds that cameras and programs write, and what Pillow sees in them.

usage: pictures.py    writes pictures/ and pictures.json beside itself (pip install pillow numpy)
"""

import io
import json
import pathlib

import numpy
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent
FOLDER = HERE / "pictures"


def main():
    FOLDER.mkdir(exist_ok=True)
    y, x = numpy.mgrid[0:16, 0:24]
    rgb = numpy.stack([x * 10, y * 15, (x + y) * 6], -1).astype(numpy.uint8)
    picture = Image.fromarray(rgb)
    deep = Image.fromarray((x * 2730 + y * 17).astype(numpy.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "grey.png": picture.convert("L"),
        "grey16.png": deep,
        "palette.png": picture.quantize(16),
        "alpha.png": picture.convert("RGBA"),
        "bits.png": picture.convert("1"),
        "plain.bmp": picture,
        "plain.jpg": picture,
        "grey.jpg": picture.convert("L"),
        "cmyk.jpg": picture.convert("CMYK"),
        "turned.jpg": picture,
        "lossless.webp": picture,
        "lossy.webp": picture,
        "pixel.png": picture.crop((3, 3, 4, 4)),
    }
    seen = {}
    for name, image in files.items():
        options = {"exif": exif} if name == "turned.jpg" else {"lossless": True} if name == "lossless.webp" else {}
        image.save(FOLDER / name, **options)
        back = ImageOps.exif_transpose(Image.open(FOLDER / name))
        if name == "grey16.png":
            # Rounded to eight bits; Pillow's own conversion clips.
            values = numpy.asarray(back).astype(numpy.float64) / 257
            values = numpy.repeat(numpy.rint(values)[..., None], 3, -1)
        else:
            values = numpy.asarray(back.convert("RGB"))
        seen[name] = {"width": back.width, "height": back.height, "pixels": [int(v) for v in values.reshape(-1)[::5]]}
    (HERE / "pictures.json").write_text(json.dumps(seen) + "\n")


main()
