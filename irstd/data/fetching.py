"""One download: resumed where it broke off, retried, and ended where it is too slow, too long or too large."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

from irstd.errors import InputError

TRIES = 5  # of one download, each going on where the last broke off
PATIENCE_S = 30.0  # without a byte; and over which the rate is looked at
LEAST_BYTES_S = 1000
LONGEST_S = 12 * 3600.0  # of one download
MOST_BYTES = 64 << 30  # of a download, and of what an archive unpacks to


class _TooMuchError(Exception):
    """A download that goes on for ever."""


class _Download:
    """A download that goes on where it broke off, retries what may pass, and ends what would not.

    Args:
        part: where the part that has come is kept, for this process and later ones.
        pause_s: before the first retry; doubles each time.
        progress: whether to show a bar.
    """

    def __init__(self, url: str, part: Path, *, pause_s: float, progress: bool) -> None:
        self.url, self.part, self.pause_s, self.progress = url, part, pause_s, progress
        self.until = time.monotonic() + LONGEST_S

    def finish(self) -> None:
        """Fetches what is missing of the file.

        Raises:
            requests.RequestException: after the last try, or at once where another would end the same way.
            _TooMuchError: it goes on for ever.
        """
        for attempt in range(TRIES):
            try:
                return self._continue()
            except requests.HTTPError as error:
                if error.response.status_code < 500 and error.response.status_code != 429:
                    raise
                problem: Exception = error
            except requests.RequestException as error:
                problem = error
            if attempt + 1 < TRIES:
                time.sleep(self.pause_s * 2**attempt)
        raise problem

    def _continue(self) -> None:
        part = self.part
        have = part.stat().st_size if part.exists() else 0
        # Compressed on the way, lengths and ranges would be of other bytes than are stored.
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        with requests.get(self.url, headers=headers, stream=True, timeout=PATIENCE_S) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                part.unlink()  # longer than the file: of another version, start again
                raise requests.ConnectionError("the part on disk does not fit the file")
            response.raise_for_status()
            if response.status_code != requests.codes.partial_content:
                have = 0  # the server sends it whole
            length = response.headers.get("Content-Length")
            expected = have + int(length) if length else None
            if expected is not None and expected > MOST_BYTES:
                raise _TooMuchError(f"is of {expected / 1e9:.0f} GB, more than {MOST_BYTES / 1e9:.0f} GB")
            with (
                part.open("ab" if have else "wb") as file,
                tqdm(
                    total=expected, initial=have, desc="download", unit="B", unit_scale=True, disable=not self.progress
                ) as bar,
            ):
                for chunk in self._chunks(response):
                    file.write(chunk)
                    bar.update(len(chunk))
        if expected is not None and part.stat().st_size != expected:
            raise requests.ConnectionError(f"got {part.stat().st_size} of {expected} bytes")

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        """What comes, as it comes, as long as it comes fast enough and comes to an end."""
        total, in_window, window = 0, 0, time.monotonic()
        while True:
            try:
                chunk = response.raw.read1(1 << 16)  # waits for a byte, not for all that were asked for
            except urllib3.exceptions.HTTPError as error:
                raise requests.ConnectionError(str(error)) from error
            if not chunk:
                return
            yield chunk
            total, in_window, now = total + len(chunk), in_window + len(chunk), time.monotonic()
            if total > MOST_BYTES:
                raise _TooMuchError(f"sends more than {MOST_BYTES / 1e9:.0f} GB")
            if now > self.until:
                raise _TooMuchError(f"took more than {LONGEST_S / 3600:.0f} hours")
            if now - window > PATIENCE_S:
                if in_window < LEAST_BYTES_S * (now - window):
                    raise requests.ConnectionError(f"fewer than {LEAST_BYTES_S} bytes a second came")
                in_window, window = 0, now


def fetch(url: str, folder: Path, name: str, *, pause_s: float = 1.0, progress: bool = False) -> Path:
    """The file at `url`, kept as `folder/name`; what is there already is not fetched again.

    Raises:
        InputError: the server has no such file, gave up after all retries, or sends without end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target, part = folder / name, folder / f"{name}.part"
    if target.exists():
        return target
    try:
        _Download(url, part, pause_s=pause_s, progress=progress).finish()
    except _TooMuchError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{url} {error}; fetch it by hand") from None
    except requests.HTTPError as error:
        raise InputError(f"{url} answers {error.response.status_code} {error.response.reason}") from None
    except requests.RequestException as error:
        raise InputError(
            f"{url} broke off {TRIES} times ({type(error).__name__}); run again to go on from there"
        ) from None
    part.replace(target)
    return target
