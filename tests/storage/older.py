"""A store as an older edgekit left it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from edgekit.records.measurement import Measurement
from edgekit.storage.store import Store

# What version 1 of edgekit's schema made, word for word.
VERSION_1 = """
CREATE TABLE edgekit_schema (version INTEGER NOT NULL, PRIMARY KEY (version));
CREATE TABLE measurements (position INTEGER NOT NULL, id VARCHAR(32) NOT NULL, created VARCHAR(40) NOT NULL,
 sha256 VARCHAR(64) NOT NULL, device VARCHAR(200) NOT NULL, runtime VARCHAR(80) NOT NULL, version INTEGER NOT NULL,
 payload TEXT NOT NULL, PRIMARY KEY (position), UNIQUE (id));
CREATE INDEX ix_measurements_sha256 ON measurements (sha256);
CREATE TABLE accuracies (position INTEGER NOT NULL, id VARCHAR(32) NOT NULL, created VARCHAR(40) NOT NULL,
 sha256 VARCHAR(64) NOT NULL, device VARCHAR(200) NOT NULL, runtime VARCHAR(80) NOT NULL, version INTEGER NOT NULL,
 payload TEXT NOT NULL, PRIMARY KEY (position), UNIQUE (id));
CREATE INDEX ix_accuracies_sha256 ON accuracies (sha256);
INSERT INTO edgekit_schema VALUES (1);
"""


def old_store(path: Path, *records: Measurement) -> Store:
    """A store as version 1 left it."""
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1)
        for record in records:
            values = (record.id, record.created, record.sha256, record.device, record.runtime, record.version)
            connection.execute(
                "INSERT INTO measurements (id, created, sha256, device, runtime, version, payload)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*values, record.model_dump_json()),
            )
    connection.close()
    return Store(f"sqlite:///{path}")


def version(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        found: int = connection.execute("SELECT version FROM edgekit_schema").fetchone()[0]
    connection.close()
    return found
