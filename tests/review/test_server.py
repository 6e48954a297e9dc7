"""What the server of a review refuses, and what it shows of a blind one."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from tests.command import refused
from tests.review.review_server import CENTRES, Review, reviewing, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANSWER = {"figure": 0, "answer": "AMF"}


@pytest.fixture
def review(results: Path) -> Iterator[Review]:
    with reviewing(results, "--order", "all") as review:
        yield review


def raw(review: Review, text: str) -> str:
    """Send bytes as they are; return the first line of what comes back."""
    host, port = review.address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(text.encode())
        return connection.makefile().readline().strip()


@pytest.mark.parametrize("path", ["", "session", "agreement", "0/close", "review.js"])
def test_nothing_is_answered_without_the_token(review: Review, path: str) -> None:
    for start in ("/", "//", f"/{review.token[:-1]}/", f"/{review.token}x/", "/x/", "/%00/", "/é/"):
        line = raw(review, f"GET {start}{path} HTTP/1.1\r\nHost: {review.address}\r\n\r\n")
        assert line.split()[1] in ("400", "403"), start
    assert review.request("GET", f"/{review.token}/{path}")[0] == 200


def test_no_answer_is_taken_without_the_token(review: Review, results: Path) -> None:
    headers = {"Origin": f"http://{review.address}"}
    assert review.request("POST", "/answer", ANSWER, headers)[0] == 403
    assert review.request("POST", "/x/answer", ANSWER, headers)[0] == 403
    assert rows(results) == []
    assert review.request("POST", f"/{review.token}/answer", ANSWER, headers)[0] == 200
    assert len(rows(results)) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://{address}"},
        {"Origin": "http://{address}.evil.example"},
        {"Origin": "http://{address}", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://{address}", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_no_answer_is_taken_from_another_origin(
    review: Review, results: Path, headers: dict[str, str]
) -> None:
    sent = {name: value.format(address=review.address) for name, value in headers.items()}
    for path in ("answer", "undo", "finish"):
        assert review.request("POST", f"/{review.token}/{path}", ANSWER, sent)[0] == 403
    assert rows(results) == []


def test_nothing_is_shown_to_another_origin(review: Review) -> None:
    path = f"/{review.token}/session"
    assert review.request("GET", path, headers={"Origin": "http://evil.example"})[0] == 403
    assert review.request("GET", path, headers={"Sec-Fetch-Site": "cross-site"})[0] == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "[::1]:{port}"]
)
def test_another_host_is_refused(review: Review, host: str) -> None:
    told = host.format(port=review.address.split(":")[1])
    path = f"/{review.token}/session"
    assert review.request("GET", path, headers={"Host": told})[0] == 403
    assert raw(review, f"GET {path} HTTP/1.0\r\n\r\n").split()[1] == "403"
    both = f"GET {path} HTTP/1.1\r\nHost: {review.address}\r\nHost: evil.example\r\n\r\n"
    assert raw(review, both).split()[1] == "403"


@pytest.mark.parametrize(
    "path",
    [
        "../summary.json", "..%2fsummary.json", "summary.json", "review.csv", "page/review.js", "./session",
        "0/../../etc/passwd", "/etc/passwd", "0/close/../../x", "-1/close", "30/close", "999999999999/close",
        "0/x", "x/close", "²/close", "0", "0/close/", "review.js/..",
    ],
)  # fmt: skip
def test_no_path_leads_to_a_file(review: Review, path: str) -> None:
    line = raw(review, f"GET /{review.token}/{path} HTTP/1.1\r\nHost: {review.address}\r\n\r\n")
    assert line.split()[1] in ("400", "404")


@pytest.mark.parametrize(
    "body",
    [
        {"figure": -1, "answer": "AMF"}, {"figure": 30, "answer": "AMF"}, {"figure": "0", "answer": "AMF"},
        {"figure": True, "answer": "AMF"}, {"figure": 0, "answer": "found"}, {"figure": 0, "answer": ""},
        {"figure": 0, "answer": ["AMF"]}, {"figure": 0}, {}, [], "AMF", {"figure": 0, "answer": "A" * 2000},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_not_taken(review: Review, results: Path, body: object) -> None:
    headers = {"Origin": f"http://{review.address}"}
    assert 400 <= review.request("POST", f"/{review.token}/answer", body, headers)[0] < 500
    assert rows(results) == []


def test_text_that_a_form_could_send_is_not_taken(review: Review, results: Path) -> None:
    headers = {"Origin": f"http://{review.address}", "Content-Type": "text/plain"}
    assert review.request("POST", f"/{review.token}/answer", ANSWER, headers)[0] == 415
    assert rows(results) == []


def test_it_listens_on_this_computer_alone(review: Review) -> None:
    assert review.address.startswith("127.0.0.1:")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; the system chooses the address that others see
        outside = probe.getsockname()[0]
    if outside == "127.0.0.1":
        pytest.skip("this computer has no other address")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((outside, int(review.address.split(":")[1])), timeout=30)


def test_each_answer_forbids_scripts_frames_and_caches(review: Review) -> None:
    import http.client

    connection = http.client.HTTPConnection(review.address, timeout=30)
    connection.request("GET", f"/{review.token}/")
    headers = connection.getresponse().headers
    connection.close()
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in headers


def test_ports_and_tokens_are_never_the_same(results: Path) -> None:
    with reviewing(results) as one, reviewing(results) as other:
        assert one.address != other.address
        assert one.token != other.token
        assert len(one.token) >= 40


def test_a_browser_is_started_with_an_address_that_works_once(results: Path) -> None:
    from slidemitosis.review.pictures import Pictures
    from slidemitosis.review.server import ReviewServer
    from slidemitosis.review.session import ReviewPlan, Session
    from slidemitosis.review.slides import read_results

    with (
        Pictures() as pictures,
        ReviewServer(Session(read_results(results), ReviewPlan()), pictures) as server,
    ):
        word = server.launch_url.rsplit("/", 1)[1]
        assert server.token not in server.launch_url
        assert not server.launched(f"{word}x")
        assert server.launched(word)
        assert not server.launched(word)


def test_a_blind_review_sends_nothing_that_the_model_said(results: Path) -> None:
    with reviewing(results, "--blind") as review:
        told = review.get("session")
        assert [set(figure) for figure in told["figures"]] == [{"slide", "x", "y"}] * len(CENTRES)
        assert review.request("GET", f"/{review.token}/agreement")[0] == 403
    with reviewing(results) as review:
        assert {"p", "call", "doubt"} <= set(review.get("session")["figures"][0])


def test_answers_that_are_a_link_out_of_the_folder_are_refused(results: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text("")
    (results / "review.csv").symlink_to(elsewhere)
    assert "review.csv: is a link to another file" in refused("review", results, "--no-browser")
    assert elsewhere.read_text() == ""


def test_a_disk_that_takes_nothing_is_said_and_the_figure_stays_open(review: Review, results: Path) -> None:
    (results / "review.csv").mkdir()
    headers = {"Origin": f"http://{review.address}"}
    status, text = review.request("POST", f"/{review.token}/answer", ANSWER, headers)
    assert status == 500
    assert "review.csv" in text
    (results / "review.csv").rmdir()
    assert review.post("answer", ANSWER)["line"].startswith("reviewed 1 of 30")


def test_a_connection_that_breaks_off_harms_no_other(review: Review) -> None:
    host, port = review.address.split(":")
    for _ in range(3):
        connection = socket.create_connection((host, int(port)), timeout=30)
        connection.sendall(f"GET /{review.token}/0/wide HTTP/1.1\r\nHost: {review.address}\r\n\r\n".encode())
        connection.close()
    assert json.dumps(review.get("session"))
    assert "Traceback" not in review.finish()
