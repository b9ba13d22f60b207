import csv
import io
import json
import struct
import wave
import zlib

from mixsync_dagster.demo.samples import CHANGED_KEY, DELETED_KEY, added, changed, pdf, png, samples, wav


def test_there_are_a_dozen_files_of_several_types():
    files = samples()
    assert len({sample.key for sample in files}) == len(files) == 12
    assert {sample.mime_type.split("/")[0] for sample in files} == {"text", "image", "audio", "application"}
    assert [sample.key for sample in files if not sample.content] == ["config/empty.txt"]
    assert any(not sample.key.isascii() for sample in files)


def test_no_two_files_have_the_same_bytes():
    contents = [sample.content for sample in [*samples(), changed(), added()]]
    assert len(set(contents)) == len(contents)


def test_what_is_changed_and_deleted_was_there():
    keys = {sample.key for sample in samples()}
    assert {CHANGED_KEY, DELETED_KEY, changed().key} <= keys
    assert added().key not in keys


def test_the_image_is_a_png():
    image = png(3, 2, (255, 0, 0))
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", image[16:24]) == (3, 2)
    size = struct.unpack(">I", image[33:37])[0]
    assert len(zlib.decompress(image[41 : 41 + size])) == 2 * (1 + 3 * 3)


def test_the_sound_is_a_wav():
    with wave.open(io.BytesIO(wav(440.0, seconds=0.5))) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getnframes()) == (1, 8_000, 4_000)


def test_the_document_is_a_pdf_whose_table_points_at_its_objects():
    document = pdf("Title")
    start = int(document.split(b"startxref\n")[1].split(b"\n")[0])
    assert document[start:].startswith(b"xref\n0 5\n")
    offsets = [int(line.split()[0]) for line in document[start:].splitlines()[3:7]]
    assert [document[offset : offset + 7] for offset in offsets] == [b"%d 0 obj" % n for n in range(1, 5)]


def test_tables_and_json_can_be_read():
    files = {
        sample.key: sample.content.decode()
        for sample in samples()
        if sample.mime_type != "image/png" and b"\0" not in sample.content
    }
    assert len(list(csv.DictReader(io.StringIO(files["reports/visits_2026.csv"])))) == 12
    assert json.loads(files["config/settings.json"])["language"] == "en"
