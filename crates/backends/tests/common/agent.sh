# An agent for tests, in POSIX shell. Behaves as variables of its environment say:
#   CONFORMANCE_FAIL=<code>  exits with the code instead of becoming ready
#   TEST_SILENT=1            never becomes ready
#   TEST_STUBBORN=1          ignores SIGTERM
#   TEST_DAEMON=1            leaves a daemon outside its process group; 2: without its environment as well
#   TEST_PORT=<text>         what it gives as its port
# and exits with the code it finds in $MOLECULE_STATE_DIR/crash.
state=$MOLECULE_STATE_DIR
rm -f "$state/crash" "$state/env" "$state/daemon"

put() { # name; content from standard input
    cat >"$state/$1.tmp" && mv "$state/$1.tmp" "$state/$1"
}

leave() { # code reason
    printf '{"code":%s,"reason":"%s"}' "$1" "$2" | put exit.json
    exit "$1"
}

if [ "$TEST_STUBBORN" ]; then trap '' TERM; else trap 'exit 0' TERM; fi

put env </proc/self/environ
echo "instance of generation $MOLECULE_GENERATION"

if [ "$CONFORMANCE_FAIL" ]; then
    echo "refusing to start" >&2
    leave "$CONFORMANCE_FAIL" "told to fail"
fi

daemon='echo $$ >"$0/daemon.tmp"; mv "$0/daemon.tmp" "$0/daemon"; trap "" TERM; while [ -d "$0" ]; do sleep 0.1; done'
case $TEST_DAEMON in
1) setsid -f sh -c "$daemon" "$state" ;;
2) env -i PATH="$PATH" setsid sh -c "$daemon" "$state" & ;;
esac

[ "$TEST_SILENT" ] || printf '{"port":%s,"pid":%s}' "${TEST_PORT:-4711}" $$ | put endpoint.json

exec 2>/dev/null # the shell would comment on how its sleep ended
while [ -d "$state" ]; do
    if [ -f "$state/crash" ]; then leave "$(cat "$state/crash")" "told to crash"; fi
    sleep 0.02
done
