import json
import logging

from mixsync_dagster.commands import logs


def test_text_lines_hold_no_secret(capsys):
    logs.configure("text")
    logging.getLogger("vendor").warning("GET %s", "https://host/path?X-Amz-Signature=s3cret")
    assert capsys.readouterr().err == "WARNING vendor: GET https://host/path\n"


def test_json_lines(capsys):
    logs.configure("json")
    logging.getLogger("vendor").warning("it is %d", 3)
    logging.getLogger("vendor").info("not shown")
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "vendor", "it is 3")


def test_configuring_twice_tells_once(capsys):
    logs.configure("text")
    logs.configure("text")
    logging.getLogger("vendor").warning("once")
    assert capsys.readouterr().err.count("once") == 1
