"""Raw SQL in batches, by PostgreSQL's own pgbench: what no queue on this server can beat."""

import math
import time
from pathlib import Path

import children
from cache import Unavailable
from children import Failed
from contest import FLAT, Contestant, Outcome

HERE = Path(__file__).parent
BATCH = 50
# So many that the wait for the disk is shared by several commits.
CLIENTS = 16


class RawSql(Contestant):
    name = "raw-sql"
    about = f"{CLIENTS} connections; a claim of {BATCH} and its completion, each a durable transaction; no client work"

    def prepare(self, cache, server, options):
        pgbench = server.programs / "pgbench"
        if not pgbench.is_file():
            raise Unavailable(f"there is no pgbench in {server.programs}")
        return {"pgbench": children.output([pgbench, "--version"]).split()[2]}

    def run(self, server, options):
        # Two batches more for each: towards the end others hold what is left, and a claim comes back short.
        each = math.ceil(options.tasks / BATCH / CLIENTS) + 2
        with server.fresh_database(self.name) as url:
            server.query((HERE / "setup.sql").read_text(), url)
            server.query(f"insert into ready select generate_series(1, {options.tasks})", url)
            server.query("vacuum analyze", url)
            server.settle()
            load = ["-n", "-M", "prepared", "-c", CLIENTS, "-j", 2, "-t", each, "-D", f"batch={BATCH}"]
            command = [server.programs / "pgbench", *load, "-f", HERE / "batch.sql", url]
            begin = time.monotonic()
            children.output(command, seconds=options.limit)
            seconds = time.monotonic() - begin
            left = int(server.query("select (select count(*) from ready) + (select count(*) from lease)", url))
        if left:
            raise Failed(f"{left} of {options.tasks} tasks are left")
        yield Outcome(FLAT, options.tasks, options.tasks, seconds)
