"""What the server of a review refuses, and what it shows of a blind one."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest

from tests.command import refused
from tests.review.review_server import CENTRES, Review, copied, reviewing, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANSWER = {"figure": 0, "answer": "AMF"}


@pytest.fixture(scope="module")
def shared(classified: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Review, Path]]:
    """A review, and its results, for requests that change nothing."""
    results = copied(classified, tmp_path_factory.mktemp("shared"))
    with reviewing(results, "--order", "all") as review:
        yield review, results


@pytest.fixture
def unchanged(shared: tuple[Review, Path]) -> Iterator[Review]:
    """The review that many tests share: none of them may be able to give an answer."""
    review, results = shared
    yield review
    assert rows(results) == []
    assert review.get("session")["answers"] == [None] * len(CENTRES)


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
def test_nothing_is_answered_without_the_token(unchanged: Review, path: str) -> None:
    for start in ("/", "//", f"/{unchanged.token[:-1]}/", f"/{unchanged.token}x/", "/x/", "/%00/", "/é/"):
        line = raw(unchanged, f"GET {start}{path} HTTP/1.1\r\nHost: {unchanged.address}\r\n\r\n")
        assert line.split()[1] in ("400", "403"), start
    assert unchanged.request("GET", f"/{unchanged.token}/{path}")[0] == 200


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
def test_no_answer_is_taken_from_another_origin(unchanged: Review, headers: dict[str, str]) -> None:
    sent = {name: value.format(address=unchanged.address) for name, value in headers.items()}
    for path in ("answer", "undo", "finish"):
        assert unchanged.request("POST", f"/{unchanged.token}/{path}", ANSWER, sent)[0] == 403


def test_nothing_is_shown_to_another_origin(unchanged: Review) -> None:
    path = f"/{unchanged.token}/session"
    assert unchanged.request("GET", path, headers={"Origin": "http://evil.example"})[0] == 403
    assert unchanged.request("GET", path, headers={"Sec-Fetch-Site": "cross-site"})[0] == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "[::1]:{port}"]
)
def test_another_host_is_refused(unchanged: Review, host: str) -> None:
    told = host.format(port=unchanged.address.split(":")[1])
    path = f"/{unchanged.token}/session"
    assert unchanged.request("GET", path, headers={"Host": told})[0] == 403
    assert raw(unchanged, f"GET {path} HTTP/1.0\r\n\r\n").split()[1] == "403"
    both = f"GET {path} HTTP/1.1\r\nHost: {unchanged.address}\r\nHost: evil.example\r\n\r\n"
    assert raw(unchanged, both).split()[1] == "403"


@pytest.mark.parametrize(
    "path",
    [
        "../summary.json", "..%2fsummary.json", "summary.json", "review.csv", "page/review.js", "./session",
        "0/../../etc/passwd", "/etc/passwd", "0/close/../../x", "-1/close", "30/close", "999999999999/close",
        "0/x", "x/close", "²/close", "0", "0/close/", "review.js/..",
    ],
)  # fmt: skip
def test_no_path_leads_to_a_file(unchanged: Review, path: str) -> None:
    line = raw(unchanged, f"GET /{unchanged.token}/{path} HTTP/1.1\r\nHost: {unchanged.address}\r\n\r\n")
    assert line.split()[1] in ("400", "404")


@pytest.mark.parametrize(
    "body",
    [
        {"figure": -1, "answer": "AMF"}, {"figure": 30, "answer": "AMF"}, {"figure": "0", "answer": "AMF"},
        {"figure": True, "answer": "AMF"}, {"figure": 0, "answer": "found"}, {"figure": 0, "answer": ""},
        {"figure": 0, "answer": ["AMF"]}, {"figure": 0}, {}, [], "AMF", {"figure": 0, "answer": "A" * 2000},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_not_taken(unchanged: Review, body: object) -> None:
    headers = {"Origin": f"http://{unchanged.address}"}
    assert 400 <= unchanged.request("POST", f"/{unchanged.token}/answer", body, headers)[0] < 500


def test_text_that_a_form_could_send_is_not_taken(unchanged: Review) -> None:
    headers = {"Origin": f"http://{unchanged.address}", "Content-Type": "text/plain"}
    assert unchanged.request("POST", f"/{unchanged.token}/answer", ANSWER, headers)[0] == 415


def test_it_listens_on_this_computer_alone(unchanged: Review) -> None:
    assert unchanged.address.startswith("127.0.0.1:")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; the system chooses the address that others see
        outside = probe.getsockname()[0]
    if outside == "127.0.0.1":
        pytest.skip("this computer has no other address")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((outside, int(unchanged.address.split(":")[1])), timeout=30)


def test_each_answer_forbids_scripts_frames_and_caches(unchanged: Review) -> None:
    import http.client

    connection = http.client.HTTPConnection(unchanged.address, timeout=30)
    connection.request("GET", f"/{unchanged.token}/")
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


def test_a_connection_that_breaks_off_harms_no_other_and_is_not_told(review: Review) -> None:
    host, port = review.address.split(":")
    for path in ("0/wide", "session"):
        connection = socket.create_connection((host, int(port)), timeout=30)
        # Closed like this it is reset, and not ended.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(f"GET /{review.token}/{path} HTTP/1.1\r\nHost: {review.address}\r\n\r\n".encode())
        connection.recv(1)
        connection.close()
    assert review.get("session")["line"].startswith("reviewed 0 of 30")
    review.post("finish", {})
    assert review.process.communicate(timeout=60)[1] == ""
