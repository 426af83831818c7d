"""procrastinate, from PyPI."""

from drain import PythonDrain


class Procrastinate(PythonDrain):
    name = "procrastinate"
    about = "four worker processes with ten tasks at a time each, a connection per task"
    directory = "procrastinate"
    packages = ("procrastinate", "psycopg[binary,pool]")
    shown = ("procrastinate", "psycopg")
    # A worker fetches one job after another, each in a transaction of its own: more of them is all that helps.
    processes = 4
