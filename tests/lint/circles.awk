# Tells the circles between files. The first file is what arrows.awk says; the second what tsort says of
# it: "tsort: -: input contains a loop:", and a line "tsort: FILE" for each of the loop.
FNR == 1 { file++ }

file == 1 {
    symbols[$1, $2] = $3
    for (i = 4; i <= NF; i++) symbols[$1, $2] = symbols[$1, $2] ", " $i
    next
}

/contains a loop/ { tell(); next }
{ circle[++size] = $NF }

function tell(  i, from, to, is_forward) {
    if (!size) return
    print "a circle of " size " files:"
    is_forward = (circle[1], circle[2]) in symbols
    for (i = 1; i <= size; i++) {
        from = circle[is_forward ? i : size + 1 - i]
        to = circle[is_forward ? i % size + 1 : (size - i > 0 ? size - i : size)]
        print "  " from ".c uses " to ".c: " symbols[from, to]
    }
    size = 0
    bad = 1
}

END {
    tell()
    exit bad
}
