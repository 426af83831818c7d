"""Airflow, from PyPI."""

import contextlib
import json
import secrets
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote

import children
from children import Failed
from contest import Contestant, Outcome
from flows import STEPS, await_http, free_port

HERE = Path(__file__).parent
START_SECONDS = 180
DAGS = {"sequence": "bench_sequence", "fan-out": "bench_fan_out"}


class Airflow(Contestant):
    name = "airflow"
    about = "API server, scheduler (LocalExecutor, idle sleep 0.1 s) and DAG processor on the same PostgreSQL"

    def prepare(self, cache, server, options):
        self._place, versions = cache.python("airflow", "apache-airflow[postgres]", "psycopg2-binary", "asyncpg")
        return {"apache-airflow": versions["apache-airflow"]}

    def run(self, server, options):
        with (
            server.fresh_database(self.name) as url,
            tempfile.TemporaryDirectory(prefix="tale-bench-airflow-", ignore_cleanup_errors=True) as home,
            self._started(url, home) as api,
        ):
            for shape in STEPS:
                yield flow(shape, server, url, api, options.limit)

    @contextlib.contextmanager
    def _started(self, url, home):
        port = free_port()
        environment = settings(url, home, port) | {"PATH": f"{self._place}/bin:{children.environment()['PATH']}"}
        airflow = self._place / "bin/airflow"
        children.output([airflow, "db", "migrate"], env=environment, seconds=START_SECONDS)
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(open(f"{home}/airflow.log", "w+b"))
            for service in (["api-server", "--workers", 1], ["scheduler"], ["dag-processor"]):
                child = stack.enter_context(children.started([airflow, *service], out=log, env=environment, cwd=home))
                if service[0] == "api-server":
                    await_http(f"http://127.0.0.1:{port}/api/v2/version", child, log, START_SECONDS)
            api = Api(port)
            api.await_ready()
            yield api


def settings(url, home, port):
    """https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/scheduler.html names the knobs
    for a quick scheduler; those left out have no bearing on one run at a time."""
    return children.environment(
        AIRFLOW_HOME=home,
        AIRFLOW__CORE__DAGS_FOLDER=str(HERE / "dags"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION="False",
        AIRFLOW__CORE__EXECUTOR="LocalExecutor",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
        AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"http://127.0.0.1:{port}/execution/",
        AIRFLOW__API__HOST="127.0.0.1",
        AIRFLOW__API__PORT=str(port),
        AIRFLOW__API__BASE_URL=f"http://127.0.0.1:{port}",
        AIRFLOW__API_AUTH__JWT_SECRET=secrets.token_hex(32),
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=url.replace("postgres:", "postgresql+psycopg2:", 1),
        AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME="0.1",
        AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
        PYTHONDONTWRITEBYTECODE="1",
    )


class Api:
    """Airflow's REST API, as its only user."""

    def __init__(self, port):
        self._address = f"http://127.0.0.1:{port}"
        self._token = None
        self._token = self.call("/auth/token")["access_token"]

    def call(self, path, body=None, method=None):
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self._address + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except OSError as error:
            raise Failed(f"Airflow answers {path} with {error}") from None

    def await_ready(self):
        """Waits until the scheduler is at work and the DAG processor has read the DAGs."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                state = self.call("/api/v2/monitor/health")["scheduler"]["status"]
                if state != "healthy":
                    raise Failed(f"Airflow's scheduler is {state}")
                for dag in DAGS.values():
                    self.call(f"/api/v2/dags/{dag}")
                return
            except Failed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)


def flow(shape, server, url, api, limit):
    """One run, from its recorded trigger to its recorded end."""
    dag = DAGS[shape]
    run = api.call(f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None})["dag_run_id"]
    deadline = time.monotonic() + limit
    query = f"select state, extract(epoch from end_date - queued_at) from dag_run where dag_id = '{dag}'"
    while True:
        state, seconds = server.query(query, url).split("|")
        if state in ("success", "failed") or time.monotonic() > deadline:
            break
        time.sleep(1)
    if state == "failed":
        raise Failed(f"the run of {shape} failed")
    ended = server.query(f"select count(*) from task_instance where dag_id = '{dag}' and state = 'success'", url)
    if state != "success":
        # What is left of it must not meddle with the next one.
        api.call(f"/api/v2/dags/{dag}/dagRuns/{quote(run)}", {"state": "failed"}, "PATCH")
    return Outcome(shape, STEPS[shape], int(ended), float(seconds) if seconds else limit)
