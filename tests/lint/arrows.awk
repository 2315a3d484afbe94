# From what `nm -A -P` says of the objects: a line "FROM TO SYMBOL..." for each two files of which one uses
# symbols of the other. embedded.o is the table of all modules, used by what opens them: it has no line.
{
    path = $1
    sub(/:$/, "", path)
    sub(/\.o$/, "", path)
    sub(/^.*\/obj\//, "lkrun/", path)
    if (path == "lkrun/embedded") next
    if ($3 ~ /^[Uvw]$/) {
        users[++uses] = path
        used[uses] = $2
    } else if ($3 ~ /^[A-Z]$/) {
        home[$2] = path
    }
}

END {
    for (i = 1; i <= uses; i++) {
        symbol = used[i]
        if (!(symbol in home) || home[symbol] == users[i]) continue
        arrow = users[i] " " home[symbol]
        symbols[arrow] = symbols[arrow] " " symbol
    }
    for (arrow in symbols) print arrow symbols[arrow]
}
