"""Dagster, from PyPI."""

import tempfile
from pathlib import Path

import children
from flows import STEPS, FlowProgram

SETTINGS = """\
storage:
  postgres:
    postgres_url: "{url}"
telemetry:
  enabled: false
"""


class Dagster(FlowProgram):
    name = "dagster"
    about = "storage in the same PostgreSQL; the job executed in one running process (in_process_executor), one step at a time"
    directory = "dagster"
    packages = ("dagster", "dagster-postgres")
    shown = ("dagster",)
    variant = "in_process"

    def run(self, server, options):
        with server.fresh_database(self.name) as url, tempfile.TemporaryDirectory(prefix="tale-bench-dagster-") as home:
            Path(home, "dagster.yaml").write_text(SETTINGS.format(url=url.replace("postgres:", "postgresql+psycopg2:", 1)))
            # Its step processes import the jobs anew.
            environment = children.environment(DAGSTER_HOME=home, PYTHONPATH=str(self._program))
            for shape in STEPS:
                yield self.flow(shape, options, environment, self.variant)


class DagsterMultiprocess(Dagster):
    name = "dagster-multiprocess"
    about = "the same with its default executor, a process per step, from its fork server"
    variant = "multiprocess"


CONTESTANTS = [Dagster(), DagsterMultiprocess()]
