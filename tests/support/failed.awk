# The tests that failed in what tests/suite.lua or the lint printed, a name a line: "FILE: TEST", or the FILE
# where no test of it is named, or the name of the check.
function tell_file() {
    if (file != "" && !is_told) print file
    file = ""
}

/^[^ ].*: [0-9]+ passed, [0-9]+ failed/ {
    tell_file()
    if ($0 ~ / passed, 0 failed/) next
    file = $0
    sub(/: [0-9]+ passed, .*/, "", file)
    is_told = 0
    next
}

/^failed: / {
    tell_file()
    print "lint: " substr($0, 9)
    next
}

/^[^ ]/ { tell_file() }

# busted's tests begin with the line that failed, which need not be the same the next time.
file != "" && /^    (failed|error) / {
    sub(/^    (failed|error) [^ ]*:[0-9]+: /, "")
    print file ": " $0
    is_told = 1
}

file != "" && /^    not ok / {
    sub(/^    not ok [0-9]*( - )?/, "")
    print file ": " $0
    is_told = 1
}

END { tell_file() }
