# shellcheck shell=sh
# Runs one PostgreSQL program and outlives whoever started it just long enough to end it.
#
#   sh -c SCRIPT supervisor SIGNAL SOCKET_DIRECTORY REMOVE PROGRAM ARGUMENTS…
#
# Standard input is a pipe that only the starting process holds. Each line on it is the name of a signal for the
# program; its end, which comes however that process ends, SIGKILL included, means SIGNAL. When the program has ended,
# its socket directory goes, and REMOVE too when it is not empty. So nothing stays behind a process that is no more.
set -u
at_end=$1 socket_directory=$2 remove=$3
shift 3
# Caught rather than ignored: the program must not inherit ignored signals.
trap : INT HUP TERM
exec 3<&0 </dev/null
"$@" 3<&- &
program=$!
(
    while read -r signal; do
        kill -s "$signal" "$program"
    done
    # Again and again, in short naps: a program that has only just been forked may miss a signal.
    naps=0
    while [ "$naps" -lt 100 ]; do
        kill -s "$at_end" "$program"
        sleep 0.2
        naps=$((naps + 1))
    done
    kill -s QUIT "$program"
) <&3 2>/dev/null &
watcher=$!
exec 3<&-
status=0
while kill -0 "$program" 2>/dev/null; do
    wait "$program"
    status=$?
done
# Not TERM, which a shell that has only just been forked may miss: then we would wait for ever.
kill -s KILL "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null
if [ -n "$socket_directory" ]; then rm -rf -- "$socket_directory"; fi
if [ -n "$remove" ]; then rm -rf -- "$remove"; fi
exit "$status"
