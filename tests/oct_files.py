"""Makes files as instruments for OCT write them, small ones, each with the name of a patient in it.

The layouts are written down here once more, by field, so that a reader that has one wrong is found.
"""

import struct
import zipfile
from pathlib import Path

import numpy as np
import tifffile

PATIENT = ("Roentgen", "Wilhelmine", "PAT-4711")
"""What must come out nowhere."""

NO_VALUE = np.finfo(np.float32).max


def b_scans(count=3, height=40, width=48, seed=0):
    """Values in 0..1, dark and linear in intensity, all different."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.random((count, height, width)) ** 8, 1e-9).astype(np.float32)


def write_vol(path, scans, pattern=3, eye=b"OD", distance=0.12, fundus=True, header=512):
    """Write a Heidelberg .vol file; B-scan i runs from (1, i/8) to (5, i/8) mm."""
    count, height, width = scans.shape
    slo = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16)
    begin = struct.pack("<12s3I", b"HSF-OCT-103", width, count, height)
    begin += struct.pack("<3d", 0.0118, distance, 0.003872)
    begin += struct.pack("<2I2dId", 16 * fundus, 12 * fundus, 0.0115, 0.0116, 30, -1.5)
    begin += struct.pack("<4sQiI", eye, 131_000_000_000_000_000, pattern, header)
    begin += b"1234.5".ljust(16, b"\0") + bytes(16) + struct.pack("<I", 7)
    begin += b"PAT-4711".ljust(24, b"\0") + struct.pack("<d", 20000.5)
    begin += struct.pack("<I", 3) + b"#Roentgen Wilhelmine".ljust(24, b"\0")
    with Path(path).open("wb") as file:
        file.write(begin.ljust(2048, b"\0"))
        file.write(slo.tobytes() * fundus)
        for i, scan in enumerate(scans):
            own = struct.pack("<12sI4d", b"HSF-BS-103", header, 1.0, i / 8, 5.0, i / 8)
            own += struct.pack("<IIfI", 0, 256, 30.0, 0)
            file.write(own.ljust(header, b"\0"))
            file.write(scan.astype("<f4").tobytes())
    return slo


def write_heyex(folder, scans, kind="Volume", frames=9):
    """Write a HEYEX XML export: a list and a TIFF for each image; scans are uint8."""
    slo = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16)
    entries = [_heyex_image("LOCALIZER", "SLO.tif", 0.0115, 0.0116, "")]
    tifffile.imwrite(Path(folder) / "SLO.tif", slo)
    for i, scan in enumerate(scans):
        tifffile.imwrite(Path(folder) / f"B{i}.tif", scan)
        ends = "".join(
            f"<{end}><Coord><X>{x}</X><Y>{i * 0.12:.3f}</Y></Coord></{end}>"
            for end, x in (("Start", 1.0), ("End", 5.0))
        )
        more = f"<NumAve>{frames}</NumAve>{ends}"
        entries.append(_heyex_image("OCT", f"B{i}.tif", 0.0118, 0.003872, more))
    text = (
        "<HEDX><BODY><Patient><ID>1</ID><PatientID>PAT-4711</PatientID>"
        "<LastName>Roentgen</LastName><FirstNames>Wilhelmine</FirstNames>"
        f"<Study><Series><Type>{kind}</Type><Laterality>L</Laterality>{''.join(entries)}"
        "</Series></Study></Patient></BODY></HEDX>"
    )
    path = Path(folder) / "export.xml"
    path.write_text(text, encoding="utf-8")
    return path, slo


def _heyex_image(kind, name, dx, dy, more):
    return (
        f"<Image><Laterality>L</Laterality><ImageType><Type>{kind}</Type></ImageType>"
        f"<OphthalmicAcquisitionContext><ScaleX>{dx}</ScaleX><ScaleY>{dy}</ScaleY>{more}"
        f"</OphthalmicAcquisitionContext><ImageData><ExamURL>file:///\\\\server\\Roentgen\\{name}"
        "</ExamURL></ImageData></Image>"
    )


# --- E2E ----------------------------------------------------------------------------------------


def small_float(values):
    """Store values in (0, 1) in 6 bits of exponent and 10 of mantissa, which loses digits."""
    mantissa, exponent = np.frexp(np.asarray(values, np.float64))
    return ((exponent.astype(int) - 1 + 63) << 10 | np.int64((mantissa * 2 - 1) * 1024)).astype(
        "<u2"
    )


def from_small_float(stored):
    """What they stand for."""
    stored = stored.astype(np.int64)
    return np.float32((1 + (stored & 1023) / 1024) * 2.0 ** ((stored >> 10) - 63))


class E2E:
    """An .E2E file that is put together part by part."""

    def __init__(self):
        self._parts = []

    def add(self, kind, data, series, place=-1, index=0):
        self._parts.append((kind, data, series, place, index))

    def volume(self, series, scans, eye=b"R", places=None, count=None, frames=16):
        """Add a volume of stored values, with its eye and its B-scans' places."""
        places = range(len(scans)) if places is None else places
        self.add(11, bytes(14) + eye + bytes(12), series)
        for place, scan in zip(places, scans, strict=True):
            height, width = scan.shape
            said = bytearray(428)
            struct.pack_into("<2I4f", said, 4, height, width, -7.5, place * 0.2, 7.5, place * 0.2)
            struct.pack_into("<f", said, 36, 0.003872)
            struct.pack_into("<3I", said, 60, width, count or len(scans), place)
            struct.pack_into("<I", said, 120, frames)
            self.add(10004, bytes(said), series, place * 2, 1)
            head = struct.pack("<5I", scan.nbytes, 0x02200201, scan.size, height, width)
            self.add(0x40000000, head + scan.tobytes(), series, place * 2, 1)

    def fundus(self, series, image):
        head = struct.pack("<5I", image.nbytes, 0x02010201, image.size, *image.shape)
        self.add(0x40000000, head + image.tobytes(), series)

    def write(self, path, per_directory=4):
        """Write it, in several directories that are chained from the last to the first."""
        name = struct.pack("<31s66sI1s25s", b"Wilhelmine", b"Roentgen", 0, b"F", b"PAT-4711")
        parts = [(9, name, -1, -1, 0), *self._parts]
        groups = [parts[i : i + per_directory] for i in range(0, len(parts), per_directory)]
        body, at, before = b"", 88, 0
        for group in groups:
            start = at + 52 + 44 * len(group)
            entries, content = b"", b""
            for kind, data, series, place, index in group:
                ids = (1, 2, series, place, index, 0, kind, 0)
                whole = struct.pack("<12s5I4i2H2I", b"MDbData", 0, 0, start, len(data), 0, *ids)
                entries += struct.pack("<4I4i2H2I", at, start, len(data), 0, *ids)
                content += whole + data
                start += len(whole) + len(data)
            body += self._directory(b"MDbDir", len(group), at, before) + entries + content
            before, at = at, start
        head = struct.pack("<12sI10H", b"CMDb", 100, *[0xFFFF] * 9, 0)
        Path(path).write_bytes(head + self._directory(b"MDbMDir", 0, before, 0) + body)

    @staticmethod
    def _directory(magic, count, current, before):
        return struct.pack("<12sI10H4I", magic, 100, *[0xFFFF] * 9, 0, count, current, before, 0)


