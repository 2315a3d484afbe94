# The order of the core's folders: a file includes headers of its own folder and of folders before it in
# the list. The first file is the list, one folder a line ("base/" and what is in it); the others are the
# core's files, lkrun/FOLDER/FILE.
function fail(message) { print message; bad = 1 }

BEGIN {
    for (i = 2; i < ARGC; i++) {
        is_file[ARGV[i]] = 1
        folder = folder_of(ARGV[i])
        if (folder != "" && !(folder in holds)) holds[folder] = ARGV[i]
    }
}

function folder_of(path) {
    return match(path, /^lkrun\/[^\/]+\//) ? substr(path, 7, RLENGTH - 7) : ""
}

FNR == 1 { file++ }

# Around the name there may be what Markdown needs for a list or a table.
file == 1 {
    line = $0
    gsub(/^[ \t|*`-]+/, "", line)
    if (match(line, /^[a-z_]+\/([^a-z_]|$)/)) {
        sub(/\/.*/, "", line)
        if (line in place) fail(FILENAME ":" FNR ": the folder " line "/ stands there twice")
        place[line] = ++places
        listed_at[line] = FILENAME ":" FNR
    }
    list = FILENAME
    next
}

FNR == 1 {
    own = folder_of(FILENAME)
    if (own == "") fail(FILENAME ": lies in no folder of lkrun/")
}

/^[ \t]*#[ \t]*include[ \t]*["<]/ {
    name = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", name)
    is_quoted = substr(name, 1, 1) == "\""
    name = substr(name, 2)
    sub(/[">].*/, "", name)
    where = FILENAME ":" FNR ": "
    if (!is_quoted) {
        if (("lkrun/" name) in is_file) fail(where "<" name "> is a header of the core; expected \"" name "\"")
        next
    }
    if (!(("lkrun/" name) in is_file) || name !~ /\//) {
        fail(where "\"" name "\" is not a file of the core; expected \"FOLDER/NAME.h\", from lkrun/")
        next
    }
    theirs = name
    sub(/\/.*/, "", theirs)
    if (own in place && theirs in place && place[theirs] > place[own])
        fail(where "includes " name ", but " theirs "/ comes after " own "/ in " list)
}

END {
    if (!places) fail(list ": lists no folder; expected a line \"FOLDER/ what is in it\" for each, bottom first")
    for (folder in holds)
        if (!(folder in place)) fail(holds[folder] ": its folder is not in the list of " list)
    for (folder in place)
        if (!(folder in holds)) fail(listed_at[folder] ": lkrun/" folder "/ has no C file")
    exit bad
}
