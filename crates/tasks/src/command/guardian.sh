# shellcheck shell=sh
# A member of a task's process group that ends the group when its worker is no more.
#
#   sh -c SCRIPT guardian GRACE_SECONDS
#
# Standard input is a pipe that only the worker holds; it never says anything, and its end, which comes however the
# worker ends, SIGKILL included, means that the group must go. While the guardian lives, the group's number is not given
# to anybody else, so that a signal to the group never hits a stranger.
set -u
trap '' TERM INT HUP
read -r _
kill -s TERM 0
sleep "$1"
kill -s KILL 0