# --- others -------------------------------------------------------------------------------------


def write_thorlabs(path, scans, spectra_only=False):
    """Write a Thorlabs .oct file of B-scans (count, depth, width) in decibels."""
    count, depth, width = scans.shape
    name = "Spectral0.data" if spectra_only else "Intensity.data"
    sizes = f'SizeZ="{depth}" SizeX="{width}" SizeY="{count}"'
    ranges = f'RangeZ="{depth * 0.002}" RangeX="{width * 0.01}" RangeY="{count * 0.02}"'
    header = (
        '<?xml version="1.0" encoding="utf-8"?><Ocity><MetaInfo><Comment>Roentgen Wilhelmine'
        "</Comment><Study>PAT-4711</Study></MetaInfo><DataFiles>"
        f'<DataFile Type="Real" {sizes} {ranges} BytesPerPixel="4">data\\{name}</DataFile>'
        "</DataFiles></Ocity>"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Header.xml", header)
        stored = np.ascontiguousarray(scans.transpose(0, 2, 1)).astype("<f4")
        archive.writestr(f"data\\{name}", stored.tobytes())


def write_zeiss(path, scans):
    """Write a Zeiss .img file of B-scans in uint8: turned by half a circle, the last one first."""
    Path(path).write_bytes(np.ascontiguousarray(scans[::-1, ::-1, ::-1]).tobytes())


def write_optovue(path, volumes, depth_mm=2.0, sizes_mm=(6.0, 6.0)):
    """Write an Optovue .OCT file of volumes of one depth, and the .txt file beside it."""
    lines = ["[Patient]", "Patient Name=Roentgen, Wilhelmine", "Eye Scanned=OD (right)"]
    lines += [f"Scan Depth={depth_mm} mm", f"OCT Window Height = {volumes[0].shape[1]}"]
    lines += ["Video Width=640", "Video Height=-480", "Physical video width=12.5 mm"]
    data = b""
    for i, volume in enumerate(volumes):
        count, _, width = volume.shape
        lines += [f"[CL - Step {i}]", f"XY Scan Length = {width}", f"XY Scan Usage = {count}"]
        lines += [f"[CL - Step {i} Detail]", f"XY Scan Size1={sizes_mm[i]} mm"]
        lines += ["XY Scan Interval1=0.05 mm"]
        data += np.ascontiguousarray(volume[:, ::-1].transpose(0, 2, 1)).astype("<f4").tobytes()
    Path(path).write_bytes(data)
    Path(path).with_suffix(".txt").write_text("\n".join(lines), encoding="latin-1")


def _field(name, value):
    name = name.encode()
    return struct.pack("<I", len(name)) + name + struct.pack("<I", len(value)) + value


def write_bioptigen(path, scans, said=None):
    """Write a Bioptigen .OCT file of B-scans in uint16, perhaps saying another number of them."""
    count, depth, width = scans.shape
    whole = {"FRAMECOUNT": said or count, "LINECOUNT": width, "LINELENGTH": depth}
    header = _field("FRAMEHEADER", b"")
    header += b"".join(_field(k, struct.pack("<I", v)) for k, v in whole.items())
    header += _field("DESCRIPTION", b"Roentgen Wilhelmine") + _field("SCANTYPE", b"\1\0\0\0")
    header += _field("CONFIG", bytes(3000)) + bytes(4)
    frames = b""
    for scan in scans:
        frames += _field("FRAMEDATA", b"") + _field("FRAMEDATETIME", bytes(16))
        frames += _field("FRAMELINES", struct.pack("<I", width))
        frames += _field("FRAMESAMPLES", np.ascontiguousarray(scan.T).astype("<u2").tobytes())
        frames += bytes(4)
    Path(path).write_bytes(struct.pack("<IH", 0x50435442, 2) + header + frames)


def topcon(parts):
    """Put parts, by their names, into a Topcon file."""
    body = b"".join(
        struct.pack("<B", len(name)) + name + struct.pack("<I", len(data)) + data
        for name, data in parts.items()
    )
    return b"FOCTFDS" + struct.pack("<2I", 1, 2) + body + b"\0"


def topcon_parts(scans, name=b"@IMG_SCAN_03", mode=2, eye=1):
    """List the parts of a scan in uint16, 6 mm wide and long, pixels 2.6 um high."""
    count, height, width = scans.shape
    head = struct.pack("<B4IBI", mode, width, height, 16, count, 0, scans.nbytes)
    return {
        b"@PATIENT_INFO_02": b"PAT-4711".ljust(32, b"\0") + b"Wilhelmine Roentgen".ljust(90, b"\0"),
        b"@CAPTURE_INFO_02": bytes([eye]) + bytes(117),
        b"@PARAM_SCAN_04": bytes(12) + struct.pack("<3d", 6.0, 6.0, 2.6) + bytes(18),
        name: head + scans.astype("<u2").tobytes(),
    }
