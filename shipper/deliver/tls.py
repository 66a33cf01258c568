"""TLS to the centre: its certificate is verified, always; ours is read again when it changes.

In: the output's files. Out: an `ssl.SSLContext` for the next connection. It must never connect to
a centre that nobody vouches for, and never import `ssl` for an output without TLS.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shipper.config import OutputConfig
from shipper.errors import ConfigError

if TYPE_CHECKING:
    import ssl

Stamps = list[tuple[int, int, int]]


def load_tls(output: OutputConfig) -> ssl.SSLContext:
    """The TLS settings; ConfigError: a file of them can't be used."""
    import ssl

    try:
        context = ssl.create_default_context(cafile=output.ca_file)
        if output.client_cert_file is not None:
            context.load_cert_chain(output.client_cert_file, output.client_key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "a certificate of [output.opensearch] can't be used",
            why=str(error),
            next_step="check ca_file, client_cert_file and client_key_file: PEM, readable",
        ) from error
    return context


class TlsFiles:
    """The context of the files as they are now. Short-lived certificates are replaced in place."""

    def __init__(self, output: OutputConfig) -> None:
        """ConfigError: a file can't be used."""
        self._output = output
        files = (output.ca_file, output.client_cert_file, output.client_key_file)
        self._files = [file for file in files if file is not None]
        self._stamps = stamps_of(self._files)
        self._context = load_tls(output)

    def context(self) -> ssl.SSLContext:
        """For one more connection.

        Files that are half replaced (a key that does not fit yet, one that is missing) leave the
        context as it was; the next connection looks again.
        """
        try:
            stamps = stamps_of(self._files)
            if stamps != self._stamps:
                self._context = load_tls(self._output)
                self._stamps = stamps
        except (OSError, ConfigError):
            pass
        return self._context


def stamps_of(files: list[Path]) -> Stamps:
    """What changes when a file does: time, size and inode."""
    found = map(Path.stat, files)
    return [(stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in found]
