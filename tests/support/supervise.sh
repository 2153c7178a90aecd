# Runs one program for a test process and never outlives it, however the test
# process ends:
#
#   sh supervise.sh FOLDER PROGRAM [ARGUMENT...]
#
# Stdin is a pipe whose other end only the test process holds. When that process
# is gone, even by SIGKILL, the pipe is at its end: then the program is killed
# and FOLDER (if not empty) is removed. The program has the same pipe as its
# stdin. The first line on stdout is the program's process id, and the exit
# status is the program's (128 + n for signal n).
folder=$1
shift
# A background job's stdin would be /dev/null otherwise.
exec 3<&0

# The inner shell becomes the program, so the id that it prints stays right.
sh -c 'echo "$$"; exec "$@"' sh "$@" <&3 3<&- &
child=$!

# TERM means that the program ended by itself; past the pipe's end this job must
# finish, as its status tells the two cases apart.
(
    read -r _ <&3
    trap '' TERM
    kill -KILL "$child"
    exit 0
) >/dev/null 2>&1 &
guard=$!

status=0
wait "$child" 2>/dev/null || status=$?
kill -TERM "$guard" 2>/dev/null
if wait "$guard" 2>/dev/null && [ -n "$folder" ]; then
    # Neighbours that still write there are being killed at the same moment.
    tries=0
    until rm -rf -- "$folder" || [ "$tries" -ge 10 ]; do
        tries=$((tries + 1))
        sleep 1
    done
fi
exit "$status"
